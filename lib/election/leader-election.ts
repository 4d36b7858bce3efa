import { onAbort } from '../core/abort-signal.js';
import type { Clock } from '../core/clock.js';
import {
  ELECTION_OPTION_NAMES,
  type ElectionOptions,
  readElectionOptions,
  type ResolvedElectionOptions,
} from '../core/election-options.js';
import type { ElectionNotice } from '../core/election-state.js';
import {
  ElectionStoppedError,
  LeaderElectionOptionsError,
  LeadershipHandlerError,
  type ReportedError,
} from '../core/errors.js';
import { checkBoolean, checkedDurationMs, OptionReader } from '../core/option-reader.js';
import type { RevocationReason, Term } from '../core/term.js';
import { messageOf } from '../core/thrown-value.js';
import {
  type ElectionObserver,
  type ElectorFactory,
  makeElector,
  type RoleElector,
} from '../elector/leader-elector.js';
import { closeInTime } from '../elector/lock-requests.js';
import { atHome, SystemClock } from '../elector/system-clock.js';
import type { Adopted } from '../elector/work-in-flight.js';
import { kernelRandom } from '../locks/kernel-entropy.js';
import {
  type LockChoice,
  readLockChoice,
  type SelectedLock,
  selectLock,
} from '../locks/lock-selection.js';
import { MemoryLock } from '../locks/memory/memory.lock.js';
import { ClusterEvents } from './cluster-events.js';
import { ELECTION_ACTIVITY, ElectionActivity } from './election-activity.js';
import { ElectionChannels, sourceOf } from './election-channels.js';
import { type ElectionHealth, type ElectionHealthOptions, healthOf } from './election-health.js';
import { ElectionLogger } from './election-logger.js';
import type { ElectionLog } from './log-entry.js';
import { ElectionProgress, type ElectionStatus, knownLeader } from './election-status.js';
import { GATED_WORK, type GatedLeadership, OPEN_TERM, runGated } from './gated-work.js';
import {
  ApplicationReadiness,
  type HandlerKind,
  type LeadershipHandler,
  LeadershipHandlersDispatcher,
} from './leadership-handlers.dispatcher.js';
import { applicationName, localIdentity } from './own-names.js';
import { RoleEligibility } from './role-eligibility.js';
import { LeaderRunCoordinator, type RunCoordinator } from './run-coordinator.js';
import { runToEnd } from './run-to-end.js';

/** The options of {@link createLeaderElection}: those of the election, where the lease is kept, and where the log goes. */
export interface LeaderElectionOptions extends ElectionOptions {
  /**
   * Where the lease is kept: a name, what `leaseLock()`, `configMapLock()`, `fileLock()` or `memoryLock()` returned, or a
   * ResourceLock of your own. `'auto'` is a Lease in a pod and the memory lock under a test runner. Anywhere else it is
   * the file lock; with `NODE_ENV=production` that is an error, which says what to choose.
   * @default 'auto'
   * @see docs/options.md#which-lock
   * @example
   * lock: leaseLock({ kubeConfig: 'default' })
   */
  readonly lock?: LockChoice;
  /**
   * Where the log goes: `console`, or any object with these four methods. What they throw becomes a warning of the process.
   * @default warnings and errors go to the console, and nothing else is logged
   * @example
   * logger: console
   */
  readonly logger?: ElectionLog;
}

/** The events of a {@link LeaderElection}, and what their listeners are called with. */
export interface LeaderElectionEvents {
  /**
   * This process has become leader; `isLeader()` is true. The listener may run as long as the term. If it throws or rejects
   * while the term lasts, this process steps down, and competes again after `retryPeriodMs` × 2^(such terms in a row), at
   * most 60 s.
   */
  granted: [term: Term];
  /**
   * This process has lost leadership; `isLeader()` is false and `term.signal` aborted. The lease is kept until the listener
   * has ended, for up to `drainTimeoutMs`. Only for terms whose `granted` listeners were called.
   */
  revoked: [term: Term, reason: RevocationReason];
  /** Another process, or this one, has become leader. */
  leader: [identity: string];
  /** A request failed, a drain took too long, or a listener threw. All of them are logged, too, and none stops the election. */
  error: [error: ReportedError];
}

