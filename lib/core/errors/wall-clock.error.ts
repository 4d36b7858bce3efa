import { LeaderElectionError } from './leader-election.error.js';

/**
 * The wall clock has ended several terms that the monotonic clock and the boot time would not have ended; it is not
 * asked any more until it has agreed with them for a while. Code `ERR_WALL_CLOCK`.
 */
export class WallClockError extends LeaderElectionError {
  readonly code = 'ERR_WALL_CLOCK';

  constructor(role: string, terms: number, agreesForMs: number) {
    super(
      `Role "${role}": the wall clock of this machine jumped forward again and again and ended ${terms} terms, while its ` +
        `other clocks show that no time was missed. It is not asked any more until it has agreed with them for ` +
        `${agreesForMs / 1_000} s. Until then, leadership that a restored snapshot of this machine brings back is not ` +
        `noticed by it. Check what sets the clock: two time services, or a faked time.`,
    );
  }
}
