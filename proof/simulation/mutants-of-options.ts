import type { Mutant } from './mutant.js';

/** Settings that the options refuse, and clocks that the promise does not cover: shows how close the bound is. */
export const MUTANTS_OF_OPTIONS: readonly Mutant[] = [
  {
    name: 'deadline-too-close',
    breaks: 'R2: D 15, R 14 with clocks that differ by 16 %',
    patches: [],
    traits: {
      durations: {
        leaseDurationMs: 15_000,
        renewDeadlineMs: 14_000,
        retryPeriodMs: 2_000,
        requestTimeoutMs: 3_000,
        unchecked: true,
      },
      clockError: 0.08,
    },
  },
  {
    name: 'deadline-after-duration',
    breaks: 'R2: D 10, R 11, exact clocks',
    patches: [],
    traits: {
      durations: {
        leaseDurationMs: 10_000,
        renewDeadlineMs: 11_000,
        retryPeriodMs: 2_000,
        requestTimeoutMs: 3_000,
        unchecked: true,
      },
      clockError: 0,
    },
  },
  {
    name: 'clocks-too-different',
    breaks: 'H3: rates differ by more than D to R allows (15/10 with 28 % each way)',
    patches: [],
    traits: {
      durations: {
        leaseDurationMs: 15_000,
        renewDeadlineMs: 10_000,
        retryPeriodMs: 2_000,
        requestTimeoutMs: 3_000,
      },
      clockError: 0.28,
    },
  },
  {
    name: 'conflict-is-loss',
    breaks: 'R9: a conflict ends the term; safe, and costs a term after every own ghost',
    patches: [
      {
        file: 'core/holding.ts',
        from: '      // Neither a conflict nor silence says who holds the lease: look at once (R9).',
        to: "      if (outcome.kind === 'conflict') return loseTenure(step, tenure, 'superseded');",
      },
    ],
  },
];
