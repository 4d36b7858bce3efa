import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { aTerm, noRelease } from './scenes.js';
import { drawNarrow, drawWide, paletteOf } from './term-picture.js';

const FOLDER = 'docs/images';
/** `npm run pictures:terms` draws them again. */
const DRAWS = process.env['DRAW_TERMS'] !== undefined;

const told = (name: string): string => readFileSync(`test/core/transcripts/${name}.txt`, 'utf8');
const palette = paletteOf(readFileSync('lib/dashboard/page/page.css', 'utf8'));
const term = aTerm(told('a-whole-term'));
const crash = noRelease(told('a-leader-that-is-cut-off'));

const PICTURES = {
  'term.svg': drawWide(term, palette),
  'term-phone.svg': drawNarrow(term, palette),
  'no-release.svg': drawWide(crash, palette),
  'no-release-phone.svg': drawNarrow(crash, palette),
};

describe('when docs/concepts.md shows a term', () => {
  it.each(Object.entries(PICTURES))('shows it as the election runs now: %s', (name, drawn) => {
    const file = join(FOLDER, name);
    if (DRAWS) writeFileSync(file, drawn);
    expect(readFileSync(file, 'utf8')).toBe(drawn);
  });

  it.each(Object.keys(PICTURES))('shows %s, and says in words what it shows', (name) => {
    const page = readFileSync('docs/concepts.md', 'utf8');
    const shown = [...page.matchAll(/<picture>([^]*?)<\/picture>/g)].map(([, markup]) => markup!);
    const around = shown.find((markup) => markup.includes(`"images/${name}"`));
    expect(around).toMatch(/<img src="images\/[\w-]+\.svg" alt="[^"]{80,}">/);
  });
});

describe('when a picture of a term is drawn', () => {
  it('has the drained handover: renewals, an end before the release, a grant after it', () => {
    const [first, second] = term.story.terms;
    expect(first!.validity).toHaveLength(4);
    expect(first!.drainRenewals).toEqual([8_020]);
    expect(first!.endedAt).toBe(7_000);
    expect(first!.releasedAt).toBe(10_010);
    expect(second!.grantedAt).toBeGreaterThan(first!.releasedAt!);
  });

  it('has the end of validity, a renew deadline after the last renewal was sent', () => {
    const [first, second] = crash.story.terms;
    expect(first!.endedAt).toBe(first!.validity.at(-1)!.until);
    expect(crash.gap).toEqual([14_010, 19_035]);
    expect(second!.holder).toBe('b');
  });

  it('has the colours of the dashboard, and changes with them', () => {
    const style = ':root { --accent: light-dark(#1f30d1, #95a3ff); }';
    const other = drawWide(term, paletteOf(style.replace('#1f30d1', '#123456')));
    expect(drawWide(term, palette)).toContain('--accent: #1f30d1;');
    expect(other).toContain('--accent: #123456;');
  });
});
