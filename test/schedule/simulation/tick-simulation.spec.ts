import { describe, expect, it } from '@jest/globals';
import { RoleSchedule } from '../../../lib/schedule/runner/role-schedule.js';
import { ScheduleLedger } from '../../../lib/schedule/runner/schedule-ledger.js';
import { FaultCount } from './network-faults.js';
import { simulateTicks } from './tick-simulation.js';

const engine = { RoleSchedule, ScheduleLedger };
const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);
const TICKS = 120;

describe('when three processes all believe that they lead, under every fault', () => {
  it('starts no tick twice, and starts or reports every one', async () => {
    const faults = new FaultCount();
    let started = 0;
    for (const seed of SEEDS) {
      const run = await simulateTicks(engine, seed, TICKS);
      const { doubled, contradicted, silent } = run;
      const sound = { seed, doubled: [], contradicted: [], silent: 0 };
      expect({ seed, doubled, contradicted, silent }).toEqual(sound);
      started += run.started;
      faults.merge(run.faults);
    }
    expect(started).toBeGreaterThan((SEEDS.length * TICKS) / 2);
    expect(Object.keys(faults.counts).sort()).toEqual([
      'answer lost',
      'clock stepped',
      'cut off',
      'duplicated',
      'failed after',
      'failed before',
      'ghost',
      'handed back',
      'killed',
      'not handed back',
      'partitioned',
      'paused',
      'request lost',
      'term lost',
    ]);
  }, 60_000);

  it('is repeatable: a seed tells the whole run', async () => {
    const [one, two] = [await simulateTicks(engine, 5, 60), await simulateTicks(engine, 5, 60)];
    expect(two).toEqual(one);
  });
});
