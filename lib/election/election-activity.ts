import type { Clock } from '../core/clock.js';
import type { ElectionNotice, LockRequest, Purpose } from '../core/election-state.js';
import {
  LeaderElectionOptionsError,
  type LockRequestError,
  type ReportedError,
} from '../core/errors.js';
import type { MemberView } from '../core/member.js';
import type { ReadOutcome, WriteOutcome } from '../core/resource-lock.js';
import type { RevocationReason, Term } from '../core/term.js';
import { titleOf } from '../core/thrown-value.js';
import type { ElectionSource } from './election-channels.js';
import type { ElectionStatus } from './election-status.js';

/** Where a service keeps its {@link ElectionActivity}. */
export const ELECTION_ACTIVITY = Symbol.for('nestjs-leader-election:activity');

/**
 * That of what `createLeaderElection()` resolved with, or of a `LeadershipService`.
 * @param field how the receiver calls it
 * @throws LeaderElectionOptionsError if it is no election of this package
 */
export function activityOf(election: unknown, field: string, receiver: string): ElectionActivity {
  const activity = (election as { [ELECTION_ACTIVITY]?: ElectionActivity } | undefined)?.[
    ELECTION_ACTIVITY
  ];
  if (activity !== undefined) return activity;
  const rule = 'must be an election';
  const fix = 'pass what createLeaderElection() resolved with, or a LeadershipService';
  throw new LeaderElectionOptionsError([{ field, value: election, rule, fix }], receiver);
}

/** What is known of a request that is over; `abandoned`: the election no longer wanted its answer. */
type RequestOutcome = (ReadOutcome | WriteOutcome)['kind'] | 'abandoned';

/**
 * - `run`: the call went through. `skipped`: it returned nothing. `rejected`: it was refused with an error.
 * - `would-skip`: it went through in shadow mode, on a process that does not lead.
 */
export type GateDecision = 'run' | 'skipped' | 'rejected' | 'would-skip';

/** A call that a gate has let through. */
export interface GatedCall {
  /** What is called, e.g. `PlanScheduler.close`; `runIfLeader()` for a function without a name to tell. */
  readonly method: string;
  /** Undefined only in shadow mode, on a process that does not lead. */
  readonly term: Term | undefined;
  /** Present if it is a run of a job or of work that runs once. No gate decides about those: their claim does. */
  readonly run?: ClaimedRun;
}

/** A run as its handler sees it. */
interface ClaimedRun {
  /** When the tick was due; absent for work that runs once. */
  readonly scheduledTime?: Date;
  /** Of work that runs once. */
  readonly version?: string;
  readonly attempt: number;
  /** Aborted when the run is asked to end. */
  readonly signal: AbortSignal;
}

/** The notices of the machine, except those that have a form of their own below. */
type PassedOn = Exclude<
  ElectionNotice,
  { readonly kind: 'eligibility-changed' | 'failed' | 'schedule-changed' }
>;

