import { AsyncResource } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import { isSameEnd, type ContainerEnd, type ContainerMark } from '../core/container.js';
import type { Clock, Timer } from '../core/clock.js';
import {
  connectionDueAt,
  holdsUntil,
  leadsUndisputed,
  leadsUntil,
  transition,
} from '../core/election-machine.js';
import {
  type ElectionConfig,
  type ElectionEffect,
  type ElectionEvent,
  type ElectionNotice,
  type ElectionState,
  type RestingMember,
  INITIAL_STATE,
  type Instant,
  type SuccessorChoice,
  type WithdrawalReason,
} from '../core/election-state.js';
import { LeadershipRevokedError } from '../core/errors.js';
import { leaderAddressOf } from '../core/leader-address.js';
import type { LeaderRequest, ObservedLease } from '../core/lease-record.js';
import type { LeaseWatch, ReadOutcome, ResourceLock, WriteOutcome } from '../core/resource-lock.js';
import { createTerm, type RevocationReason, type Term } from '../core/term.js';
import { EarlyConnection } from './early-connection.js';
import { guardedWatch, LockRequests } from './lock-requests.js';
import { rehearseAcquisition } from './rehearsal.js';
import { atHome } from './system-clock.js';
import { within, WorkInFlight } from './work-in-flight.js';

/**
 * Whom an election tells. Calls come one at a time, in the order in which things happened; granted and revoked
 * alternate, one pair per term. An observer must not throw: the election continues, and the error becomes an uncaught
 * one. A rejected promise of a handler only ends the wait for it.
 */
export interface ElectionObserver {
  /** `isLeader()` is already true. The promise is waited for when the term ends. */
  onGranted?(term: Term): void | Promise<void>;
  /** `isLeader()` is already false and the term's signal aborted. The lease is kept until the promise settles. */
  onRevoked?(term: Term, reason: RevocationReason): void | Promise<void>;
  /** Everything that is only told, as the machine says it. */
  onNotice?(notice: ElectionNotice): void;
  /** A request is on its way to the lock. */
  onRequest?(request: SentRequest): void;
  /** Its outcome, before anything follows from it; undefined: it was given up. At most one for each request. */
  onAnswer?(id: number, outcome: ReadOutcome | WriteOutcome | undefined): void;
}

export type SentRequest = Pick<
  Extract<ElectionEffect, { kind: 'request' }>,
  'id' | 'purpose' | 'request'
>;

/** A term that lasts until its signal is aborted. */
export interface OpenTerm {
  readonly term: Term;
  readonly abort: AbortController;
}

export function openTerm(fields: Omit<Term, 'signal'>): OpenTerm {
  const abort = new AbortController();
  // Every job and every run listens: more than ten are no leak, and Node.js would warn of one.
  setMaxListeners(Infinity, abort.signal);
  return { term: createTerm({ ...fields, signal: abort.signal }), abort };
}

export interface ElectorDependencies {
  readonly lock: ResourceLock;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly observer: ElectionObserver;
  /** Looks up the member of this name, at the request of a person; undefined: members are not known. Must not throw. */
  readonly successorFor?: (name: string) => SuccessorChoice | undefined;
}

/** What an application needs of the elector of a role. */
export type RoleElector = Pick<
  LeaderElector,
  | 'containerEnded'
  | 'drain'
  | 'heldForMs'
  | 'isEligible'
  | 'isLeader'
  | 'leader'
  | 'leaderAddress'
  | 'namedInVain'
  | 'nominate'
  | 'observed'
  | 'openTerm'
  | 'release'
  | 'remainingMs'
  | 'resting'
  | 'resume'
  | 'setContainer'
  | 'setCrowd'
  | 'setEligible'
  | 'start'
  | 'stepDown'
  | 'suspend'
  | 'term'
  | 'track'
  | 'wasNamed'
  | 'work'
>;

export type ElectorFactory = (
  config: ElectionConfig,
  dependencies: ElectorDependencies,
) => RoleElector;

