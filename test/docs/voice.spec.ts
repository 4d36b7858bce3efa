import { describe, expect, it } from '@jest/globals';
import { commentsOf, pages, sources } from './pages.js';

/** Words that a reader who knows English stumbles over, and what the house writes instead. */
const STUMBLES: readonly (readonly [RegExp, string])[] = [
  [/\banew\b/gi, 'again'],
  [/\bfor ever\b/gi, 'always, indefinitely, for good'],
  [/\bstand(?:s|ing)? (?:again|for election)\b/gi, 'competes for the lease'],
  [/(?<!let )\bgo(?:es)? on\b/gi, 'continues'],
  [/\b(?:is|are) told\b/gi, 'learns, hears, is given'],
  [/\bbeliev(?:e|es|ed|ing) to lead\b/gi, 'believes that it is leader'],
  [/\bof the meantime\b/gi, 'meanwhile'],
  [/[,;] else\b(?! if)/gi, 'otherwise'],
];

/** The prose of a source is in its comments and in the strings of its messages, which have blanks. */
function proseOf(source: string): string {
  const strings = source.match(/(['"`])(?:(?!\1)[^\\\n]|\\.)* (?:(?!\1)[^\\\n]|\\.)*\1/g) ?? [];
  return [commentsOf(source), ...strings].join('\n');
}

const written = [
  ...sources('lib', 'sample-app/src').map(({ file, text }) => ({ file, text: proseOf(text) })),
  ...pages(),
];

describe('when a page, a comment or a message says something', () => {
  it.each(STUMBLES)('does not say %s', (stumble) => {
    const found = written.flatMap(({ file, text }) =>
      [...text.matchAll(stumble)].map(({ index }) =>
        [file, text.slice(Math.max(0, index - 40), index + 40).replace(/\s+/g, ' ')].join(': '),
      ),
    );
    expect(found).toEqual([]);
  });
});
