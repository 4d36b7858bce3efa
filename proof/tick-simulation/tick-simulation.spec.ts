import { describe, expect, it } from '@jest/globals';
import { RunAsker } from '../../lib/schedule/ledger/run-asker.js';
import { SpreadLedger } from '../../lib/schedule/ledger/spread-ledger.js';
import { RoleSchedule } from '../../lib/schedule/runner/role-schedule.js';
import { FaultCount, SOMETIMES } from './network-faults.js';
import { FAULTS, faultsOf, simulateTicks } from './tick-simulation.js';

const engine = { RoleSchedule, SpreadLedger, RunAsker };
const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);
const SECONDS = 120;
const SOUND = Object.fromEntries(FAULTS.map((fault) => [fault, []]));

describe('when three processes all believe that they lead, under every fault', () => {
  it('starts no tick twice, and starts or reports every one', async () => {
    const happened = new FaultCount();
    let [started, ticks] = [0, 0];
    for (const seed of SEEDS) {
      const run = await simulateTicks(engine, seed, SECONDS);
      expect({ seed, ...faultsOf(run) }).toEqual({ seed, ...SOUND });
      started += run.started;
      ticks += run.ticks;
      happened.merge(run.faults);
    }
    expect(started).toBeGreaterThan(ticks / 3);
    expect(SOMETIMES).toEqual(expect.arrayContaining(Object.keys(happened.counts)));
    expect(Object.keys(happened.counts).length).toBeGreaterThan(SOMETIMES.length / 2);
  }, 60_000);

  it('is repeatable: a seed tells the whole run', async () => {
    const [one, two] = [await simulateTicks(engine, 5, 60), await simulateTicks(engine, 5, 60)];
    expect(two).toEqual(one);
  });
});