const MEMBERS_UNKNOWN: SuccessorChoice = {
  refused: 'this leader knows no other members (option "members"): ask without naming one',
};

/** What an election has seen of its lease. */
export interface ObservedState {
  /** Null: there is none. */
  readonly lease: ObservedLease | null;
  /** When it first saw these times and this holder, on the clock of the election; each renewal changes them. */
  readonly since: number;
}

/** What the elector believes, with the very reading of the clock that decided it. */
export interface ElectionProbe {
  readonly isLeader: boolean;
  readonly now: number;
  /** End of validity on the same clock; undefined while this process does not lead. */
  readonly validUntil: number | undefined;
  readonly term: Term | undefined;
}

/**
 * Drives the machine: performs its effects, feeds the answers back, and is the only place that waits. One instance
 * stands for one role, once: after `release()` it stays stopped.
 */
export class LeaderElector {
  private state: ElectionState = INITIAL_STATE;
  private current: OpenTerm | undefined;
  private wakeUp: { readonly at: number; readonly timer: Timer } | undefined;
  private watch: Pick<LeaseWatch, 'close'> | undefined;
  private hasWatchFailed = false;
  private readonly requests: LockRequests;
  private readonly connection: EarlyConnection;
  /** For work that is to count before it is called; `track()` is for a promise that exists already. */
  readonly work = new WorkInFlight();
  private drained: Promise<void> = Promise.resolve();
  private readonly effects: ElectionEffect[] = [];
  private performing = false;
  private startsSuspended = false;
  private readonly onStopped: (() => void)[] = [];
  /**
   * The async context in which this was made. Timers, requests, the watch and whatever an observer calls belong to it
   * and not to the HTTP request that happened to step down: an AsyncLocalStorage would keep that one for good.
   */
  private readonly home = new AsyncResource('LeaderElector', { requireManualDestroy: true });

  constructor(
    readonly config: ElectionConfig,
    private readonly dependencies: ElectorDependencies,
  ) {
    const { lock, clock } = dependencies;
    this.connection = new EarlyConnection(lock, clock, {
      dueAt: (now) => connectionDueAt(this.state, now, config),
      failed: (error) => this.enqueue([{ kind: 'failed', error }]),
      // In the next turn of the event loop: the first bytes of the connection are on their way by then.
      begun: () => clock.setTimer(() => rehearseAcquisition(this.state, config), 0),
    });
    this.requests = new LockRequests(lock, clock, (answer) => {
      this.tellAnswer(answer.id, answer.outcome);
      this.dispatch(answer);
    });
  }

  /** Begins to compete. Never fails: what cannot be reached is reported to the observer and tried again. */
  start(): void {
    if (this.state.candidacy !== 'idle') return;
    this.dispatch({ kind: 'start' });
    if (this.startsSuspended) this.suspend();
    this.home.runInAsyncScope(() => this.openWatch());
  }

  /** Asks the clocks at every call: true only before the end of validity (R3, R19). */
  isLeader(): boolean {
    const { state } = this;
    if (state.tenure === null) return false;
    if (leadsUndisputed(state, this.dependencies.clock)) return true;
    return this.askClocks().validUntil !== undefined;
  }

  probe(): ElectionProbe {
    const { now, validUntil } = this.askClocks();
    const leads = validUntil !== undefined;
    return { isLeader: leads, now, validUntil, term: leads ? this.current?.term : undefined };
  }

  /** Timers count on the clock that has missed the gap: where a call finds the term over, its end is announced soon. */
  private askClocks(): ReturnType<typeof leadsUntil> {
    const found = leadsUntil(this.state, this.dependencies.clock, this.config);
    if (found.validUntil === undefined && this.state.tenure?.stage === 'leading') {
      this.wakeAt(found.now);
    }
    return found;
  }

  get term(): Term | undefined {
    return this.isLeader() ? this.current?.term : undefined;
  }

