import type { Clock } from '../../lib/core/clock.js';
import type { ResourceLock } from '../../lib/core/resource-lock.js';
import type { LeaderElector } from '../../lib/elector/leader-elector.js';
import { closeInTime } from '../../lib/elector/lock-requests.js';

/** Both halves of stopping, with nothing between them. */
export async function drainAndRelease(
  elector: Pick<LeaderElector, 'drain' | 'release'>,
): Promise<void> {
  await elector.drain();
  await elector.release();
}

/** As an application that closes. Rejects with why the lock could not be closed. */
export async function stopElection({
  elector,
  lock,
  clock,
}: {
  readonly elector: LeaderElector;
  readonly lock: ResourceLock;
  readonly clock: Clock;
}): Promise<void> {
  await drainAndRelease(elector);
  await closeInTime(() => lock.close?.(), clock, elector.config.requestTimeoutMs);
}
