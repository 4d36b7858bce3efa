import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../..', import.meta.url));
const specs = join(root, 'test', 'package', 'scaffolds', 'specs');

const tested = readdirSync(specs)
  .map((file) => squeezed(readFileSync(join(specs, file), 'utf8')))
  .join('\n');
/** What an example says about itself: the file that it is to be in. */
const FILE_COMMENT = /^\/\/ src\/\S+\n/;

function examplesOf(name: string): string[] {
  const page = readFileSync(join(root, 'docs', name), 'utf8');
  return [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!);
}

/** Whatever way a formatter has broken the lines. */
function squeezed(code: string): string {
  return code.replace(/\s+/g, '');
}

describe.each([
  ['testing.md', 14],
  ['own-lock.md', 3],
])('when docs/%s shows code', (name, least) => {
  const examples = examplesOf(name).filter((code) => !code.startsWith('// src/app.module.ts'));

  it(`shows ${least} examples or more`, () => {
    expect(examples.length).toBeGreaterThanOrEqual(least);
  });

  it.each(examples.map((code) => [code.split('\n').slice(0, 2).join(' '), code]))(
    'has it run in the specs of the scaffolds: %s',
    (_title, code) => {
      expect(tested.includes(squeezed(code!.replace(FILE_COMMENT, '')))).toBe(true);
    },
  );
});