/** A listener of an event. What it returns is waited for where the event says so, promises and async generators. */
export type LeaderElectionListener<E extends keyof LeaderElectionEvents> = (
  ...args: LeaderElectionEvents[E]
) => unknown;

interface ResolvedOptions extends ResolvedElectionOptions {
  readonly lock: LockChoice;
  readonly logger: ElectionLog;
}

/** What tests replace. */
export interface LeaderElectionDependencies {
  readonly clock: Clock;
  readonly random: () => number;
  readonly makeElector: ElectorFactory;
}

/**
 * The election of one role in a process without Nest. It competes for the lease from `start()` to `stop()`.
 *
 * Every call checks the clock: leadership ends by itself when renewals fail, even in a process whose event loop was
 * blocked (R3). Code that continues after a check needs `term.signal` or `term.fencingToken`.
 */
export class LeaderElection {
  private readonly elector: RoleElector;
  private readonly clock: Clock;
  private readonly log: PlainLogger;
  private readonly progress: ElectionProgress;
  private readonly channels: ElectionChannels;
  /** @internal What it does, for metrics, traces and events. */
  readonly [ELECTION_ACTIVITY]: ElectionActivity;
  private readonly eligibility: RoleEligibility;
  private readonly dispatcher: LeadershipHandlersDispatcher;
  private readonly gate: GatedLeadership;
  private readonly coordinator: LeaderRunCoordinator;
  private readonly description: string;
  private readonly events: ClusterEvents | undefined;
  private listeners: readonly Registration[] = [];
  private readonly waiting = new Set<Waiting>();
  private hasStarted = false;
  private stopped: Promise<void> | undefined;

  /** @internal */
  constructor(
    private readonly options: ResolvedOptions,
    private readonly selected: SelectedLock,
    { clock, random, makeElector }: LeaderElectionDependencies,
  ) {
    const { lock } = selected;
    this.clock = clock;
    this.description = lock.describe();
    const isLeaseLasting = !(lock instanceof MemoryLock);
    this.log = new PlainLogger(options, this.description, clock, isLeaseLasting, options.logger);
    this.progress = new ElectionProgress(clock);
    const source = sourceOf(options, this.description);
    this.channels = new ElectionChannels(source, () => this.leader);
    const { leaseDurationMs, renewDeadlineMs } = options;
    const status = (): ElectionStatus => this.status();
    const activity = new ElectionActivity(source, clock, {
      leaseDurationMs,
      renewDeadlineMs,
      status,
    });
    this[ELECTION_ACTIVITY] = activity;
    this.events = ClusterEvents.of(options, lock, clock, (error) => this.log.eventFailed(error));
    this.events?.follow(activity);
    const config = { ...options, isLockInProcess: lock.isInProcess === true };
    const elector = makeElector(config, { lock, clock, random, observer: this.observer() });
    this.elector = elector;
    this.eligibility = new RoleEligibility(elector, (why) => {
      this.log.eligibilityChanged(why, elector.isLeader());
      activity.eligibilityChanged(why);
    });
    this.dispatcher = new LeadershipHandlersDispatcher(options, ready(), {
      holds: (term) => term === elector.term,
      currentLeader: () => this.leader,
      stepDown: (cooldownMs) => void elector.stepDown(cooldownMs, 'handler-failed'),
      report: (error) => this.report(error),
      runToEnd,
      nameOf: (kind) => `on('${EVENT_OF[kind]}')`,
    });
    this.gate = {
      isLeader: () => elector.isLeader(),
      get term() {
        return elector.term;
      },
      get [OPEN_TERM]() {
        return elector.openTerm;
      },
      [GATED_WORK]: elector.work,
      [ELECTION_ACTIVITY]: activity,
    };
    this.coordinator = new LeaderRunCoordinator({
      get term() {
        return elector.term;
      },
      work: elector.work,
      clock,
      lostAfterMs: options.drainTimeoutMs + options.leaseDurationMs,
      allowed: (key) => activity.opened(key),
      skipped: (key) => this.skipped(key),
    });
  }

