import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { FAULT_CODES } from '../../lib/cli/doctor/finding.js';
import { LOG_EVENTS } from '../../lib/election/log-entry.js';
import { type SpokenText, SpokenTexts, type TroubleEntry, troubleEntries } from './spoken-texts.js';

const PAGE = readFileSync('docs/troubleshooting.md', 'utf8');
const ENTRIES = troubleEntries();

const ALERTS = (
  parse(readFileSync('monitoring/alerts.yaml', 'utf8')) as {
    groups: { rules: { alert: string }[] }[];
  }
).groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));

/** Where errors of no class of this library are thrown at a caller who reads them. */
const FOLDERS = [
  'lib/nest',
  'lib/schedule/nest',
  'lib/testing',
  'lib/locks/lock-selection',
  'lib/election',
];

/** Each name that the entries have, with their headings. */
function leading(kind: Exclude<keyof TroubleEntry, 'title'>): string[] {
  return ENTRIES.flatMap((entry) => entry[kind]).toSorted();
}

/** The longest of the quoted beginnings that a text has in it. */
function quoteOf({ text }: SpokenText): string | undefined {
  const fitting = leading('message').filter((quote) => text.includes(quote));
  return fitting.toSorted((a, b) => b.length - a.length)[0];
}

describe('when something goes wrong, docs/troubleshooting.md', () => {
  let rules: readonly SpokenText[];
  let errors: readonly SpokenText[];
  let classes: readonly SpokenText[];
  let reasons: readonly string[];
  beforeAll(() => {
    const texts = new SpokenTexts();
    rules = texts.rules();
    errors = texts.plainErrors(FOLDERS).filter(({ text }) => /\w+ \w+ \w+/.test(text));
    classes = texts.errorClasses();
    reasons = ['RevocationReason', 'MissedReason'].flatMap((name) => texts.kindsOf(name));
  });

  it('leads from each log line to exactly one entry', () => {
    expect(leading('log')).toEqual(Object.keys(LOG_EVENTS).toSorted());
  });

  it('leads from each code of doctor to exactly one entry', () => {
    expect(leading('doctor')).toEqual([...FAULT_CODES].toSorted());
  });

  it('leads from each alert to exactly one entry', () => {
    expect(leading('alert')).toEqual(ALERTS.toSorted());
  });

  it('leads from each class of errors to exactly one entry', () => {
    expect(classes.length).toBeGreaterThan(20);
    expect(leading('error')).toEqual([...new Set(classes.map(({ text }) => text))].toSorted());
  });

  it('leads from each error of the start to exactly one entry', () => {
    expect(rules.length).toBeGreaterThan(120);
    expect(errors.length).toBeGreaterThan(8);
    const unled = [...rules, ...errors].filter((text) => quoteOf(text) === undefined);
    expect(unled).toEqual([]);
    const quotes = leading('message');
    expect(quotes.filter((quote, index) => quotes.indexOf(quote) !== index)).toEqual([]);
  });

  it('quotes no message that the code does not have', () => {
    const used = new Set([...rules, ...errors].map(quoteOf));
    expect(leading('message').filter((quote) => !used.has(quote))).toEqual([]);
  });

  it('says for each reason why a term ended or a tick was missed what to do', () => {
    expect(reasons.length).toBe(11);
    const rows = [...PAGE.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, reason]) => reason!);
    expect(reasons.filter((reason) => !rows.includes(reason))).toEqual([]);
  });

  it('has a heading for each entry that no other has', () => {
    const titles = ENTRIES.map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
  });
});