/** What an election does, in the order in which it happens. Durations are in milliseconds. */
export type ElectionActivityEvent =
  | PassedOn
  /** It begins to compete. */
  | { readonly kind: 'started' }
  /** A request was sent to the lock. One at a time. */
  | ({ readonly kind: 'request-started' } & RequestActivity)
  | ({
      readonly kind: 'request-ended';
      readonly durationMs: number;
      readonly outcome: RequestOutcome;
      /** Present if it failed. */
      readonly error?: LockRequestError;
    } & RequestActivity)
  /**
   * A term has begun. `waitedMs`: since this process began to compete, or competed again. `leaderlessMs`: since the last
   * leader was known to have ended; absent if one was known until now.
   */
  | {
      readonly kind: 'granted';
      readonly term: Term;
      readonly waitedMs: number;
      readonly leaderlessMs?: number;
    }
  /**
   * A term has begun in the election for a lease beside that of the role, for work that runs once. `waitedMs`: since this
   * process began to compete for it. `askedMs`: since the request that got the lease was sent.
   */
  | {
      readonly kind: 'granted-beside';
      readonly term: Term;
      /** What the lock of that lease calls itself. */
      readonly lease: string;
      readonly waitedMs: number;
      readonly askedMs: number;
    }
  /** A term has ended; its drain begins. `heldMs`: how long it lasted. */
  | {
      readonly kind: 'revoked';
      readonly term: Term;
      readonly reason: RevocationReason;
      readonly heldMs: number;
    }
  /** All handlers and work of the ended term have ended. `durationMs`: since the term ended. */
  | { readonly kind: 'drained'; readonly term: Term; readonly durationMs: number }
  /** Something failed; the election continues. */
  | { readonly kind: 'failed'; readonly error: ReportedError }
  /** @param why not; absent if it is eligible */
  | { readonly kind: 'eligibility-changed'; readonly isEligible: boolean; readonly why?: string }
  /** Undefined while they are not known. */
  | { readonly kind: 'members-changed'; readonly members: readonly MemberView[] | undefined }
  /** A gate has decided about a call. Told before the call. */
  | { readonly kind: 'gate'; readonly decision: GateDecision; readonly method: string }
  /** A call that a gate has let through has returned or thrown, and the promise that it returned has settled. */
  | {
      readonly kind: 'call-ended';
      readonly call: GatedCall;
      readonly durationMs: number;
      /** What it threw, in an object: anything can be thrown. */
      readonly thrown?: { readonly error: unknown };
    }
  /** The same of a run of a job or of work that runs once. */
  | {
      readonly kind: 'run-ended';
      readonly call: GatedCall;
      readonly durationMs: number;
      readonly thrown?: { readonly error: unknown };
    }
  /** The lease is released or left to expire, and nothing comes after this. */
  | { readonly kind: 'stopped' };

/** A request, from its start to its end. */
interface RequestActivity {
  readonly id: number;
  readonly purpose: Purpose;
  readonly verb: LockRequest['verb'];
}

/** A job of a role as this process sees it. */
export interface JobActivity {
  readonly name: string;
  /** Computes it: not for every job at every call. */
  state(): JobState;
}

interface JobState {
  /** Whether this process would not start its ticks. */
  readonly isSuspended: boolean;
  /** When its next tick is due, milliseconds since the epoch; null if none is. */
  readonly nextTick: number | null;
  /** From the next tick to the one after it; null if there are no two. */
  readonly intervalMs: number | null;
  /** When a run of it last succeeded anywhere, as far as this process knows; null if it knows of none. */
  readonly lastSuccess: number | null;
}

/** The election as it is now. */
export interface ActivitySubject {
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  status(): ElectionStatus;
}

/** Token of a function that returns the activities of all roles of an application. */
export const ELECTION_ACTIVITIES = Symbol.for(
  'the elections of LeaderElectionModule.forRoot(), which is to be imported as well',
);

/** Hears what an election does. */
export interface ActivityListener {
  /** True: calls of gates are nothing to it, and cost no more than without it. It may hear them for another listener. */
  readonly ignoresCalls?: boolean;
  /**
   * Called in the middle of what it is about, and not waited for.
   * @param at the monotonic clock of the election, milliseconds
   */
  hear?(event: ElectionActivityEvent, at: number): void;
  /**
   * Calls `proceed` before it returns, for example in an async context of its own. `proceed` does not throw, and calls the
   * method once, however often it is called itself; so does the election if this has not.
   */
  around?(call: GatedCall, proceed: () => void): void;
}

interface Subscription {
  readonly listener: ActivityListener;
  hasFailed: boolean;
}

interface Pending extends RequestActivity {
  readonly at: number;
}

/**
 * What the election of one role does, for metrics, traces and events. Nothing is built without a listener. What a listener
 * throws is a warning of the process, once for each, and reaches neither the election nor other listeners.
 */
export class ElectionActivity {
  private subscriptions: readonly Subscription[] = [];
  private pending: Pending | undefined;
  private competingSince = 0;
  private grantedAt = 0;
  private leaderlessSince: number | undefined;
  private jobLists: readonly (() => readonly JobActivity[])[] = [];
  /** Itself where calls are listened to: a gate asks this at each call. */
  observed: this | undefined;