  /** The role that this election is about. */
  get role(): string {
    return this.options.role;
  }

  /** This process's holder identity. */
  get identity(): string {
    return this.options.identity;
  }

  /** Whether this process leads now. Costs no request. */
  isLeader(): boolean {
    return this.elector.isLeader();
  }

  /** The current term, with its number, fencing token and signal; undefined while this process is not leader. */
  get term(): Term | undefined {
    return this.elector.term;
  }

  /** Identity of the leader, on followers too; undefined when none is known. Never this process once its term has run out. */
  get leader(): string | undefined {
    return knownLeader(this.elector, this.identity);
  }

  /**
   * Where the leader answers HTTP requests, as scheme, host and port; undefined when no leader is known, and when it does not
   * say so (option `address`). Whoever may write the lease could have written it.
   */
  get leaderAddress(): string | undefined {
    return this.leader === undefined ? undefined : this.elector.leaderAddress;
  }

  /** Milliseconds for which leadership is certain if no further renewal succeeds; 0 while this process is not leader. */
  remainingMs(): number {
    return this.elector.remainingMs();
  }

  /** @internal As {@link LeaderElector.heldForMs}: what must have ended before another process can lead has so long. */
  heldForMs(): number {
    return this.elector.heldForMs();
  }

  /** The election as this process sees it now. Costs no request. */
  status(): ElectionStatus {
    return this.progress.statusOf(this.subject);
  }

  /**
   * Whether this process is well, for a probe; a follower is. Costs no request.
   * @throws LeaderElectionOptionsError if `toleranceMs` is not a finite number, zero or more
   */
  health({ toleranceMs }: ElectionHealthOptions = {}): ElectionHealth {
    const { retryPeriodMs } = this.options;
    const checkedMs = checkedDurationMs('health.toleranceMs', toleranceMs, retryPeriodMs);
    return healthOf(this.subject, this.progress, checkedMs);
  }

  /**
   * Calls a function at an event, from inside no call of yours: each starts in a later turn of the promise queue. Add those
   * of `granted` and `revoked` before `start()`, as an event is not repeated.
   * @throws LeaderElectionOptionsError if there is no such event, or the listener is not a function
   */
  on<E extends keyof LeaderElectionEvents>(event: E, listener: LeaderElectionListener<E>): this {
    checkListener('on', event, listener);
    this.listenWith([...this.listeners, { event, listener: listener as Listener }]);
    return this;
  }

  /**
   * No longer calls it. Of a function that was added twice, one is left.
   * @throws LeaderElectionOptionsError if there is no such event, or the listener is not a function
   */
  off<E extends keyof LeaderElectionEvents>(event: E, listener: LeaderElectionListener<E>): this {
    checkListener('off', event, listener);
    const last = this.listeners.findLastIndex(
      (each) => each.event === event && each.listener === listener,
    );
    this.listenWith(this.listeners.filter((_, index) => index !== last));
    return this;
  }

  /**
   * Begins to compete for the lease, and keeps the process alive until `stop()`. Never fails for a store that cannot be
   * reached: that is logged, and tried again. Without effect if it has been called before.
   * @throws ElectionStoppedError after `stop()`: create another election
   */
  start(): void {
    if (this.stopped !== undefined) throw new ElectionStoppedError(this.role);
    if (this.hasStarted) return;
    this.hasStarted = true;
    if (this.selected.remark !== undefined) this.log.remarkOnLock(this.selected.remark);
    this.log.started();
    this[ELECTION_ACTIVITY].started();
    this.progress.started();
    this.elector.start();
  }

  /**
   * Ends leadership and the election, in this order: this process is not a candidate, `isLeader()` is false, the
   * signal of the term is aborted, the listeners of `revoked` and the work in flight are waited for, for up to
   * `drainTimeoutMs` and while the lease is still renewed, and the lease is released. If they take longer, the lease is left
   * to expire instead. Never rejects, and leaves no timer, socket or file behind.
   *
   * Do not await it in a listener, which it waits for.
   */
  stop(): Promise<void> {
    this.stopped ??= this.end();
    return this.stopped;
  }