  /** The term that has begun and has not been revoked, for a caller that has just heard from `isLeader()`. */
  get openTerm(): Term | undefined {
    return this.current?.term;
  }

  /** Identity of whoever leads as far as this process knows. */
  get leader(): string | undefined {
    return this.state.leader;
  }

  /** Where that leader answers requests; undefined unless its record says it. */
  get leaderAddress(): string | undefined {
    const record = this.state.observation?.lease?.record;
    const isLeaders = record !== undefined && record.holderIdentity === this.state.leader;
    return isLeaders ? leaderAddressOf(record) : undefined;
  }

  /** The lease as this process last saw it, for people; undefined before it has seen anything. */
  get observed(): ObservedState | undefined {
    const { observation } = this.state;
    return observation === null
      ? undefined
      : { lease: observation.lease, since: observation.since };
  }

  /** Milliseconds for which leadership is certain if no further renewal succeeds; 0 when not leading. */
  remainingMs(): number {
    const { validUntil, now } = this.probe();
    return validUntil === undefined ? 0 : validUntil - now;
  }

  /**
   * Milliseconds for which no other process can hold the lease if no further renewal succeeds: as {@link remainingMs}, and
   * while work of an ended term drains, for which the lease is still renewed. 0: another process may hold it.
   */
  heldForMs(): number {
    const { heldUntil, now } = holdsUntil(this.state, this.dependencies.clock, this.config);
    return heldUntil === undefined ? 0 : heldUntil - now;
  }

  /** Work of the current term: the lease is not released before it has ended, nor is another term begun (R10). */
  track(work: PromiseLike<unknown>): void {
    this.work.track(work);
  }

  /**
   * Gives up the current term and competes again no sooner than `cooldownMs` after its work has ended. Leadership has
   * ended when this returns; the lease is released once the work has ended. False if this process did not lead.
   */
  stepDown(
    cooldownMs: number,
    reason: Extract<WithdrawalReason, 'stepped-down' | 'handler-failed'> = 'stepped-down',
  ): boolean {
    if (!this.isLeader()) return false;
    this.dispatch({ kind: 'withdraw', reason, cooldownMs });
    return true;
  }

  /** Stops competing for the lease until `resume()`, and keeps following who leads. */
  suspend(): void {
    this.startsSuspended = true;
    this.dispatch({ kind: 'withdraw', reason: 'suspended', cooldownMs: 0 });
  }

  resume(): void {
    this.startsSuspended = false;
    this.dispatch({ kind: 'resume' });
  }

  /** How many members compete; null: it is not known, and the record's estimate is gone by (R22). */
  setCrowd(candidates: number | null): void {
    this.dispatch({ kind: 'crowd-known', candidates });
  }

  /**
   * Whom the release of the present term is to name, by its member uid; null: no member. May be said and changed until the
   * lease is released, and is forgotten with the term. Who was named in vain is not named (R23).
   */
  nominate(uid: string | null): void {
    if (uid === this.state.successorUid) return;
    this.dispatch({ kind: 'successor-chosen', uid });
  }

  /**
   * It is proved that all processes of this container have ended: a lease whose record names it need not be waited out
   * (R24).
   */
  containerEnded(end: ContainerEnd): void {
    if (this.state.endedContainers.some((known) => isSameEnd(known, end))) return;
    this.dispatch({ kind: 'container-ended', end });
  }

  /**
   * In which container this process runs, by a read that began after this term was granted. The renewals of the term name
   * it (R24).
   */
  setContainer(term: number, container: ContainerMark): void {
    this.dispatch({ kind: 'container-known', term, container });
  }

  /** Members that a release has named and that did not acquire, nor were seen to lead since (R23). */
  get namedInVain(): readonly string[] {
    return this.state.namedInVain;
  }

  /** Whether the present or last term began with a release that named this process (R23). */
  get wasNamed(): boolean {
    return this.state.wasNamed;
  }

  /** Who has given up as unfit to lead, or as a handler failed, and when by the monotonic clock this was first heard of (R25). */
  get resting(): readonly RestingMember[] {
    return this.state.resting;
  }

