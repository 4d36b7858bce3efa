import type { Clock } from '../core/clock.js';
import type { ElectionNotice } from '../core/election-state.js';
import type { ResolvedElectionOptions } from '../core/election-options.js';
import { titleOf } from '../core/thrown-value.js';
import type { RoleElector } from '../elector/leader-elector.js';

/** Failures of one kind. */
export interface RecentFailures {
  /** One line: what failed last. */
  readonly message: string;
  /** When it failed, by the wall clock of this process. */
  readonly at: Date;
  /** How many have failed. */
  readonly count: number;
}

/** The election of one role as this process sees it at one moment. Plain values: nothing of it changes later. */
export interface ElectionStatus {
  /** The role. */
  readonly role: string;
  /** What the lock calls itself, e.g. `Lease default/plan-scheduler`. */
  readonly lock: string;
  /** This process's holder identity for the role. */
  readonly identity: string;
  /** Identity of the leader; absent when none is known. */
  readonly leader?: string;
  /** Whether this process leads. */
  readonly isLeader: boolean;
  /** Number of the term that this process leads. */
  readonly term?: number;
  /** Milliseconds for which leadership is certain if no further renewal succeeds; 0 while this process does not lead. */
  readonly remainingMs: number;
  /** When this process last acquired or renewed the lease, by its wall clock; absent if it never has. */
  readonly lastRenewal?: Date;
  /** Milliseconds since the last leader ended; absent while one is known, and before the election has started. */
  readonly leaderlessMs?: number;
  /** What has failed since this process last renewed the lease, or since the leader last changed; absent if nothing has. */
  readonly failures?: RecentFailures;
  /**
   * The watch of the lease has failed and is not open again: changes are heard at the next read, up to a retry period late.
   * Absent while it has not.
   */
  readonly watchFailures?: RecentFailures;
  /** Whether this process may compete for the lease. */
  readonly isEligible: boolean;
}

/** What the status says of an election, beside what it has been through. */
export interface StatusSubject {
  readonly options: Pick<ResolvedElectionOptions, 'role' | 'identity'>;
  readonly lock: string;
  readonly leader: string | undefined;
  readonly elector: Pick<RoleElector, 'isEligible' | 'remainingMs' | 'term'>;
}

/** The leader as far as this process knows; never this process once its own validity has passed. */
export function knownLeader(
  elector: Pick<RoleElector, 'isLeader' | 'leader'>,
  identity: string,
): string | undefined {
  const { leader } = elector;
  return leader === identity && !elector.isLeader() ? undefined : leader;
}

/** What an election has been through, as far as its status and its health go by it. */
export class ElectionProgress {
  private failures: RecentFailures | undefined;
  private watchFailures: RecentFailures | undefined;
  private renewed: { readonly now: number; readonly at: Date } | undefined;
  private leaderlessSince: number | undefined;

  constructor(private readonly clock: Clock) {}

  /** Milliseconds since the last acquisition or renewal; Infinity if there was none. */
  get sinceRenewalMs(): number {
    return this.clock.now() - (this.renewed?.now ?? -Infinity);
  }

  statusOf({ options, lock, leader, elector }: StatusSubject): ElectionStatus {
    const { failures, watchFailures, renewed, leaderlessSince } = this;
    const { role, identity } = options;
    const { term, isEligible } = elector;
    return Object.freeze({
      role,
      lock,
      identity,
      ...(leader !== undefined && { leader }),
      isLeader: term !== undefined,
      ...(term !== undefined && { term: term.number }),
      remainingMs: elector.remainingMs(),
      ...(renewed !== undefined && { lastRenewal: renewed.at }),
      ...(leaderlessSince !== undefined && { leaderlessMs: this.clock.now() - leaderlessSince }),
      ...(failures !== undefined && { failures }),
      ...(watchFailures !== undefined && { watchFailures }),
      isEligible,
    });
  }

  started(): void {
    this.leaderlessSince = this.clock.now();
  }

  granted(): void {
    this.succeeded();
  }

  tell(notice: ElectionNotice): void {
    if (notice.kind === 'renewed') this.succeeded();
    else if (notice.kind === 'failed') this.failed(notice);
    else if (notice.kind === 'watch-recovered') this.watchFailures = undefined;
    else if (notice.kind === 'leader-changed') {
      this.leaderlessSince = notice.leader === undefined ? this.clock.now() : undefined;
      this.failures = undefined;
    }
  }

  private failed({ error, of }: Extract<ElectionNotice, { readonly kind: 'failed' }>): void {
    const what = titleOf(error);
    if (of === 'watch') {
      const message = `changes of the lease are heard late: ${what}`;
      this.watchFailures = this.oneMore(this.watchFailures, message);
    } else this.failures = this.oneMore(this.failures, what);
  }

  private oneMore(before: RecentFailures | undefined, message: string): RecentFailures {
    return { message, at: this.wallTime(), count: (before?.count ?? 0) + 1 };
  }

  private succeeded(): void {
    this.failures = undefined;
    this.renewed = { now: this.clock.now(), at: this.wallTime() };
  }

  private wallTime(): Date {
    return new Date(this.clock.wallMicros() / 1_000);
  }
}
