import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MutantBuild } from '../mutants/mutant-build.js';
import { FAULT_KINDS } from './fault.js';
import { engineOf, SIMULATED_PARTS } from './mutant.js';
import { killMutant } from './mutant-hunt.js';
import { MUTANTS } from './mutants.js';
import { drawScenario } from './scenario-draw.js';
import { runSchedule } from './schedule-run.js';
import { shrink } from './shrink.js';

let build: MutantBuild;
beforeAll(async () => {
  build = await MutantBuild.open(SIMULATED_PARTS);
});
afterAll(() => build.close());

describe('a wrong election', () => {
  it.each([
    'anchor-end',
    'flag',
    'unknown-counts',
    'get-extends',
    'takeover-from-renew-time',
    'renewals-unseen',
    'release-undrained',
    'second-key',
    'no-settling',
    'no-uid',
    'deadline-after-duration',
    'clocks-asked-by-steps-alone',
    'copies-are-one',
    'fixed-timeout',
    'conflict-never-forgotten',
    'impatient-watch',
    'hands-over-again',
    'hands-over-to-nobody',
    'stale-name-honoured',
    'no-eligibility-grace',
    'ineligible-leads-on',
    'ineligible-competes',
    'let-go-is-first',
    'rest-unread',
    'rest-not-written-on',
    'newest-moves',
    'spread-to-and-fro',
    'any-container-of-the-pod',
    'any-pod-of-the-container',
    'renewed-since',
    'death-outlives-record',
    'container-inherited',
    'proof-unheard',
    'coordinator-overruled',
    'named-overrules-coordinator',
    'coordinator-waited-for',
  ])(
    'is found out: %s',
    async (name) => {
      const mutant = MUTANTS.find((candidate) => candidate.name === name)!;
      const engine = await engineOf(build, mutant);
      const hunt = { firstSeed: 1, schedules: 200, kinds: FAULT_KINDS, untilOverlap: false };
      expect((await killMutant(mutant, engine, hunt)).seedsToKill).not.toBeNull();
    },
    60_000,
  );

  it('is built from the very text of the library: every patch still fits', async () => {
    for (const mutant of MUTANTS) await expect(engineOf(build, mutant)).resolves.toBeDefined();
  }, 120_000);

  it('is refused when the library no longer has the text to be changed', async () => {
    const patches = [{ file: 'core/step.ts', from: 'no such text', to: '' }];
    const mutant = { name: 'outdated', breaks: 'nothing', patches };
    await expect(engineOf(build, mutant)).rejects.toThrow('has this text 0 times');
  });
});

describe('shrinking', () => {
  it('keeps the failure and removes the faults that have no part in it', async () => {
    const mutant = MUTANTS.find(({ name }) => name === 'unknown-counts')!;
    const engine = await engineOf(build, mutant);
    const fails = async (scenario: Parameters<typeof runSchedule>[0]): Promise<boolean> =>
      (await runSchedule(scenario, engine)).violations.length > 0;
    for (let seed = 1; ; seed++) {
      const wishes = { seed, candidates: 3, minutes: 10, kinds: FAULT_KINDS };
      const scenario = drawScenario({ ...wishes, fixed: { faultCount: 20 } });
      if (!(await fails(scenario))) continue;
      const smallest = await shrink(scenario, fails);
      expect(await fails(smallest)).toBe(true);
      expect(smallest.faults.length).toBeLessThan(5);
      return;
    }
  }, 30_000);
});
