import type { Mutant } from './mutant.js';
import type { Durations } from './option-draw.js';

const MACHINE = 'core/election-machine.ts';
const VALIDITY = 'core/validity.ts';

/** A sleep of five seconds is longer than what is left between deadline and duration, and shorter than the lease. */
const TIGHT: Durations = {
  leaseDurationMs: 5_000,
  renewDeadlineMs: 4_000,
  retryPeriodMs: 1_000,
  requestTimeoutMs: 2_700,
};

/** What may be wrong with how a holder counts time where one of its clocks misses a gap (R19). */
export const MUTANTS_OF_CLOCKS: readonly Mutant[] = [
  {
    name: 'wall-unasked',
    breaks:
      'R19: nothing tells of a sleep where the platform does not, as the wall clock is not asked',
    patches: [
      {
        file: VALIDITY,
        from: 'return byWall > elapsed + WALL_TOLERANCE_MS ? byWall : elapsed;',
        to: 'return byWall > Infinity ? byWall : elapsed;',
      },
    ],
    traits: { sleeps: true, tellsBootTime: false, lawless: false, restores: false, faultCount: 80 },
    kinds: ['sleep'],
    foundBy: 'disjoint-beliefs',
  },
  {
    name: 'clocks-asked-by-steps-alone',
    breaks: 'R19: isLeader() goes by the monotonic clock until something wakes the election',
    patches: [
      {
        file: MACHINE,
        from: 'return !disagree(now - anchor.now, wallElapsedMs(anchor, wallMicros));',
        to: 'return now > 0 || !disagree(now - anchor.now, wallElapsedMs(anchor, wallMicros));',
      },
    ],
    traits: { sleeps: true, lawless: false, restores: false, faultCount: 80 },
    kinds: ['sleep'],
    foundBy: 'disjoint-beliefs',
  },
  {
    name: 'coarse-sleep',
    breaks: 'R19: sleep of up to five seconds counts as noise between two readings',
    patches: [
      { file: VALIDITY, from: 'SUSPENSION_NOISE_MS = 50;', to: 'SUSPENSION_NOISE_MS = 5_000;' },
    ],
    traits: {
      durations: TIGHT,
      sleeps: true,
      tellsBootTime: true,
      lawless: false,
      restores: false,
      faultCount: 150,
      allKinds: true,
    },
    kinds: ['sleep', 'wall-jump'],
  },
  {
    name: 'clock-set-back-unnoticed',
    breaks:
      'R19: a process restored where the monotonic clock shows less believes until it shows as much again',
    patches: [
      {
        file: MACHINE,
        from: 'return now < state.latestNow - ROUNDING_MS;',
        to: 'return now < 0 * ROUNDING_MS - state.latestNow;',
      },
    ],
    traits: { sleeps: true, tellsBootTime: false, lawless: false, restores: false, faultCount: 60 },
    kinds: ['clock-restore'],
  },
  {
    name: 'wall-always-believed',
    breaks: 'R19: a wall clock that runs away ends one term after the other',
    patches: [
      { file: VALIDITY, from: 'ENDINGS_TO_DISTRUST = 3;', to: 'ENDINGS_TO_DISTRUST = 1_000;' },
    ],
    kinds: ['wall-drift'],
    traits: { faultCount: 60 },
    foundBy: 'wall-flapping',
  },
  {
    name: 'copies-alike',
    breaks: 'R19: two copies of one process write the same time while the wall clock is behind',
    patches: [
      {
        file: 'core/step.ts',
        from: 'const renewMicros = latestMicros + dice;',
        to: 'const renewMicros = Math.max(Math.floor(this.at.wallMicros) + dice, latestMicros);',
      },
    ],
    traits: { clones: true, restores: false, faultCount: 60, allKinds: true },
    kinds: ['clone', 'wall-jump'],
  },
  {
    name: 'copies-are-one',
    breaks: 'R19: what a clone of this process has written counts as written by this process',
    patches: [
      {
        file: 'core/observing.ts',
        from: 'lastAcquisition.renewTimesMicros.includes(record.renewTimeMicros)',
        to: 'record.renewTimeMicros >= record.acquireTimeMicros',
      },
    ],
    traits: { clones: true, restores: false },
    kinds: ['clone'],
  },
  {
    name: 'wall-trusted-at-once',
    breaks: 'R19: a wall clock that was found to be wrong is believed again at the next step',
    patches: [
      {
        file: VALIDITY,
        from: 'return elapsed >= agreesForMs(leaseDurationMs) ? TRUSTED_WALL : trust;',
        to: 'return TRUSTED_WALL;',
      },
    ],
    kinds: ['wall-drift'],
    traits: { faultCount: 60 },
    foundBy: 'wall-flapping',
  },
  {
    name: 'wall-blamed-for-all',
    breaks:
      'R19: each term that runs out counts against the wall clock, which is soon not asked any more',
    patches: [
      {
        file: 'core/holding.ts',
        from: 'if (monotonicElapsedMs(tenure.anchor, step.reading) < step.config.renewDeadlineMs) {',
        to: 'if (monotonicElapsedMs(tenure.anchor, step.reading) < Infinity) {',
      },
    ],
    traits: {
      sleeps: true,
      tellsBootTime: false,
      lawless: false,
      restores: false,
      faultCount: 100,
      allKinds: true,
    },
    kinds: ['sleep', 'drop-requests'],
  },
];
