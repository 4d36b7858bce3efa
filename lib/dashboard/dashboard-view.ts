/**
 * What the dashboard shows, as plain JSON: the contract of the server and the page. Times are milliseconds since the epoch by the
 * clock of the process that says them; the page shows them relative to `at` of the same part.
 *
 * The stream is Server-Sent Events: `hello` once, then a `part` for each part, then `ready`; from then on a `part` whenever the
 * text of one has changed, with `value: null` when it is gone. After a reconnect the whole begins again: what is not sent before
 * `ready` is gone.
 */
export const PROTOCOL = 1;

export interface Hello {
  readonly protocol: number;
  readonly application: string;
  /** The process that serves this stream; a reconnect may reach another one. */
  readonly replica: string;
  readonly version: string;
  readonly now: number;
  readonly hasActions: boolean;
}

export interface Part {
  /** `role/<role>`, `terms/<role>`, `events/<role>`, `job/<role>/<job>`; role and job percent-encoded. */
  readonly key: string;
  readonly value: RoleView | TermsView | EventsView | JobView | null;
}

export interface RoleView {
  readonly role: string;
  /** `Lease default/plan-scheduler`, `lock file …` */
  readonly lock: string;
  /** Of this process. */
  readonly identity: string;
  readonly at: number;
  /** Null: no process is known to lead. */
  readonly leader: {
    readonly identity: string;
    readonly isThisReplica: boolean;
    readonly term: number;
    /** Null where the record does not say it. */
    readonly since: number | null;
    readonly address: string | null;
  } | null;
  readonly leaderlessSince: number | null;
  /** Of the leader, at the time `at`: exact on the leader itself, on others since the last renewal that they have seen. */
  readonly validity: { readonly remainingMs: number; readonly ofMs: number } | null;
  readonly timing: {
    readonly leaseDurationMs: number;
    readonly renewDeadlineMs: number;
    readonly retryPeriodMs: number;
  };
  /** Of this process, as `health()` says it. */
  readonly health: { readonly status: 'up' | 'degraded' | 'down'; readonly reason: string | null };
  readonly isEligible: boolean;
  /** Null: not known (the option `members`). */
  readonly members: readonly MemberRow[] | null;
  readonly lease: {
    /** One sentence a line. */
    readonly words: readonly string[];
    /** As stored; null if there is none. */
    readonly raw: unknown;
    /** Why it could not be read; null if it was. */
    readonly failure: string | null;
    readonly readAt: number | null;
  };
}

export interface MemberRow {
  readonly name: string;
  readonly isReady: boolean;
  readonly isTerminating: boolean;
  readonly isLeader: boolean;
  readonly isThisReplica: boolean;
  readonly revision: string | null;
  readonly node: string | null;
}

/** Who led when, as this process has seen it; a younger process has seen less. The page joins what it hears from several. */
export interface TermsView {
  readonly role: string;
  readonly seenSince: number;
  /** Oldest first; at most 500. */
  readonly terms: readonly TermSpan[];
}

export interface TermSpan {
  readonly term: number;
  readonly holder: string;
  readonly from: number;
  /** It had begun before this process looked: `from` is what the record says. */
  readonly isFromRecord: boolean;
  /** Null: it leads still. */
  readonly to: number | null;
  /** Why it ended, where this process knows: `shutdown`, `expired`, … */
  readonly reason: string | null;
}

export interface EventsView {
  readonly role: string;
  /** Newest last; at most 200. */
  readonly events: readonly DashboardEvent[];
}

export interface DashboardEvent {
  readonly id: number;
  readonly at: number;
  readonly tone: 'plain' | 'good' | 'warning' | 'bad';
  readonly text: string;
}

export interface JobView {
  readonly role: string;
  readonly job: string;
  readonly at: number;
  /** False: its record cannot be read. */
  readonly isReadable: boolean;
  readonly schedule: string;
  readonly state: 'scheduled' | 'suspended' | 'unknown-to-leader';
  readonly suspension: { readonly by: string; readonly at: number; readonly reason: string } | null;
  readonly nextTick: number | null;
  readonly intervalMs: number | null;
  readonly lastTick: number | null;
  readonly lastSuccess: number | null;
  readonly lastFailure: { readonly at: number; readonly reason: string } | null;
  readonly missedCount: number;
  readonly lastMissed: number | null;
  readonly active: readonly {
    readonly run: string;
    readonly scheduledTime: number;
    readonly startedAt: number;
    readonly holder: string;
    readonly isTriggered: boolean;
    readonly isCancelled: boolean;
  }[];
  /** Oldest first. */
  readonly history: readonly {
    readonly scheduledTime: number;
    readonly startedAt: number;
    readonly endedAt: number;
    readonly holder: string;
    readonly term: number;
    readonly outcome: 'succeeded' | 'failed' | 'cancelled' | 'interrupted';
    readonly reason: string;
    readonly isTriggered: boolean;
    readonly attempt: number;
  }[];
}

/** POST <path>/actions, as JSON. */
export type DashboardAction =
  | { readonly action: 'step-down'; readonly role: string; readonly to?: string }
  | { readonly action: 'trigger' | 'resume'; readonly role: string; readonly job: string }
  | {
      readonly action: 'suspend' | 'cancel';
      readonly role: string;
      readonly job: string;
      readonly reason: string;
    };

/** Its answer, with status 200, 4xx or 5xx. */
export interface ActionResult {
  readonly isDone: boolean;
  /** One sentence for a person: what came of it, or why nothing did and what to do. */
  readonly message: string;
}
