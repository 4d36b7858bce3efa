import type { Observable } from 'rxjs';
import { onAbort } from '../core/abort-signal.js';
import { ElectionStoppedError, type ReportedError } from '../core/errors.js';
import { checkBoolean, checkedDurationMs } from '../core/option-reader.js';
import type { MemberView } from '../core/member.js';
import { ELECTION_ACTIVITY, type ElectionActivity } from '../election/election-activity.js';
import { GATED_WORK, OPEN_TERM, type CountedWork } from '../election/gated-work.js';
import { NotLeaderError } from './errors.js';
import type { Leadership, Term } from '../core/term.js';
import type { Adopted } from '../elector/work-in-flight.js';
import { GATE_SKIPPED, runGated, runShadowed, shadowOf } from './gated-work.js';
import type { Revocation } from './leadership-streams.js';
import type { ElectionHealth, ElectionHealthOptions } from '../election/election-health.js';
import type { ElectionStatus } from '../election/election-status.js';
import type { RoleElection } from './role-election.js';
import { SHADOW, type ShadowSkips } from './shadow-skips.js';

const ELECTION = Symbol.for('nestjs-leader-election:election');

/** False for what a test puts in place of a service. Either of the two may be a proxy. */
export function isServiceOf(service: object, election: RoleElection): boolean {
  const own = (service as { [ELECTION]?: RoleElection })[ELECTION];
  return own?.elector === election.elector;
}

/**
 * One role's election, as the application sees it. Inject it by class when there is one role, with
 * `@InjectLeadership(role)` when there are several.
 *
 * Every call checks the clock: leadership ends by itself when renewals fail, even in a process whose event loop was
 * blocked (R3). Code that continues after a check needs `term.signal` or `term.fencingToken`.
 */
export class LeadershipService {
  /** Not a private field, which could not be read through a proxy around the instance. */
  declare private readonly [ELECTION]: RoleElection;

  /** @internal */
  constructor(election: RoleElection) {
    Object.defineProperty(this, ELECTION, { value: election });
  }

  /** The role that this service is about. */
  get role(): string {
    return this[ELECTION].role;
  }

  /** This process's holder identity for the role. */
  get identity(): string {
    return this[ELECTION].options.identity;
  }

  /** Whether this process leads now. Costs no request. */
  isLeader(): boolean {
    return this[ELECTION].elector.isLeader();
  }

  /** The current term; undefined while this process is not leader. */
  get term(): Term | undefined {
    return this[ELECTION].elector.term;
  }

  /** Identity of the leader, on followers too; undefined when none is known. */
  get leader(): string | undefined {
    return this[ELECTION].leader;
  }

  /**
   * Where the leader answers HTTP requests, as scheme, host and port; this process's own `address` while it leads. Undefined
   * when no leader is known, and when it does not say so (option `address`). Whoever may write the lease could have written it.
   */
  get leaderAddress(): string | undefined {
    return this[ELECTION].leaderAddress;
  }

  /** The current state at once, then every change. Completes at shutdown, like all streams here; none ever fails. */
  get leadership$(): Observable<Leadership> {
    return this[ELECTION].streams.leadership$;
  }

  /** Every term of this process, when it begins. Not replayed. */
  get granted$(): Observable<Term> {
    return this[ELECTION].streams.granted$;
  }

  /** Every term of this process, when it ends, with the reason. Not replayed. */
  get revoked$(): Observable<Revocation> {
    return this[ELECTION].streams.revoked$;
  }

  /** The current leader at once (undefined when none is known), then every change. */
  get leader$(): Observable<string | undefined> {
    return this[ELECTION].streams.leader$;
  }

  /**
   * The replicas of this application, and which of them leads. Undefined while they are not known, and without the
   * option `members`.
   */
  get members(): readonly MemberView[] | undefined {
    return this[ELECTION].memberViews;
  }

  /** The current members at once (undefined while they are not known), then every change, also of who leads. */
  get members$(): Observable<readonly MemberView[] | undefined> {
    return this[ELECTION].streams.members$;
  }

