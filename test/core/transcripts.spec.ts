import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { replay } from '../support/transcript.js';

const FOLDER = 'test/core/transcripts';
const NAMES = readdirSync(FOLDER);
/** Write the transcripts again as the machine runs now; the difference is to be read and committed. */
const REWRITES = process.env['REWRITE_TRANSCRIPTS'] !== undefined;

function transcript(name: string): string {
  return readFileSync(join(FOLDER, name), 'utf8');
}

describe('when what a transcript tells happens to the machine', () => {
  it.each(NAMES)('decides what is written there: %s', (name) => {
    const told = replay(transcript(name));
    if (REWRITES) writeFileSync(join(FOLDER, name), told);
    expect(told).toBe(transcript(name));
  });

  it('decides nothing else: a line that is missing is found', () => {
    const whole = transcript('first-acquisition.txt');
    const lines = whole.split('\n');
    const told = lines.findIndex((line) => line.includes('leads: term 1'));
    expect(replay(lines.toSpliced(told, 1).join('\n'))).toBe(whole);
  });
});

describe('when a transcript is wrong', () => {
  const wrong: [string, string, string][] = [
    ['something unheard of', '       0  a dances', 'nothing that may happen'],
    ['time running backwards', '       9  a starts\n       5  b starts', '5 comes before 9'],
    [
      'a wake-up that is left out',
      '       0  a starts\n   9,000  b starts',
      'a has something to do at 3,000',
    ],
    ['an answer to nobody', '       0  the store answers a', 'a waits for no answer'],
  ];

  it.each(wrong)('refuses %s', (_what, text, problem) => {
    expect(() => replay(text)).toThrow(problem);
  });
});

describe('when all transcripts are read', () => {
  const texts = NAMES.map(transcript);

  it.each([
    'asks to',
    'waits no longer',
    'leads:',
    'leads no more',
    'stops',
    'tells: leader',
    'tells: no leader',
    'tells: settling',
    'tells: renewed',
    'tells: released',
    'tells: unclean acquisition',
    'tells: failed',
  ])('show whatever the machine does or tells: %s', (words) => {
    expect(texts.some((text) => text.includes(words))).toBe(true);
  });

  it.each(NAMES)('names the rule that it is about: %s', (name) => {
    const [title, , ...rest] = transcript(name).split('\n');
    expect(title).toMatch(/^[A-Z].*[^.]$/);
    expect(rest.join('\n')).toMatch(/\(R\d+(, R\d+)*\)/);
  });
});

describe('when docs/rules.md quotes a transcript', () => {
  it('quotes it as the machine runs it', () => {
    const rules = readFileSync('docs/rules.md', 'utf8');
    const [, name, quoted] = /`([\w-]+\.txt)`\):\s+```text\n([\s\S]*?)```/.exec(rules)!;
    expect(transcript(name!).endsWith(`\n\n${quoted}`)).toBe(true);
  });
});