  /** True unless this process has been ineligible for the grace; it then leaves the lease to others (R25). */
  get isEligible(): boolean {
    return this.state.eligibility.isEligible;
  }

  /** @param mayHandOver another process that is fit to take over is known */
  setEligible(isEligible: boolean, mayHandOver: boolean): void {
    const { eligibility } = this.state;
    const isKnown =
      isEligible === eligibility.isReported && mayHandOver === eligibility.mayHandOver;
    if (!isKnown) this.dispatch({ kind: 'eligibility', isEligible, mayHandOver });
  }

  /**
   * First half of stopping: leadership ends now, and the work of the term is waited for, for up to `drainTimeoutMs`,
   * while the lease is still renewed. True if all of it has ended.
   */
  async drain(): Promise<boolean> {
    this.dispatch({ kind: 'withdraw', reason: 'shutdown', cooldownMs: 0 });
    // Not before the next turn: within an observer, the end of the term is still to be told and its work to be waited for.
    const drained = Promise.resolve()
      .then(() => this.drained)
      .then(() => true);
    const { drainTimeoutMs } = this.config;
    return within(this.dependencies.clock, drainTimeoutMs, drained, () => false);
  }

  /**
   * Second half: releases the lease if everything has drained, and stops for good. Returns within `2 * requestTimeoutMs`;
   * behind a slow server, which gets longer timeouts, at the latest `drainTimeoutMs + 2 * requestTimeoutMs` after the call
   * of `drain()` if that is later. A lease that could not be released by then expires.
   */
  async release(): Promise<void> {
    if (this.state.candidacy !== 'stopped') {
      const stopped = new Promise<void>((resolve) => this.onStopped.push(resolve));
      this.dispatch({ kind: 'finish' });
      await stopped;
    }
  }

  /**
   * Decides at once, so that whoever says `stepDown()` finds leadership ended when the call returns; performs in
   * order, so that what an observer says while it is being told comes after what is still to be told.
   */
  private dispatch(event: ElectionEvent): void {
    const { state, effects } = transition(this.state, event, this.instant(), this.config);
    this.state = state;
    // A connection takes its time, and so may those who hear of the effects.
    this.home.runInAsyncScope(() => this.connection.review());
    this.enqueue(effects);
  }

  private enqueue(effects: readonly ElectionEffect[]): void {
    this.effects.push(...effects);
    if (this.performing) return;
    this.home.runInAsyncScope(() => this.performAll());
  }

  private performAll(): void {
    this.performing = true;
    for (let effect = this.effects.shift(); effect; effect = this.effects.shift()) {
      try {
        this.perform(effect);
      } catch (error) {
        this.throwLater(error);
      }
    }
    this.performing = false;
  }

  /**
   * An observer that breaks its promise not to throw. That must not cost the election its next step, nor be the answer to
   * whoever called it, a lock that reports a change among them: each error is thrown from a timer of its own, and
   * Node.js treats it as uncaught.
   */
  private throwLater(error: unknown): void {
    this.dependencies.clock.setTimer(() => {
      throw error;
    }, 0);
  }

  /** In this order: what began counts from before a gap that falls among the readings, and what is checked from after. */
  private instant(): Instant {
    const { clock, random } = this.dependencies;
    const wallMicros = clock.wallMicros();
    const suspendedMs = clock.suspendedMs();
    const now = clock.now();
    const wallAfterMicros = clock.wallMicros();
    return { now, wallMicros, suspendedMs, wallAfterMicros, random: random() };
  }

  private perform(effect: ElectionEffect): void {
    switch (effect.kind) {
      case 'request':
        this.requests.send(effect);
        return this.dependencies.observer.onRequest?.(effect);
      case 'abandon-request':
        this.requests.abandon(effect.id);
        return this.tellAnswer(effect.id, undefined);
      case 'wake':
        return this.wakeAt(effect.at);
      case 'grant':
        return this.beginTerm(effect.term, effect.fencingToken);
      case 'revoke':
        return this.endTerm(effect.term, effect.reason);
      case 'choose-successor':
        return this.lookUpSuccessor(effect.request);
      case 'stop':
        return this.onMachineStopped();
      default:
        return this.dependencies.observer.onNotice?.(effect);
    }
  }