  /**
   * Resolves with the term as soon as this process is leader. Starts nothing.
   * @throws ElectionStoppedError when the election is stopped
   * @throws the reason of `signal` when that is aborted
   */
  waitForLeadership({
    signal,
  }: {
    /**
     * Ends the wait when it is aborted.
     * @default none: the wait ends when this process becomes leader or the election is stopped
     * @example
     * signal: AbortSignal.timeout(30_000)
     */
    readonly signal?: AbortSignal;
  } = {}): Promise<Term> {
    const { term } = this;
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (term !== undefined) return Promise.resolve(term);
    if (this.stopped !== undefined) return Promise.reject(new ElectionStoppedError(this.role));
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { resolve, reject, ignoreAbort: () => {} };
      this.waiting.add(waiting);
      waiting.ignoreAbort = onAbort(signal, () => {
        this.waiting.delete(waiting);
        reject(signal?.reason as Error);
      });
    });
  }

  /**
   * Calls `work` with the term if this process is leader, and returns what it returned; otherwise returns undefined. The
   * lease is not released before the work has ended: a promise when it settles, an async iterator, which ends with the term,
   * when its consumer has seen its end. `currentTerm()` is the term anywhere below the call.
   */
  runIfLeader<T>(work: (term: Term) => T): Adopted<T> | undefined {
    const { term } = this;
    if (term !== undefined) return runGated(this.gate, RUN_IF_LEADER, () => work(term));
    this.skipped(RUN_IF_LEADER);
    return undefined;
  }

  /**
   * Gives leadership up, so that another process takes it. Leadership has ended when this returns; then listeners of
   * `revoked` run, work in flight ends, and the lease is released. Returns false if this process was not leader.
   * @throws LeaderElectionOptionsError if `cooldownMs` is not a finite number, zero or more
   */
  stepDown({
    cooldownMs,
  }: {
    /**
     * For how many milliseconds this process does not compete again, counted from the end of its work.
     * @default twice `retryPeriodMs`
     * @example
     * cooldownMs: 60_000
     */
    readonly cooldownMs?: number;
  } = {}): boolean {
    const otherwise = 2 * this.options.retryPeriodMs;
    return this.elector.stepDown(checkedDurationMs('stepDown.cooldownMs', cooldownMs, otherwise));
  }

  /** Gives leadership up, and does not compete again until `resume()`. Still observes who leads. */
  suspend(): void {
    this.elector.suspend();
  }

  /** Competes again after `suspend()`; without effect otherwise. */
  resume(): void {
    this.elector.resume();
  }

  /** Whether this process may compete for the lease: see {@link setEligible}. */
  get isEligible(): boolean {
    return this.elector.isEligible;
  }

  /**
   * Says whether this process is fit to lead, for example while it has no database. What lasts for less than
   * `ineligibleGraceMs` changes nothing. An ineligible process leaves the lease to others for as long as one of them takes
   * it; if it leads, it still does until `stepDown()`, as it knows of no other process that is fit.
   * @param reason why not, for the log
   * @throws LeaderElectionOptionsError if `isEligible` is not a boolean
   */
  setEligible(isEligible: boolean, reason = 'setEligible(false) was called'): void {
    checkBoolean('setEligible.isEligible', isEligible);
    const why: unknown = reason;
    this.eligibility.judge('application', isEligible ? undefined : messageOf(why));
  }

  /**
   * For node-cron 4.6: `setRunCoordinator(election.runCoordinator())`, or the option `runCoordinator` of one task. Its tasks
   * with `distributed: true` then run on the leader, and the lease is not released before their runs have ended. The same
   * object at each call.
   */
  runCoordinator(): RunCoordinator {
    return this.coordinator;
  }

  private get subject() {
    const { options, description: lock, leader, elector } = this;
    return { options, lock, leader, elector };
  }

  private async end(): Promise<void> {
    for (const { reject, ignoreAbort } of this.waiting) {
      ignoreAbort();
      reject(new ElectionStoppedError(this.role));
    }
    this.waiting.clear();
    await this.elector.drain();
    await this.elector.release();
    await this.events?.close();
    this.coordinator.close();
    this[ELECTION_ACTIVITY].stopped();
    try {
      const { lock } = this.selected;
      await closeInTime(() => lock.close?.(), this.clock, this.options.requestTimeoutMs);
    } catch (error) {
      this.log.notClosed('the lock', error);
    }
  }

  private observer(): ElectionObserver {
    return {
      onGranted: (term) => {
        this.progress.granted();
        this.log.granted(term);
        this.channels.granted(term);
        this[ELECTION_ACTIVITY].granted(term);
        const handled = this.dispatcher.granted(term);
        for (const { resolve, ignoreAbort } of this.waiting) {
          ignoreAbort();
          resolve(term);
        }
        this.waiting.clear();
        return handled;
      },
      onRevoked: (term, reason) => {
        this.log.revoked(term, reason, this.eligibility.why);
        this.channels.revoked(term, reason);
        this[ELECTION_ACTIVITY].revoked(term, reason, () => this.elector.work.ended());
        return this.dispatcher.revoked(term, reason);
      },
      onNotice: (notice) => this.tell(notice),
      onRequest: (request) => this[ELECTION_ACTIVITY].requested(request),
      onAnswer: (id, outcome) => this[ELECTION_ACTIVITY].answered(id, outcome),
    };
  }

  private skipped(method: string): void {
    this.channels.skipped(method);
    this[ELECTION_ACTIVITY].closed('skipped', method);
  }

  private tell(notice: ElectionNotice): void {
    this.progress.tell(notice);
    this[ELECTION_ACTIVITY].notice(notice, this.elector.isLeader());
    if (notice.kind === 'schedule-changed') return;
    if (notice.kind === 'eligibility-changed') return this.eligibility.announce();
    if (notice.kind === 'ineligible-acquisition') {
      return this.log.ineligibleAcquisition(notice.term, this.eligibility.why);
    }
    this.log.tell(notice);
    if (notice.kind === 'leader-changed') this.dispatcher.leaderChanged(notice.leader);
    else if (notice.kind === 'failed') this.emitError(notice.error);
  }

  private report(error: ReportedError): void {
    this.log.failed(error);
    this[ELECTION_ACTIVITY].failed(error);
    this.emitError(error);
  }

  private emitError(error: ReportedError): void {
    for (const { event, listener } of this.listeners) {
      if (event === 'error') void this.callErrorListener(listener, error);
    }
  }

  /** What it throws is only logged: those that report it would be asked again. */
  private async callErrorListener(listener: Listener, error: ReportedError): Promise<void> {
    try {
      await Promise.resolve();
      await runToEnd(listener(error));
    } catch (thrown) {
      const name = nameOf(listener);
      this.log.failed(new LeadershipHandlerError(this.role, name, "on('error')", thrown));
    }
  }

  private listenWith(listeners: readonly Registration[]): void {
    this.listeners = listeners;
    const handlersOf = (kind: HandlerKind): LeadershipHandler[] =>
      listeners
        .filter(({ event }) => event === EVENT_OF[kind])
        .map(({ listener }) => ({ name: nameOf(listener), call: (...args) => listener(...args) }));
    this.dispatcher.use({
      OnGranted: handlersOf('OnGranted'),
      OnRevoked: handlersOf('OnRevoked'),
      OnNewLeader: handlersOf('OnNewLeader'),
    });
  }
}

