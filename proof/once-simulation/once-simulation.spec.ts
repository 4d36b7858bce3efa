import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { OnceLedger } from '../../lib/schedule/once/once-ledger.js';
import { OnceRole } from '../../lib/schedule/once/once-role.js';
import { MutantBuild } from '../mutants/mutant-build.js';
import { FaultCount } from '../tick-simulation/network-faults.js';
import { engineOf, ONCE_MUTANTS, SIMULATED_PARTS } from './once-mutants.js';
import { simulateOnce, SOMETIMES } from './once-simulation.js';

const engine = { OnceRole, OnceLedger };
const SECONDS = 120;
const SEEDS = 40;
/** More than any mutant takes. */
const MOST_SEEDS = 50;

describe('when three replicas all believe that they lead, under every fault', () => {
  it("runs no version twice with 'fail', never goes back, and is over for all in the end", async () => {
    const happened = new FaultCount();
    let starts = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const run = await simulateOnce(engine, seed, SECONDS);
      expect({ seed, broken: run.broken }).toEqual({ seed, broken: [] });
      starts += run.starts;
      happened.merge(run.faults);
    }
    expect(starts).toBeGreaterThan(2 * SEEDS);
    expect(Object.keys(happened.counts)).toEqual(expect.arrayContaining(SOMETIMES));
  }, 120_000);

  it('is repeatable: a seed tells the whole run', async () => {
    const [one, two] = [await simulateOnce(engine, 5, 60), await simulateOnce(engine, 5, 60)];
    expect(two).toEqual(one);
  });
});

describe('when a rule of what runs once is broken on purpose', () => {
  let build: MutantBuild;
  beforeAll(async () => {
    build = await MutantBuild.open(SIMULATED_PARTS);
  });
  afterAll(() => build.close());

  it.each(ONCE_MUTANTS)(
    'finds out the mutant "$name"',
    async (mutant) => {
      const engineOfMutant = await engineOf(build, mutant);
      const broken: string[] = [];
      for (let seed = 1; broken.length === 0 && seed <= MOST_SEEDS; seed += 1) {
        broken.push(...(await simulateOnce(engineOfMutant, seed, SECONDS)).broken);
      }
      expect(broken).not.toEqual([]);
    },
    120_000,
  );
});
