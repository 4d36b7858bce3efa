import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { commentsOf, pages, sources, transcripts } from './pages.js';

const RULES = readFileSync('docs/rules.md', 'utf8');
const DEFINED = new Set([...RULES.matchAll(/\*\*([AHRISL]\d{1,2})\b/g)].map(([, id]) => id!));
const CITATION = /(?<![\w$#./-])([AHRISL][1-9]\d?)(?![\w$/-])/g;

/** Comments of the code, whole pages of the documentation and whole transcripts. */
function textsThatCite(): [string, string][] {
  const code = sources('lib', 'test', 'proof', 'bench', 'sample-app/src');
  return [
    ...code.map(({ file, text }): [string, string] => [file, commentsOf(text)]),
    ...[...pages(), ...transcripts()].map(({ file, text }): [string, string] => [file, text]),
  ];
}

describe('when a comment or a page cites a rule', () => {
  it('cites one that docs/rules.md defines', () => {
    const undefinedOnes = textsThatCite().flatMap(([file, text]) =>
      [...text.matchAll(CITATION)]
        .map(([, id]) => id!)
        .filter((id) => !DEFINED.has(id))
        .map((id) => `${file}: ${id}`),
    );
    expect(undefinedOnes).toEqual([]);
  });

  it('cites no book outside the repository', () => {
    const strangers = textsThatCite().filter(([, text]) => /safety-rules|\bF\d\d\b/.test(text));
    expect(strangers.map(([file]) => file)).toEqual([]);
  });
});

describe('when docs/rules.md names a test', () => {
  const entries = RULES.split(/^- /m)
    .map((entry) => /^\*\*([AR]\d{1,2})\b[\s\S]*?_Test:_\s+"([^"]+)"\s+in\s+`([^`]+)`/.exec(entry))
    .filter((match) => match !== null)
    .map(([, id, title, file]) => ({ id: id!, title: title!.replace(/\s+/g, ' '), file: file! }));

  it('names one for every fact and every rule', () => {
    const expected = [...DEFINED].filter((id) => /^[AR]/.test(id));
    expect(entries.map(({ id }) => id)).toEqual(expected);
  });

  it.each(entries)('finds the test of $id', ({ title, file }) => {
    expect(readFileSync(file, 'utf8')).toContain(title);
  });
});

describe('when another page names a test', () => {
  const named = pages()
    .filter(({ file }) => file !== 'docs/rules.md')
    .flatMap(({ file: page, text }) =>
      [...text.matchAll(/"([^"]+)"\s+in\s+`((?:test|proof)\/[^`]+)`/g)].map(([, title, file]) => ({
        page,
        title: title!.replace(/\s+/g, ' '),
        file: file!,
      })),
    );

  it.each(named)('$page: finds "$title"', ({ title, file }) => {
    expect(readFileSync(file, 'utf8')).toContain(title);
  });
});
