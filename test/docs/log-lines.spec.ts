import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { LOG_EVENTS } from '../../lib/election/log-entry.js';
import { everyLogLine } from '../support/every-log-line.js';
import { withoutSubject } from '../nest/support/recorded-log.js';
import { sources } from './pages.js';

interface Row {
  readonly event: string;
  readonly level: string;
  readonly line: string;
}

/** Lines of classes that need a whole application; their own specs have them. */
const OF_APPLICATIONS = ['election.waits-for-init', 'gates.failed', 'gates.observer-failed'];
const SECTION = readFileSync('docs/operations.md', 'utf8').split('## Log lines')[1]!;
const ROWS: readonly Row[] = [
  ...SECTION.matchAll(/^\| `([a-z.-]+)` +\| (\w+) +\| (.+?) +\| /gm),
].map(([, event, level, line]) => ({ event: event!, level: level!, line: line! }));

describe('when docs/operations.md lists the lines of the log', () => {
  const written = everyLogLine().map(({ level, entry }) => ({
    event: entry.event as string,
    level,
    line: withoutSubject(entry.msg),
  }));

  it('has each line as the library writes it, perhaps cut short', () => {
    const shown = ROWS.filter(({ event }) => !OF_APPLICATIONS.includes(event));
    expect(shown.map(({ event, level }) => `${event} ${level}`)).toEqual(
      written.map(({ event, level }) => `${event} ${level}`),
    );
    const asWritten = shown.map(({ line }, index) => {
      const { line: whole } = written[index]!;
      const start = line.replace(/ …$/, '');
      return start !== line && whole.startsWith(start) ? line : whole;
    });
    expect(shown.map(({ line }) => line)).toEqual(asWritten);
  });

  it('has every event, and no other', () => {
    const listed = [...new Set(ROWS.map(({ event }) => event))];
    expect(listed.toSorted()).toEqual(Object.keys(LOG_EVENTS).toSorted());
  });

  it('shows an example of every event that the code writes', () => {
    const code = sources('lib')
      .filter(({ file }) => !file.endsWith('log-entry.ts'))
      .map(({ text }) => text)
      .join();
    const unused = Object.keys(LOG_EVENTS).filter((event) => !code.includes(`'${event}'`));
    expect(unused).toEqual([]);
  });
});