  /** Failed requests, drains that took too long and handlers that threw, as values. */
  get errors$(): Observable<ReportedError> {
    return this[ELECTION].streams.errors$;
  }

  /**
   * Milliseconds for which leadership is certain if no further renewal succeeds; 0 while this process is not leader.
   */
  remainingMs(): number {
    return this[ELECTION].elector.remainingMs();
  }

  /** The election as this process sees it now. Costs no request. */
  status(): ElectionStatus {
    return this[ELECTION].status;
  }

  /**
   * Whether this process is well, for a probe; a follower is. Costs no request. It can only be asked while the event loop
   * turns: what blocks it for good shows as a probe that is not answered in time.
   * @throws LeaderElectionOptionsError if `toleranceMs` is not a finite number, zero or more
   */
  health(options: ElectionHealthOptions = {}): ElectionHealth {
    checkedDurationMs('health.toleranceMs', options.toleranceMs, 2_000);
    return this[ELECTION].health(options);
  }

  /** Begins to compete for the lease, for `autoStart: false`. Idempotent; without effect once the application shuts down. */
  start(): void {
    this[ELECTION].start();
  }

  /**
   * Resolves with the term as soon as this process is leader. Awaited in an `onApplicationBootstrap` hook it starts the
   * election, which otherwise waits for all of those hooks; in `onModuleInit` it would never resolve.
   * @throws ElectionStoppedError when the application shuts down
   * @throws the reason of `signal` when that is aborted
   */
  waitForLeadership({
    signal,
  }: {
    /**
     * Ends the wait when it is aborted.
     * @default none: the wait ends when this process becomes leader or shuts down
     * @example
     * signal: AbortSignal.timeout(30_000)
     */
    readonly signal?: AbortSignal;
  } = {}): Promise<Term> {
    const { role, isStopping } = this[ELECTION];
    const { term } = this;
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (term !== undefined) return Promise.resolve(term);
    if (isStopping) return Promise.reject(new ElectionStoppedError(role));
    return new Promise((resolve, reject) => {
      const ignoreAbort = onAbort(signal, () => {
        waiting.unsubscribe();
        reject(signal?.reason as Error);
      });
      const waiting = this[ELECTION].streams.granted$.subscribe({
        next: (granted) => {
          waiting.unsubscribe();
          ignoreAbort();
          resolve(granted);
        },
        complete: () => {
          ignoreAbort();
          reject(new ElectionStoppedError(role));
        },
      });
      this[ELECTION].leadershipAwaited();
    });
  }

  /**
   * Calls `work` with the term if this process is leader, and returns what it returned; otherwise returns undefined. The
   * lease is not released before the work has ended: a promise when it settles, an Observable or async iterator, which
   * ends with the term, when its consumer has seen its end. Any other object with a `then` is run once and becomes
   * a promise.
   *
   * @example
   * await leadership.runIfLeader((term) => consumeQueue({ signal: term.signal, fence: term.fencingToken }));
   */
  runIfLeader<T>(work: (term: Term) => T): Adopted<T> | undefined {
    const { term } = this;
    if (term === undefined) {
      this[ELECTION].channels.skipped(RUN_IF_LEADER);
      this[ELECTION].activity.closed('skipped', RUN_IF_LEADER);
      return undefined;
    }
    return runGated(this, RUN_IF_LEADER, () => work(term));
  }

  /**
   * A function that calls `work` while this process is leader and otherwise returns undefined, for jobs made at run
   * time. `this` and the arguments are passed on.
   */
  guard<A extends unknown[], T>(work: (...args: A) => T): (...args: A) => Adopted<T> | undefined {
    const runIfLeader = (call: () => T) => {
      const shadow = shadowOf(this);
      if (shadow === undefined) return this.runIfLeader(call);
      return runShadowed(this, shadow, `guard(${work.name})`, call) as Adopted<T>;
    };
    return function (this: unknown, ...args) {
      return runIfLeader(() => Reflect.apply(work, this, args));
    };
  }

