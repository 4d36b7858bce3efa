import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { COMMANDS } from '../../lib/cli/commands.js';
import { FAULT_CODES } from '../../lib/cli/doctor/finding.js';
import { LOG_EVENTS } from '../../lib/election/log-entry.js';
import { sources } from './pages.js';

const PAGE = readFileSync('docs/production-checklist.md', 'utf8');

/** Each item in one line. */
const ITEMS = PAGE.split(/^- \[ \] /m)
  .slice(1)
  .map((item) => item.replace(/\n\n[^]*/, '').replace(/\s+/g, ' '));
const SPANS = ITEMS.flatMap((item) => [...item.matchAll(/`([^`]+)`/g)].map(([, span]) => span!));

const LIBRARY = sources('lib')
  .map(({ text }) => text)
  .join('\n');
const MANIFESTS = readdirSync('sample-app/k8s', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => readFileSync(join('sample-app/k8s', name), 'utf8'))
  .join('\n');
const ALERTS = readFileSync('monitoring/alerts.yaml', 'utf8');

/** An option or a member that users can write, a field of a manifest of the sample, which tests apply, or a metric of the alerts. */
function exists(name: string): boolean {
  const isOfLibrary = new RegExp(`^ +(readonly )?${name}\\??[:(<]`, 'm').test(LIBRARY);
  return (
    isOfLibrary || ALERTS.includes(`(${name}{`) || new RegExp(`^[ -]+${name}:`, 'm').test(MANIFESTS)
  );
}

describe('when someone goes through docs/production-checklist.md', () => {
  it('has at least three dozen items, each of which says what and how to check it', () => {
    expect(ITEMS.length).toBeGreaterThanOrEqual(36);
    expect(ITEMS.filter((item) => !/^\*\*[^*]+\*\*: .*(Check|Doctor): \S/.test(item))).toEqual([]);
  });

  it('finds the codes of doctor that it names', () => {
    const named = ITEMS.flatMap((item) => [
      ...(item.split('Doctor: ')[1] ?? '').matchAll(/`([^`]+)`/g),
    ]);
    expect(named.length).toBeGreaterThanOrEqual(20);
    const known: readonly string[] = FAULT_CODES;
    expect(named.map(([, code]) => code!).filter((code) => !known.includes(code))).toEqual([]);
  });

  it('finds each option and each field of a manifest', () => {
    const names = SPANS.flatMap((span) => /^(?:term\.)?([a-z]\w*)(?:: |$)/.exec(span)?.[1] ?? []);
    // Of the program, and what the page says are the reader's own.
    const own = [...PAGE.split('stand for your')[0]!.matchAll(/`([^`]+)`/g)].map(
      ([, name]) => name!,
    );
    const words = [...COMMANDS.map(({ name }) => name), ...own];
    const wrong = names.filter((name) => !words.includes(name) && !exists(name));
    expect([...new Set(wrong)]).toEqual([]);
  });

  it('finds each log line and each alert', () => {
    const events = SPANS.filter((span) => /^(?!term\.)[a-z]+\.[a-z-]+$/.test(span));
    const known = [...FAULT_CODES, ...Object.keys(LOG_EVENTS)];
    expect(events.filter((event) => !known.includes(event))).toEqual([]);
    const alerts = SPANS.filter((span) => span.startsWith('LeaderElection'));
    expect(alerts.filter((alert) => !ALERTS.includes(`alert: ${alert}\n`))).toEqual([]);
  });

  it('finds each decorator and each error', () => {
    const decorators = SPANS.flatMap((span) => /^@(\w+)/.exec(span)?.[1] ?? []);
    const missing = decorators.filter((name) => !LIBRARY.includes(`export function ${name}(`));
    expect(missing).toEqual([]);
    const codes = SPANS.filter((span) => span.startsWith('ERR_'));
    expect(codes.filter((code) => !LIBRARY.includes(`'${code}'`))).toEqual([]);
  });
});