const RUN_IF_LEADER = 'runIfLeader()';

type Listener = (...args: readonly unknown[]) => unknown;

interface Registration {
  readonly event: keyof LeaderElectionEvents;
  readonly listener: Listener;
}

interface Waiting {
  readonly resolve: (term: Term) => void;
  readonly reject: (reason: Error) => void;
  ignoreAbort: () => void;
}

const EVENTS: readonly unknown[] = ['granted', 'revoked', 'leader', 'error'];
const EVENT_OF = { OnGranted: 'granted', OnRevoked: 'revoked', OnNewLeader: 'leader' } as const;

function checkListener(method: string, event: unknown, listener: unknown): void {
  const faults = [];
  if (!EVENTS.includes(event)) {
    const rule = `must be one of ${EVENTS.map((name) => JSON.stringify(name)).join(', ')}`;
    faults.push({ field: `${method}.event`, value: event, rule, fix: 'name one of them' });
  }
  if (typeof listener !== 'function') {
    const fix = 'pass one, for example (term) => …';
    faults.push({
      field: `${method}.listener`,
      value: listener,
      rule: 'must be a function',
      fix,
    });
  }
  if (faults.length > 0) throw new LeaderElectionOptionsError(faults, 'LeaderElection');
}

function nameOf(listener: Listener): string {
  const name: unknown = listener.name;
  return typeof name === 'string' && name !== '' ? name : 'a function without a name';
}