  constructor(
    /** Whose events they are. */
    readonly source: ElectionSource,
    private readonly clock: Pick<Clock, 'now'>,
    readonly subject: ActivitySubject,
  ) {}

  /** Hears everything from now on, until what this returns is called. */
  subscribe(listener: ActivityListener): () => void {
    const subscription: Subscription = { listener, hasFailed: false };
    this.listenWith([...this.subscriptions, subscription]);
    return () => this.listenWith(this.subscriptions.filter((each) => each !== subscription));
  }

  /** Jobs of the role come from there, too. */
  listJobsWith(list: () => readonly JobActivity[]): void {
    this.jobLists = [...this.jobLists, list];
  }

  /** The jobs that this process knows. */
  jobs(): readonly JobActivity[] {
    return this.jobLists.flatMap((list) => list());
  }

  started(): void {
    this.competingSince = this.clock.now();
    this.leaderlessSince = this.competingSince;
    this.tell({ kind: 'started' });
  }

  granted(term: Term): void {
    const now = this.clock.now();
    const { leaderlessSince, competingSince } = this;
    this.grantedAt = now;
    this.leaderlessSince = undefined;
    if (!this.isHeard) return;
    this.tell({
      kind: 'granted',
      term,
      waitedMs: now - competingSince,
      ...(leaderlessSince !== undefined && { leaderlessMs: now - leaderlessSince }),
    });
  }

  /** @param from when this process began to compete, and sent the request that got the lease */
  grantedBeside(
    term: Term,
    lease: string,
    from: { readonly competingSince: number; readonly askedAt: number },
  ): void {
    const now = this.clock.now();
    this.tell({
      kind: 'granted-beside',
      term,
      lease,
      waitedMs: now - from.competingSince,
      askedMs: now - from.askedAt,
    });
  }

  /** @param drained resolves when the work of the term has ended; not called without a listener */
  revoked(term: Term, reason: RevocationReason, drained: () => Promise<void>): void {
    const endedAt = this.clock.now();
    this.competingSince = endedAt;
    if (!this.isHeard) return;
    this.tell({ kind: 'revoked', term, reason, heldMs: endedAt - this.grantedAt });
    void drained().then(() => {
      this.competingSince = this.clock.now();
      this.tell({ kind: 'drained', term, durationMs: this.clock.now() - endedAt });
    });
  }

  notice(notice: ElectionNotice, isLeader: boolean): void {
    switch (notice.kind) {
      case 'eligibility-changed':
      case 'schedule-changed':
        return;
      case 'leader-changed':
        if (notice.leader === undefined) this.leaderlessSince = this.clock.now();
        else if (!isLeader) this.leaderlessSince = undefined;
        return this.tell(notice);
      default:
        return this.tell(notice);
    }
  }

  requested({ id, purpose, request }: RequestTold): void {
    if (!this.isHeard) return;
    this.pending = { id, purpose, verb: request.verb, at: this.clock.now() };
    this.tell({ kind: 'request-started', id, purpose, verb: request.verb });
  }

  /** @param outcome undefined: the request was given up */
  answered(id: number, outcome: ReadOutcome | WriteOutcome | undefined): void {
    const { pending } = this;
    if (pending?.id !== id) return;
    this.pending = undefined;
    if (!this.isHeard) return;
    const { purpose, verb, at } = pending;
    this.tell({
      kind: 'request-ended',
      id,
      purpose,
      verb,
      durationMs: this.clock.now() - at,
      outcome: outcome?.kind ?? 'abandoned',
      ...(outcome !== undefined && 'error' in outcome && { error: outcome.error }),
    });
  }

  failed(error: ReportedError): void {
    if (this.isHeard) this.tell({ kind: 'failed', error });
  }

  /** @param why not; undefined if it is eligible */
  eligibilityChanged(why: string | undefined): void {
    const isEligible = why === undefined;
    this.tell({ kind: 'eligibility-changed', isEligible, ...(why !== undefined && { why }) });
  }

