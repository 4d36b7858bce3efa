import type { ResolvedElectionOptions } from '../core/election-options.js';
import type { RoleElector } from '../elector/leader-elector.js';
import type { ElectionProgress, ElectionStatus, StatusSubject } from './election-status.js';

/**
 * - `up`: this process leads and renews, or follows. A watch that has failed changes nothing: the lease is read instead.
 * - `degraded`: it works and needs attention, though a restart would not help.
 * - `down`: it cannot know whether it leads, and only a restart is sure to end what it does.
 */
export type ElectionHealthStatus = 'up' | 'degraded' | 'down';

/** The health of one role's election in this process. */
export interface ElectionHealth extends ElectionStatus {
  /** `up`, `degraded` or `down`: see {@link ElectionHealthStatus}. */
  readonly status: ElectionHealthStatus;
  /** Why it is not `up`, in one sentence; absent if it is. */
  readonly reason?: string;
}

/** Options of `leadership.health()`. */
export interface ElectionHealthOptions {
  /**
   * How long, in milliseconds, the end of validity may go unnoticed before this process counts as `down`: its event loop
   * does not turn, or its timers do not fire.
   * @default `retryPeriodMs`
   * @example
   * toleranceMs: 5_000
   */
  readonly toleranceMs?: number;
}

interface HealthSubject extends StatusSubject {
  readonly options: StatusSubject['options'] & Pick<ResolvedElectionOptions, 'leaseDurationMs'>;
  readonly elector: StatusSubject['elector'] & Pick<RoleElector, 'openTerm'>;
}

/**
 * By the rule of client-go's health check, a process that holds a term is down once the lease has run out and a tolerance
 * has passed: whatever should have ended the term has not. A follower is up: the cluster must not restart standbys because
 * the store is gone.
 */
export function healthOf(
  subject: HealthSubject,
  progress: ElectionProgress,
  toleranceMs: number,
): ElectionHealth {
  const { leaseDurationMs } = subject.options;
  const { sinceRenewalMs } = progress;
  const status = progress.statusOf(subject);
  // A term has begun, and its end has not been announced in this process.
  const hasOpenTerm = subject.elector.openTerm !== undefined;
  const { isLeader, failures, watchFailures, leaderlessMs } = status;
  if (!isLeader && hasOpenTerm && sinceRenewalMs > leaseDurationMs + toleranceMs) {
    const reason = `its term was not renewed for ${seconds(sinceRenewalMs)} and has not ended here: the event loop is blocked`;
    return { ...status, status: 'down', reason };
  }
  if (isLeader && failures !== undefined) {
    const reason = `renewals fail (${failures.count}); leadership is certain for ${seconds(status.remainingMs)} more: ${failures.message}`;
    return { ...status, status: 'degraded', reason };
  }
  if (leaderlessMs !== undefined && leaderlessMs > leaseDurationMs) {
    const last = failures ?? watchFailures;
    return {
      ...status,
      status: 'degraded',
      reason: `no leader is known for ${seconds(leaderlessMs)}${last ? `: ${last.message}` : ''}`,
    };
  }
  return { ...status, status: 'up' };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
