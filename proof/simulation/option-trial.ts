import { resolveElectionOptions } from '../../lib/core/election-options.js';
import { LeaderElectionOptionsError } from '../../lib/core/errors.js';
import { PRODUCTION } from './batch.js';
import type { FaultKind } from './fault.js';
import type { Durations } from './option-draw.js';
import { RandomStream } from './random-stream.js';
import { drawScenario } from './scenario-draw.js';
import { runSchedule } from './schedule-run.js';
import type { Violation } from './world.js';

/** The server is cut off: for some or for all, one way or both, with requests that arrive after all or do not. */
const CUTS: readonly FaultKind[] = [
  'drop-requests',
  'hold-requests',
  'drop-responses',
  'hold-responses',
  'server-down',
];

export interface OptionTrial {
  readonly options: Readonly<Record<string, unknown>>;
  readonly accepted: boolean;
  readonly violations: readonly Violation[];
}

/** Draws options as careless people write them; those that are accepted must keep beliefs disjoint. */
export async function tryOptions(seed: number): Promise<OptionTrial> {
  const options = drawOptions(new RandomStream(seed, 'options'));
  const durations = accepted(options);
  if (durations === null) return { options, accepted: false, violations: [] };
  return { options, accepted: true, violations: await cutServer(seed, durations) };
}

export async function cutServer(seed: number, durations: Durations): Promise<Violation[]> {
  const { leaseDurationMs: D, requestTimeoutMs: T, retryPeriodMs: p } = durations;
  const scenario = drawScenario({
    seed,
    candidates: 3,
    // Time for the cuts, for a leader after them, and for the calm, by clocks that are slow by up to 30 %.
    minutes: (20 * D + 1.5 * (12 * D + 2 * p + 3 * T + 1_500)) / 60_000,
    kinds: CUTS,
    fixed: {
      durations,
      strict: false,
      lawless: false,
      sleeps: false,
      restores: false,
      clockErrorShare: 0.999,
      faultCount: 12,
      allKinds: true,
    },
  });
  const { violations } = await runSchedule(scenario, PRODUCTION);
  return [...violations];
}

function accepted(options: Readonly<Record<string, unknown>>): Durations | null {
  try {
    return resolveElectionOptions({ role: 'role', ...options }, 'me');
  } catch (error) {
    if (error instanceof LeaderElectionOptionsError) return null;
    throw error;
  }
}

function drawOptions(random: RandomStream): Record<string, number> {
  const leaseDurationMs = random.pick([1_000, 2_000, 2_500, 3_000, 5_000, 10_000, 15_000, 30_000]);
  const drawn = {
    leaseDurationMs,
    renewDeadlineMs: Math.round(leaseDurationMs * random.between(0.05, 1.2)),
    retryPeriodMs: Math.round(leaseDurationMs * random.between(0.02, 0.7)),
    requestTimeoutMs: Math.round(leaseDurationMs * random.between(0.01, 0.7)),
  };
  return Object.fromEntries(Object.entries(drawn).filter(() => random.chance(0.7)));
}
