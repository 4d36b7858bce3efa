import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import type { ElectionHealthOptions } from '../election/election-health.js';
import { getLeadershipToken } from '../nest/leader-election.tokens.js';
import type { LeadershipService } from '../nest/leadership.service.js';

type Session<Key extends string> = ReturnType<typeof HealthIndicatorService.prototype.check<Key>>;

/** Options of {@link LeadershipHealthIndicator.check}. */
export interface LeadershipHealthOptions extends ElectionHealthOptions {
  /**
   * The role.
   * @default the only one of the application
   * @example
   * role: 'plan-scheduler'
   */
  readonly role?: string;
  /**
   * True makes every follower `down`, so that a Service sends requests to the leader alone. Not for a Deployment with a
   * rolling update: it waits for each new replica to become ready, and the old leader keeps the lease meanwhile.
   * @default false
   * @example
   * readyOnlyWhenLeading: true
   */
  readonly readyOnlyWhenLeading?: boolean;
}

/**
 * Tells Terminus how the election of a role is. Provide it in the module of your health controller, beside
 * `TerminusModule`.
 *
 * Terminus 11 does not know `degraded`: it gets `up`, with `degraded: true` among the details.
 *
 * @example
 * health.check([() => leadershipHealth.check('leadership')]);
 */
@Injectable()
export class LeadershipHealthIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly modules: ModuleRef,
  ) {}

  /**
   * Whether this process is well, as `leadership.health()` says it.
   *
   * @param key what the answer of the health check calls it
   * @throws LeaderElectionOptionsError if `toleranceMs` is not a finite number, zero or more
   */
  check<const Key extends string>(
    key: Key,
    { role, readyOnlyWhenLeading = false, ...options }: LeadershipHealthOptions = {},
  ): HealthIndicatorResult<Key> {
    const leadership = this.modules.get<LeadershipService>(getLeadershipToken(role), {
      strict: false,
    });
    const { status, ...details } = leadership.health(options);
    const session: Partial<Session<Key>> & Omit<Session<Key>, 'degraded'> =
      this.indicators.check(key);
    if (status === 'down') return session.down(details);
    if (readyOnlyWhenLeading && !details.isLeader) {
      return session.down({ ...details, reason: 'this replica does not lead' });
    }
    if (status === 'up') return session.up(details);
    return session.degraded?.(details) ?? session.up({ ...details, degraded: true });
  }
}
