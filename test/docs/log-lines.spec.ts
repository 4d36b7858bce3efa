import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { LOG_EVENTS } from '../../lib/election/log-entry.js';
import { everyLogLine } from '../support/every-log-line.js';
import { withoutSubject } from '../nest/support/recorded-log.js';
import { sources } from './pages.js';

interface Row {
  readonly event: string;
  readonly level: string;
  readonly line: string;
}

const SECTION = readFileSync('docs/operations.md', 'utf8').split('## Log lines')[1]!;
const ROWS: readonly Row[] = [
  ...SECTION.matchAll(/^\| `([a-z.-]+)` +\| (\w+) +\| (.+?) +\| /gm),
].map(([, event, level, line]) => ({ event: event!, level: level!, line: line! }));

describe('when docs/operations.md lists the lines of the log', () => {
  let written: Row[];
  beforeAll(async () => {
    written = (await everyLogLine()).map(({ level, entry: { event, msg } }) => ({
      event,
      level,
      line: withoutSubject(msg),
    }));
  });

  it('has each line as the library writes it, perhaps cut short', () => {
    expect(ROWS.map(({ event, level }) => `${event} ${level}`)).toEqual(
      written.map(({ event, level }) => `${event} ${level}`),
    );
    const asWritten = ROWS.map(({ line }, index) => {
      const { line: whole } = written[index]!;
      const start = line.replace(/ …$/, '');
      return start !== line && whole.startsWith(start) ? line : whole;
    });
    expect(ROWS.map(({ line }) => line)).toEqual(asWritten);
  });

  it('has every event at each of its levels, and no other', () => {
    const listed = new Set(ROWS.map(({ event, level }) => `${event} ${level}`));
    const logged = Object.entries(LOG_EVENTS).flatMap(([event, levels]) =>
      levels.map((level) => `${event} ${level}`),
    );
    expect([...listed].toSorted()).toEqual(logged.toSorted());
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
