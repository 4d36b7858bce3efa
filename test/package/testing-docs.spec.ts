import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../..', import.meta.url));
const specs = join(root, 'test', 'package', 'scaffolds', 'specs');

const tested = readdirSync(specs)
  .map((file) => squeezed(readFileSync(join(specs, file), 'utf8')))
  .join('\n');
const page = readFileSync(join(root, 'docs', 'testing.md'), 'utf8');
const examples = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!);

/** Whatever way a formatter has broken the lines. */
function squeezed(code: string): string {
  return code.replace(/\s+/g, '');
}

describe('when docs/testing.md shows code', () => {
  it('shows a dozen examples', () => {
    expect(examples.length).toBeGreaterThanOrEqual(12);
  });

  it.each(examples.map((code) => [code.split('\n')[0], code]))(
    'has it run in the specs of the scaffolds: %s',
    (_title, code) => {
      expect(tested.includes(squeezed(code!))).toBe(true);
    },
  );
});
