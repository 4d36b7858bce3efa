import { describe, expect, it } from '@jest/globals';
import { commentsOf, pages, sources } from './pages.js';

/** Words that a reader who knows English stumbles over, and what the house writes instead. */
const STUMBLES: readonly (readonly [RegExp, string])[] = [
  [/\banew\b/gi, 'again'],
  [/\bfor ever\b/gi, 'always, indefinitely, for good'],
  [/\bstand(?:s|ing)? (?:again|for election)\b/gi, 'competes for the lease'],
  [/\b(?:not|to) stand\b/gi, 'competes for the lease'],
  [/\blaps(?:es?|ed)\b/gi, 'expires'],
  [/\b(?:nobody|somebody|everybody|anybody)\b/gi, 'the actor by its name, or no one'],
  [/\bany more\b/gi, 'no longer'],
  [/\bin the place of\b/gi, 'in place of'],
  [/\bone[’']s own\b/gi, 'your own, or the actor by its name'],
  [/(?<!let )\bgo(?:es)? on\b/gi, 'continues'],
  [/\b(?:is|are) told\b/gi, 'learns, hears, is given'],
  [/\bbeliev(?:e|es|ed|ing) to lead\b/gi, 'believes that it is leader'],
  [/\bof the meantime\b/gi, 'meanwhile'],
  [
    /(?<!there )\bis no (?:text|object|method|pod|lease|record|document|zone|range|API)\b/gi,
    'is not a …',
  ],
  [/[,;] else\b(?! if)/gi, 'otherwise'],
];

/** The prose of a source is in its comments and in the strings of its messages, which have blanks. */
function proseOf(source: string): string {
  const strings = source.match(/(['"`])(?:(?!\1)[^\\\n]|\\.)* (?:(?!\1)[^\\\n]|\\.)*\1/g) ?? [];
  return [commentsOf(source), ...strings].join('\n');
}

/** A sentence, though it continues on the next line of a page or a comment. */
function withoutLineBreaks(text: string): string {
  return text.replace(/\n\s*(?:\*(?!\/)|\/\/)?\s*/g, ' ');
}

const written = [
  ...sources('lib', 'sample-app/src').map(({ file, text }) => ({ file, text: proseOf(text) })),
  ...pages().map(({ file, text }) => ({ file, text: text.replace(/^```[\s\S]*?^```/gm, '') })),
].map(({ file, text }) => ({ file, text: withoutLineBreaks(text) }));

describe('when a page, a comment or a message says something', () => {
  it.each(STUMBLES)('does not say %s', (stumble) => {
    const found = written.flatMap(({ file, text }) =>
      [...text.matchAll(stumble)].map(({ index }) =>
        [file, text.slice(Math.max(0, index - 40), index + 40)].join(': '),
      ),
    );
    expect(found).toEqual([]);
  });
});

describe('when a comment gives an example', () => {
  it('begins it on a line of its own, so that no formatter fills its lines', () => {
    const filled = sources('lib').filter(({ text }) => /@example[ \t]+\S/.test(text));
    expect(filled.map(({ file }) => file)).toEqual([]);
  });
});