  membersChanged(members: () => readonly MemberView[] | undefined): void {
    if (this.isHeard) this.tell({ kind: 'members-changed', members: members() });
  }

  /** A gate has kept a call from its method. */
  closed(decision: 'skipped' | 'rejected', method: string): void {
    if (this.observed !== undefined) this.tell({ kind: 'gate', decision, method });
  }

  /** A gate lets a call through that it does not make itself. */
  opened(method: string): void {
    if (this.observed !== undefined) this.tell({ kind: 'gate', decision: 'run', method });
  }

  stopped(): void {
    this.tell({ kind: 'stopped' });
  }

  /**
   * Calls what a gate has let through, with the listeners around it. Returns and throws what it does.
   * @param proceed what it returns is adopted already: each `then` of it may be called
   */
  call<T>(decision: GateDecision, call: GatedCall, proceed: () => T): T {
    this.tell({ kind: 'gate', decision, method: call.method });
    return this.followCall('call-ended', call, proceed);
  }

  /** As {@link call}, for a run that is claimed. */
  run<T>(call: GatedCall, proceed: () => T): T {
    return this.observed === undefined ? proceed() : this.followCall('run-ended', call, proceed);
  }

  private followCall<T>(kind: 'call-ended' | 'run-ended', call: GatedCall, proceed: () => T): T {
    const startedAt = this.clock.now();
    let done: { readonly value: T } | { readonly error: unknown } | undefined;
    const once = (): void => {
      if (done !== undefined) return;
      // A listener that calls it within itself is not to call the method twice.
      done = { error: undefined };
      try {
        done = { value: proceed() };
      } catch (error) {
        done = { error };
      }
    };
    this.subscriptions.reduce((inner, each) => this.around(each, call, inner), once)();
    once();
    const ended = (thrown?: { readonly error: unknown }): void => {
      const durationMs = this.clock.now() - startedAt;
      this.tell({ kind, call, durationMs, ...(thrown !== undefined && { thrown }) });
    };
    const outcome = done as unknown as { readonly value: T } | { readonly error: unknown };
    if ('error' in outcome) {
      ended({ error: outcome.error });
      throw outcome.error;
    }
    return followed(outcome.value, ended);
  }

  private around(subscription: Subscription, call: GatedCall, inner: () => void): () => void {
    const { listener } = subscription;
    if (listener.around === undefined) return inner;
    return () => {
      try {
        listener.around?.(call, inner);
      } catch (error) {
        warnOnce(subscription, error);
      }
      inner();
    };
  }

  private get isHeard(): boolean {
    return this.subscriptions.length > 0;
  }

  private tell(event: ElectionActivityEvent): void {
    if (!this.isHeard) return;
    const at = this.clock.now();
    for (const subscription of this.subscriptions) {
      try {
        subscription.listener.hear?.(event, at);
      } catch (error) {
        warnOnce(subscription, error);
      }
    }
  }

  private listenWith(subscriptions: readonly Subscription[]): void {
    this.subscriptions = subscriptions;
    const isCalled = subscriptions.some(({ listener }) => listener.ignoresCalls !== true);
    this.observed = isCalled ? this : undefined;
  }
}

/** A request as the elector sends it. */
export interface RequestTold {
  readonly id: number;
  readonly purpose: Purpose;
  readonly request: LockRequest;
}

/**
 * Hears the end of a promise; what else was returned has ended. The caller gets a promise of its own, as one that is
 * listened to would not be reported where the application forgets to handle its rejection.
 */
function followed<T>(value: T, ended: (thrown?: { readonly error: unknown }) => void): T {
  if (!(value instanceof Promise)) {
    ended();
    return value;
  }
  return value.then(
    (result: unknown) => {
      ended();
      return result;
    },
    (error: unknown) => {
      ended({ error });
      throw error;
    },
  ) as T;
}

function warnOnce(subscription: Subscription, error: unknown): void {
  if (subscription.hasFailed) return;
  subscription.hasFailed = true;
  process.emitWarning(
    `a listener of the election failed, and is called again: ${titleOf(error)}`,
    'LeaderElectionWarning',
  );
}
