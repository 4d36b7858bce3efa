import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { pages, sources, type Page } from './pages.js';

const SCRIPTS = Object.keys(
  (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: object }).scripts,
);

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
}

/** The anchors that GitHub gives to the headings of a page, and those that the page has itself. */
function anchorsOf(text: string): Set<string> {
  const prose = text.replace(/^```[\s\S]*?^```/gm, '');
  const own = [...prose.matchAll(/<a id="([^"]+)"><\/a>/g)].map(([, id]) => id!);
  return new Set([
    ...own,
    ...[...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .replace(/<[^>]+>/g, '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  ]);
}

function brokenLinksOf({ file, text }: Page): string[] {
  const targets = [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  const relative = targets.filter((target) => !/^[a-z]+:/.test(target));
  return relative.filter((target) => !exists(file, target)).map((target) => `${file}: ${target}`);
}

function exists(from: string, target: string): boolean {
  const [path, anchor] = target.split('#');
  const file = path === '' ? from : normalize(join(dirname(from), path!));
  if (!existsSync(file)) return false;
  if (anchor === undefined) return true;
  return statSync(file).isFile() && anchorsOf(readFileSync(file, 'utf8')).has(anchor);
}

describe('when a page of the documentation names something', () => {
  it('links to files and headings that exist', () => {
    expect(pages().flatMap(brokenLinksOf)).toEqual([]);
  });

  it('names scripts that package.json has', () => {
    const missing = pages().flatMap(({ file, text }) =>
      [...text.matchAll(/npm run (?:-s )?([\w:-]+)|`(\w+:[\w-]+)`/g)]
        .map(([, ran, named]) => ran ?? (isScriptLike(named!) ? named! : 'test'))
        .filter((script) => !SCRIPTS.includes(script))
        .map((script) => `${file}: ${script}`),
    );
    expect(missing).toEqual([]);
  });

  it('names files and folders that exist', () => {
    const missing = pages().flatMap(({ file, text }) =>
      [...text.matchAll(/`((?:lib|test|proof|docs|bench|sample-app)\/[\w./-]+)`/g)]
        .map(([, path]) => path!)
        .filter((path) => !existsSync(path))
        .map((path) => `${file}: ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('is reached from the README', () => {
    const readme = pages().find(({ file }) => file === 'README.md')!.text;
    const unreached = pages().filter(
      ({ file }) =>
        file !== 'README.md' && !file.startsWith('docs/results/') && !readme.includes(`(${file}`),
    );
    expect(unreached.map(({ file }) => file)).toEqual([]);
  });
});

/** `simulate:replay` may be named without `npm run` before it. */
function isScriptLike(name: string): boolean {
  return /^(build|simulate|chaos|bench|test|format|start):/.test(name);
}

describe('when docs/failure-modes.md quotes a test', () => {
  const specs = sources('test', 'proof').map(({ text }) => text);
  const page = readFileSync('docs/failure-modes.md', 'utf8');
  const quotes = [...page.matchAll(/(?<![\w*])_([^_\n]+)_(?!\w)/g)].map(([, quote]) => quote!);
  const titles = quotes.flatMap((quote) => quote.split(/ › | ?… ?/)).filter((part) => part !== '');

  it('quotes at least two dozen of them', () => {
    expect(titles.length).toBeGreaterThan(24);
  });

  it.each(titles)('finds the test: %s', (title) => {
    expect(specs.some((text) => text.includes(title))).toBe(true);
  });
});
