import { readFile } from 'node:fs/promises';
import { expect, it } from '@jest/globals';
import { TickMutantBuild } from './tick-mutant-build.js';
import { TICK_MUTANTS } from './tick-mutants.js';

it.each(TICK_MUTANTS)(
  'when the mutant "$name" is built, the library has its text once',
  async ({ patch }) => {
    const source = await readFile(`lib/${patch.file}`, 'utf8');
    expect(source.split(patch.from)).toHaveLength(2);
  },
);

it('when a mutant is built, the copy of the library can be loaded', async () => {
  const build = await TickMutantBuild.open();
  try {
    const engine = await build.engineOf(TICK_MUTANTS[0]!);
    expect(engine).toEqual({
      RoleSchedule: expect.any(Function),
      ScheduleLedger: expect.any(Function),
    });
  } finally {
    await build.close();
  }
}, 60_000);