  /**
   * Returns the current term, and throws on a follower: for code that only the leader may run.
   * @throws NotLeaderError while this process is not leader
   */
  assertLeader(): Term {
    const { term, leader, role } = this;
    if (term !== undefined) return term;
    this[ELECTION].activity.closed('rejected', 'assertLeader()');
    throw new NotLeaderError(role, leader);
  }

  /**
   * Gives leadership up, so that another process takes it. Leadership has ended when this returns; then `@OnRevoked`
   * handlers run, work in flight ends, and the lease is released. Returns false if this process was not leader.
   * @throws LeaderElectionOptionsError if `cooldownMs` is not a finite number, zero or more
   */
  stepDown({
    cooldownMs,
  }: {
    /**
     * For how many milliseconds this process does not compete again, counted from the end of its work. A standby
     * without a watch looks once per retry period and needs a request to take the lease; with less than the default,
     * the process that has just stepped down could become leader again.
     * @default twice `retryPeriodMs`
     * @example
     * cooldownMs: 60_000
     */
    readonly cooldownMs?: number;
  } = {}): boolean {
    const { elector, options } = this[ELECTION];
    const otherwise = 2 * options.retryPeriodMs;
    return elector.stepDown(checkedDurationMs('stepDown.cooldownMs', cooldownMs, otherwise));
  }

  /** Gives leadership up, and does not compete again until `resume()`. Still observes who leads. */
  suspend(): void {
    this[ELECTION].elector.suspend();
  }

  /** Competes again after `suspend()`; without effect otherwise. */
  resume(): void {
    this[ELECTION].elector.resume();
  }

  /**
   * Whether this process may compete for the lease: false once it has been unfit to lead for `ineligibleGraceMs`, as
   * {@link setEligible}, an eligibility check or the state of its pod says. It may lead all the same if no other does.
   */
  get isEligible(): boolean {
    return this[ELECTION].elector.isEligible;
  }

  /**
   * Says whether this process is fit to lead, for example while it has no database. What lasts for less than
   * `ineligibleGraceMs` changes nothing. An ineligible process leaves the lease to others for as long as one of them
   * takes it; if it leads, it hands over once to another member that is known to be fit, which takes the option `members`.
   * @param reason why not, for the log
   * @throws LeaderElectionOptionsError if `isEligible` is not a boolean
   */
  setEligible(isEligible: boolean, reason = 'setEligible(false) was called'): void {
    checkBoolean('setEligible.isEligible', isEligible);
    this[ELECTION].setEligible(isEligible, reason);
  }

  /**
   * With `mode: 'shadow'`, how often the gates of this role would have skipped or refused a call in this process, by class
   * and method (`PlanScheduler.close`), or `guard(name of the function)`. Empty otherwise. A copy: it does not change.
   */
  get shadowSkips(): ReadonlyMap<string, number> {
    return this[SHADOW]?.byMethod ?? new Map<string, number>();
  }

  /** @internal what the gates of a role in shadow mode count with */
  get [SHADOW](): ShadowSkips | undefined {
    return this[ELECTION].shadow;
  }

  /** @internal where `@LeaderOnly()` counts its work */
  get [GATED_WORK](): CountedWork {
    return this[ELECTION].elector.work;
  }

  /** @internal the term of a gate that `isLeader()` has just opened */
  get [OPEN_TERM](): Term | undefined {
    return this[ELECTION].elector.openTerm;
  }

  /** @internal what the election does, for metrics, traces and events */
  get [ELECTION_ACTIVITY](): ElectionActivity {
    return this[ELECTION].activity;
  }

  /** @internal where `@LeaderOnly()` reports that it has skipped a method */
  [GATE_SKIPPED](method: string): void {
    this[ELECTION].skipped(method);
  }
}

const RUN_IF_LEADER = 'runIfLeader()';