/** There is no application to wait for. */
function ready(): ApplicationReadiness {
  const readiness = new ApplicationReadiness();
  readiness.reach();
  return readiness;
}

/** Ends of a term in the words of this API. */
class PlainLogger extends ElectionLogger {
  protected override whyLost(reason: RevocationReason, whyIneligible: string): string {
    if (reason === 'shutdown') return 'stop() was called';
    if (reason === 'handler-failed') return "a listener of 'granted' failed";
    return super.whyLost(reason, whyIneligible);
  }
}

const LOG_METHODS = ['debug', 'log', 'warn', 'error'] as const;

/* eslint-disable no-console -- a script without a logger must see what goes wrong */
const WARNINGS_TO_CONSOLE: ElectionLog = {
  debug: () => {},
  log: () => {},
  warn: (entry) => console.warn(entry.toString()),
  error: (entry) => console.error(entry.toString()),
};
/* eslint-enable no-console */

function readLogger(reader: OptionReader): ElectionLog {
  const logger = reader.get('logger');
  if (logger === undefined) return WARNINGS_TO_CONSOLE;
  const isObject = typeof logger === 'object' && logger !== null;
  const methods = (isObject ? logger : {}) as Record<string, unknown>;
  if (LOG_METHODS.every((method) => typeof methods[method] === 'function')) {
    return logger as ElectionLog;
  }
  const rule = `must be an object with the methods ${LOG_METHODS.join(', ')}`;
  reader.fault('logger', logger, rule, 'use for example console, or leave it out');
  return WARNINGS_TO_CONSOLE;
}

export function readLeaderElectionOptions(options: unknown): ResolvedOptions {
  const reader = new OptionReader(options, [...ELECTION_OPTION_NAMES, 'lock', 'logger']);
  const read = {
    ...readElectionOptions(reader, localIdentity(), applicationName()),
    lock: readLockChoice(reader),
    logger: readLogger(reader),
  };
  reader.check();
  return read;
}

/** @internal as {@link createLeaderElection}, with a clock and chance of a test */
export async function leaderElectionWith(
  options: LeaderElectionOptions,
  dependencies: LeaderElectionDependencies,
): Promise<LeaderElection> {
  try {
    const read = readLeaderElectionOptions(options);
    const selected = await atHome(() => selectLock(read.lock, read));
    return new LeaderElection(read, selected, dependencies);
  } catch (error) {
    if (!(error instanceof LeaderElectionOptionsError)) throw error;
    throw new LeaderElectionOptionsError(error.faults, 'createLeaderElection()');
  }
}

/**
 * Makes the election of one role for a process without Nest. It competes for the lease once it is started, and needs no
 * package beside this one; a lock with a kubeconfig needs `@kubernetes/client-node`.
 *
 * Installs no signal handlers and never ends the process: on SIGTERM call `stop()`, so that the next leader need not wait
 * for the lease to expire.
 *
 * @throws LeaderElectionOptionsError with every option that cannot be used
 * @example
 * const election = await createLeaderElection({ role: 'billing-worker' });
 * election.on('granted', (term) => consumeQueue({ signal: term.signal, fence: term.fencingToken }));
 * process.once('SIGTERM', () => election.stop());
 * election.start();
 */
export function createLeaderElection(options: LeaderElectionOptions): Promise<LeaderElection> {
  return leaderElectionWith(options, {
    clock: atHome(() => new SystemClock()),
    random: kernelRandom,
    makeElector,
  });
}
