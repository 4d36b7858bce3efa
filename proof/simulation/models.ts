import type { ModelBounds } from './model-state.js';

/** D 3, R 2, p 1, T 1. Clocks that move on by 1,000 and 1,500 ms a step differ by as much as that allows for. */
const DURATIONS = {
  leaseDurationMs: 3_000,
  renewDeadlineMs: 2_000,
  retryPeriodMs: 1_000,
  requestTimeoutMs: 1_000,
};

const EXACT = [1_000, 1_000] as const;
const LIMIT = [1_000, 1_500] as const;
const NOTHING = { steps: 5, requests: 3, duplicates: 0, losses: 0, stepDowns: 0, late: 0 };

/** What is explored in full. Together they cover each kind of trouble; all of it at once would be too many states. */
export const MODELS: Readonly<Record<string, ModelBounds>> = {
  'delays only': { ...NOTHING, watching: false, clocks: EXACT, durations: DURATIONS },
  'a late timer': { ...NOTHING, late: 1, watching: false, clocks: EXACT, durations: DURATIONS },
  'a loss': { ...NOTHING, losses: 1, watching: false, clocks: EXACT, durations: DURATIONS },
  'a duplicate': {
    ...NOTHING,
    duplicates: 1,
    watching: false,
    clocks: EXACT,
    durations: DURATIONS,
  },
  'unequal clocks': { ...NOTHING, watching: false, clocks: LIMIT, durations: DURATIONS },
  'a step-down': { ...NOTHING, stepDowns: 1, watching: false, clocks: EXACT, durations: DURATIONS },
  'a watch': { ...NOTHING, steps: 4, watching: true, clocks: EXACT, durations: DURATIONS },
};