  private tellAnswer(id: number, outcome: ReadOutcome | WriteOutcome | undefined): void {
    try {
      this.dependencies.observer.onAnswer?.(id, outcome);
    } catch (error) {
      this.throwLater(error);
    }
  }

  /** A standby's wish moves with every renewal it sees. A timer that is set for earlier may stay: it only asks again. */
  private wakeAt(instant: number): void {
    if (this.wakeUp !== undefined) {
      if (this.wakeUp.at <= instant && instant !== Infinity) return;
      this.wakeUp.timer.cancel();
      this.wakeUp = undefined;
    }
    if (instant === Infinity) return;
    const { clock } = this.dependencies;
    const timer = clock.setTimer(
      () => {
        this.wakeUp = undefined;
        this.dispatch({ kind: 'tick' });
      },
      Math.max(0, instant - clock.now()),
    );
    this.wakeUp = { at: instant, timer };
  }

  private beginTerm(number: number, fencingToken: bigint): void {
    const { clock, observer } = this.dependencies;
    this.current = openTerm({
      role: this.config.role,
      number,
      fencingToken,
      holderIdentity: this.config.identity,
      grantedAt: new Date(clock.wallMicros() / 1_000),
    });
    const handled = observer.onGranted?.(this.current.term);
    if (handled !== undefined) this.work.track(handled);
  }

  private endTerm(number: number, reason: RevocationReason): void {
    const { term, abort } = this.current!;
    this.current = undefined;
    // The gate is closed already: the machine's state says so. Signal, then event, then drain (R10).
    abort.abort(new LeadershipRevokedError(this.config.role, number, reason));
    try {
      const handled = this.dependencies.observer.onRevoked?.(term, reason);
      if (handled !== undefined) this.work.track(handled);
    } finally {
      // Also after an observer that throws: the lease would never be released, nor this process compete again.
      this.drained = this.work.ended().then(() => this.dispatch({ kind: 'drained', term: number }));
    }
  }

  private lookUpSuccessor(request: LeaderRequest): void {
    const choice = this.dependencies.successorFor?.(request.successor ?? '') ?? MEMBERS_UNKNOWN;
    this.dispatch({ kind: 'successor-looked-up', request, choice });
  }

  private openWatch(): void {
    this.watch = guardedWatch(
      this.dependencies.lock,
      {
        opening: () => this.dispatch({ kind: 'watch-opening' }),
        opened: () => {
          if (this.hasWatchFailed) this.enqueue([{ kind: 'watch-recovered' }]);
          this.hasWatchFailed = false;
          this.dispatch({ kind: 'watch-opened' });
        },
        changed: (lease, revision) => this.dispatch({ kind: 'watch-changed', lease, revision }),
        holderDied: (timingKey) => this.dispatch({ kind: 'holder-died', timingKey }),
        interrupted: (error) => {
          if (error !== undefined) {
            this.hasWatchFailed = true;
            this.enqueue([{ kind: 'failed', error, of: 'watch' }]);
          }
          this.dispatch({ kind: 'watch-interrupted' });
        },
      },
      // The holder's renewals are the watch's heartbeat. Without one for a lease duration the holder is dead, and
      // another candidate has taken over within two retry periods; only a watch that misses that too is deaf (R21).
      { silenceLimitMs: this.config.leaseDurationMs + 2 * this.config.retryPeriodMs },
    );
  }

  private onMachineStopped(): void {
    this.watch?.close();
    this.watch = undefined;
    for (const resolve of this.onStopped.splice(0)) resolve();
  }
}

export const makeElector: ElectorFactory = (config, dependencies) =>
  atHome(() => new LeaderElector(config, dependencies));
