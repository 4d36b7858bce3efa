import { LeaderElectionError } from './leader-election.error.js';

export interface SlowAcquisitions {
  readonly attempts: number;
  /** How long the answer to the last one took. */
  readonly tookMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  readonly leaseDurationMs: number;
}

/** How much slower than seen the store may be under the durations that are recommended. */
const HEADROOM = 1.25;

/**
 * The store answers acquisitions later than a leader could live with, so that this process does not become leader. Said
 * again less and less often while that lasts. Code `ERR_STORE_TOO_SLOW`.
 */
export class StoreTooSlowError extends LeaderElectionError {
  readonly code = 'ERR_STORE_TOO_SLOW';

  constructor(role: string, slow: SlowAcquisitions) {
    const { attempts, tookMs, renewDeadlineMs, retryPeriodMs, leaseDurationMs } = slow;
    const bearableMs = Math.min(renewDeadlineMs / 2, renewDeadlineMs - retryPeriodMs);
    const neededMs = wholeSeconds(HEADROOM * Math.max(2 * tookMs, tookMs + retryPeriodMs));
    const leaseMs = wholeSeconds((neededMs * leaseDurationMs) / renewDeadlineMs);
    super(
      `Role "${role}": the store of the lock is too slow for a leader. It answered the last ${attempts} acquisitions too ` +
        `late, the last one after ${Math.round(tookMs)} ms; within renewDeadlineMs (${renewDeadlineMs}) two answers in a ` +
        `row must fit, so one may take ${bearableMs} ms at most. Find out what is slow: the store, the network, or the ` +
        `event loop of this process. If the store stays as slow, raise leaseDurationMs to ${leaseMs} and, where it is ` +
        `set, renewDeadlineMs to ${neededMs}; a takeover after a crash then takes as much longer.`,
    );
  }
}

function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1_000) * 1_000;
}
