import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { pages } from './pages.js';

const TEXT = readFileSync('llms.txt', 'utf8');
const LISTED = linksOf(TEXT);

/** The lines of a list, as llmstxt.org has them: a link, and what it leads to. */
function linksOf(text: string): { name: string; target: string; what: string }[] {
  const lines = text.matchAll(/^- \[([^\]]+)\]\(([^)]+)\): (.+)$/gm);
  return [...lines].map(([, name, target, what]) => ({
    name: name!,
    target: target!,
    what: what!,
  }));
}

const duplicatesIn = (texts: readonly string[]): string[] =>
  texts.filter((text, index) => texts.indexOf(text) !== index);

describe('when a program reads llms.txt', () => {
  it('finds a title, a summary, and sections that hold nothing but links with one line each', () => {
    const [title, , summary, , details, ...rest] = TEXT.split('\n');
    expect(title).toBe('# nestjs-leader-election');
    expect(summary).toMatch(/^> [A-Z].{40,300}\.$/);
    expect(details).toMatch(/^[A-Z].+\.$/);
    const others = rest.filter((line) => line !== '' && !/^(## \w+$|- \[)/.test(line));
    expect(others).toEqual([]);
    expect(LISTED).toHaveLength(rest.filter((line) => line.startsWith('- ')).length);
    expect(LISTED.filter(({ what }) => what.length > 120 || what.endsWith('.'))).toEqual([]);
  });

  it('finds every page of the documentation, once', () => {
    const targets = LISTED.map(({ target }) => target);
    const unlisted = pages().filter(({ file }) => file !== 'README.md' && !targets.includes(file));
    expect(unlisted.map(({ file }) => file)).toEqual([]);
    expect(duplicatesIn(targets)).toEqual([]);
    expect(duplicatesIn(LISTED.map(({ name }) => name))).toEqual([]);
  });

  it('finds whatever it links', () => {
    const targets = [...TEXT.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target!);
    expect(targets.filter((target) => !existsSync(target))).toEqual([]);
  });
});

describe('when a program reads the installed package', () => {
  const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] };
  const page = readFileSync('docs/for-coding-assistants.md', 'utf8');

  it('finds the page for coding assistants, which needs no other page', () => {
    expect(files).toEqual(expect.arrayContaining(['llms.txt', 'docs/for-coding-assistants.md']));
    expect(page).not.toMatch(/\]\((?!https:)/);
  });

  it('finds on it every error code of the library', () => {
    const errors = ['lib/core/errors.ts', 'lib/nest/errors.ts', 'lib/schedule/runner/job-run.ts'];
    const sources = [...errors, 'lib/schedule/once/once-errors.ts'].map((file) =>
      readFileSync(file, 'utf8'),
    );
    const codes = sources.join('\n').matchAll(/readonly code = '(ERR_\w+)'/g);
    const missing = [...codes].map(([, code]) => code!).filter((code) => !page.includes(code));
    expect(missing).toEqual([]);
  });
});
