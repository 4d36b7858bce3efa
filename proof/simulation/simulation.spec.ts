import { describe, expect, it } from '@jest/globals';
import { PRODUCTION, runBatch } from './batch.js';
import { FAILED_ONCE } from './failed-once.js';
import { FAULT_KINDS } from './fault.js';
import { drawScenario } from './scenario-draw.js';
import { longest, slowestClock } from './scenario.js';
import { runSchedule } from './schedule-run.js';

const ALL = { candidates: 3, minutes: 10, kinds: FAULT_KINDS };

describe('the election under simulated faults', () => {
  it.each(FAILED_ONCE)('holds all invariants on seed %d, which once failed', async (seed) => {
    const { failures } = await runBatch({ ...ALL, seed, schedules: 1 });
    expect(failures).toEqual([]);
  });

  it('holds all invariants over two hundred schedules', async () => {
    const { failures, situations } = await runBatch({ ...ALL, seed: 1, schedules: 200 });
    expect(failures).toEqual([]);
    expect(situations.granted).toBeGreaterThan(200);
    expect(situations.takeover).toBeGreaterThan(0);
    expect(situations['ghost-applied-after-revoke']).toBeGreaterThan(0);
    expect(situations['quiet-crash-failover']).toBeGreaterThan(0);
  }, 60_000);

  it('holds all invariants with seven candidates', async () => {
    const batch = { ...ALL, candidates: 7, seed: 9_000, schedules: 10 };
    expect((await runBatch(batch)).failures).toEqual([]);
  }, 60_000);
});

describe('when people delete and edit the lease, and strict mode is off', () => {
  it('has two leaders at once for no longer than a retry period and a request', async () => {
    const fixed = { lawless: true, strict: false, sleeps: false, restores: false, allKinds: true };
    let longestMs = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const scenario = drawScenario({ ...ALL, kinds: ['delete', 'edit'], seed, fixed });
      const { candidates, network } = scenario;
      const slowest = slowestClock(candidates);
      const noticedWithinMs =
        (longest(candidates, 'retryPeriodMs') + longest(candidates, 'requestTimeoutMs')) / slowest +
        network.latestTimerMs;
      const { lawlessOverlapMs } = await runSchedule(scenario, PRODUCTION);
      expect(lawlessOverlapMs).toBeLessThan(noticedWithinMs);
      longestMs = Math.max(longestMs, lawlessOverlapMs);
    }
    expect(longestMs).toBeGreaterThan(0);
  }, 60_000);
});

describe('the simulation', () => {
  it('gives the same trace for the same seed, however often promises are let settle', async () => {
    for (const seed of [3, 4, 5]) {
      const scenario = drawScenario({ ...ALL, seed });
      const fast = { trace: 'digest', checkSettled: false } as const;
      const first = await runSchedule(scenario, PRODUCTION, fast);
      const second = await runSchedule(scenario, PRODUCTION, { ...fast, checkSettled: true });
      expect(first.digest).toMatch(/^[0-9a-f]{8}$/);
      expect(second.digest).toBe(first.digest);
    }
  }, 60_000);

  it('gives other traces for other seeds', async () => {
    const digests = await Promise.all(
      [6, 7].map(async (seed) => {
        const scenario = drawScenario({ ...ALL, seed });
        const { digest } = await runSchedule(scenario, PRODUCTION, {
          trace: 'digest',
          checkSettled: false,
        });
        return digest;
      }),
    );
    expect(new Set(digests).size).toBe(2);
  });

  it('draws the same faults whatever else of the scenario is wished', () => {
    const faultsOf = (minutes: number): unknown =>
      drawScenario({ ...ALL, minutes, seed: 8, fixed: { faultCount: 5 } }).faults.map(
        ({ kind }) => kind,
      );
    expect(faultsOf(20)).toEqual(faultsOf(10));
  });
});
