import { readFile } from 'node:fs/promises';
import { expect, it } from '@jest/globals';
import { TICK_MUTANTS } from './tick-mutants.js';

it.each(TICK_MUTANTS)(
  'when the mutant "$name" is built, the library has its text once',
  async ({ patch }) => {
    const source = await readFile(`lib/${patch.file}`, 'utf8');
    expect(source.split(patch.from)).toHaveLength(2);
  },
);
