import { readFile } from 'node:fs/promises';
import { expect, it } from '@jest/globals';
import { MutantBuild } from '../mutants/mutant-build.js';
import { engineOf, SIMULATED_PARTS, TICK_MUTANTS } from './tick-mutants.js';

it.each(TICK_MUTANTS)(
  'when the mutant "$name" is built, the library has its text once',
  async ({ patch }) => {
    const source = await readFile(`lib/${patch.file}`, 'utf8');
    expect(source.split(patch.from)).toHaveLength(2);
  },
);

it('when a mutant is built, the copy of the library can be loaded', async () => {
  const build = await MutantBuild.open(SIMULATED_PARTS);
  try {
    const engine = await engineOf(build, TICK_MUTANTS[0]!);
    expect(engine).toEqual({
      RoleSchedule: expect.any(Function),
      SpreadLedger: expect.any(Function),
      RunAsker: expect.any(Function),
    });
  } finally {
    await build.close();
  }
}, 60_000);

it('when a mutant patches a file that is not there, it is refused', async () => {
  const build = await MutantBuild.open(SIMULATED_PARTS);
  try {
    const patch = { file: 'schedule/runner/gone.ts', from: 'this', to: 'that' };
    const mutant = { name: 'outdated', breaks: 'nothing', patch };
    await expect(engineOf(build, mutant)).rejects.toThrow(
      'there is no lib/schedule/runner/gone.ts',
    );
  } finally {
    await build.close();
  }
}, 60_000);
