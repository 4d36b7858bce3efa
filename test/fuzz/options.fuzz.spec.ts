import { describe, expect, it } from '@jest/globals';
import {
  ELECTION_OPTION_NAMES,
  resolveElectionOptions,
  type ResolvedElectionOptions,
} from '../../lib/core/election-options.js';
import { RETRY_BACKOFF_MS } from '../../lib/core/election-state.js';
import { LeaderElectionOptionsError } from '../../lib/core/errors.js';
import { RandomJson } from './random-json.js';

const OBJECTS = Number(process.env['FUZZ_ROUNDS'] ?? 5_000);
const SEED = 20_261_122;

const GOOD: Record<string, (random: RandomJson) => unknown> = {
  role: () => 'plan-scheduler',
  leaseName: () => 'plan-scheduler.v1',
  namespace: () => 'default',
  identity: (random) => `host_${random.below(1_000)}`,
  application: () => '@acme/plans',
  address: () => 'http://10.1.2.3:3000',
  profile: (random) => ['fast', 'default', 'quiet'][random.below(3)],
  leaseDurationMs: (random) => 1_000 * (2 + random.below(60)),
  renewDeadlineMs: (random) => 1_000 + random.below(40_000),
  retryPeriodMs: (random) => 100 + random.below(5_000),
  requestTimeoutMs: (random) => 100 + random.below(5_000),
  drainTimeoutMs: (random) => random.below(60_000),
  releaseOnShutdown: (random) => random.chance(0.5),
  strict: (random) => random.chance(0.5),
  ineligibleGraceMs: (random) => random.below(60_000),
  events: (random) => random.below(2) === 0,
};

function randomOptions(random: RandomJson): Record<string, unknown> {
  const options: Record<string, unknown> = random.chance(0.9) ? { role: 'plan-scheduler' } : {};
  for (const field of ELECTION_OPTION_NAMES) {
    if (random.chance(0.3))
      options[field] = random.chance(0.1) ? random.value() : GOOD[field]!(random);
  }
  if (random.chance(0.05)) options[random.text()] = random.value();
  return options;
}

function isSafe(resolved: ResolvedElectionOptions): boolean {
  const { leaseDurationMs, renewDeadlineMs, retryPeriodMs, requestTimeoutMs } = resolved;
  return (
    leaseDurationMs % 1_000 === 0 &&
    leaseDurationMs >= 2_000 &&
    renewDeadlineMs <= 0.8 * leaseDurationMs &&
    retryPeriodMs + requestTimeoutMs + RETRY_BACKOFF_MS <= renewDeadlineMs &&
    resolved.identity !== '' &&
    resolved.role !== ''
  );
}

describe(`when ${OBJECTS} random option objects are given (seed ${SEED})`, () => {
  it('accepts only what is safe, and refuses the rest with explained faults and nothing else', () => {
    const random = new RandomJson(SEED);
    let accepted = 0;
    for (let round = 0; round < OBJECTS; round += 1) {
      const options = randomOptions(random);
      try {
        const resolved = resolveElectionOptions(options, 'host_1');
        accepted += 1;
        if (!isSafe(resolved)) throw new Error(`accepted: ${JSON.stringify(options)}`);
      } catch (error) {
        if (!(error instanceof LeaderElectionOptionsError)) throw error;
        const explained = error.faults.every(
          ({ field, rule, fix }) => typeof field === 'string' && rule !== '' && fix !== '',
        );
        if (error.faults.length === 0 || !explained) throw new Error(error.message);
      }
    }
    expect(accepted).toBeGreaterThan(OBJECTS / 20);
    expect(accepted).toBeLessThan(OBJECTS);
  });
});
