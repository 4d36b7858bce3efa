import { AsyncLocalStorage } from 'node:async_hooks';
import { onAbort } from '../../core/abort-signal.js';
import { type Clock, type Timer, wallMs } from '../../core/clock.js';
import { LeaderElectionError } from '../../core/errors.js';
import type { Term } from '../../core/term.js';
import {
  type ActiveRun,
  cancelledBy,
  type RunCancellation,
  shortReason,
} from '../ledger/job-record.js';
import type { JobDefinition, MissedTicks, ObservedRun, RunOutcome } from './job-definition.js';

/**
 * A signal that is aborted with the first of several, until it is unlinked. Unlike `AbortSignal.any` it leaves nothing
 * behind on a signal that lives long (nodejs/node#54614).
 */
export class LinkedSignal {
  private readonly controller = new AbortController();
  private readonly unlinking: (() => void)[] = [];

  constructor(sources: readonly AbortSignal[] = []) {
    for (const source of sources) this.follow(source);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  follow(source: AbortSignal): void {
    this.unlinking.push(onAbort(source, () => this.abort(source.reason)));
  }

  abort(reason: unknown): void {
    this.controller.abort(reason);
  }

  unlink(): void {
    for (const unlink of this.unlinking.splice(0)) unlink();
  }
}

/** Which run of a job a call comes from. */
const callers = new AsyncLocalStorage<RunWaiter>();

/**
 * A run as a caller that may wait for other runs (`remove()` and `trigger()` do, and a handler may call both). It
 * reveals in advance a wait that would never end, because the awaited run waits for the caller.
 */
export class RunWaiter {
  private readonly awaited = new Map<RunWaiter, number>();

  /** The run whose handler called this code; undefined outside of runs. */
  static get current(): RunWaiter | undefined {
    return callers.getStore();
  }

  call<T>(handler: () => T): T {
    return callers.run(this, handler);
  }

  /** True if this is the other, or waits for it, directly or through further runs. */
  needs(other: RunWaiter, seen = new Set<RunWaiter>()): boolean {
    if (this === other) return true;
    if (seen.has(this)) return false;
    seen.add(this);
    return [...this.awaited.keys()].some((next) => next.needs(other, seen));
  }

  /** Remembers that it waits for others until the work has ended. */
  async during<T>(others: readonly RunWaiter[], work: Promise<T>): Promise<T> {
    for (const other of others) this.awaited.set(other, (this.awaited.get(other) ?? 0) + 1);
    try {
      return await work;
    } finally {
      for (const other of others) this.release(other);
    }
  }

  private release(other: RunWaiter): void {
    const left = (this.awaited.get(other) ?? 0) - 1;
    if (left > 0) this.awaited.set(other, left);
    else this.awaited.delete(other);
  }
}

/** The reason of a run's aborted signal: its successor is due (`concurrencyPolicy: 'Replace'`). Code `ERR_JOB_REPLACED`. */
export class JobReplacedError extends LeaderElectionError {
  readonly code = 'ERR_JOB_REPLACED';

  constructor(
    /** The name of the job. */
    readonly job: string,
  ) {
    super(`Job "${job}": this run gives way to the next (concurrencyPolicy 'Replace').`);
  }
}

/** The reason of a run's aborted signal: it has taken longer than `timeoutMs`. Code `ERR_JOB_TIMEOUT`. */
export class JobTimeoutError extends LeaderElectionError {
  readonly code = 'ERR_JOB_TIMEOUT';

  constructor(
    /** The name of the job. */
    readonly job: string,
    timeoutMs: number,
  ) {
    super(`Job "${job}": this run has taken longer than ${timeoutMs} ms (timeoutMs).`);
  }
}

/** The reason of a run's aborted signal: `LeaderSchedule.cancel()` was called. Code `ERR_JOB_CANCELLED`. */
export class JobCancelledError extends LeaderElectionError {
  readonly code = 'ERR_JOB_CANCELLED';

  constructor(
    /** The name of the job. */
    readonly job: string,
    /** The replica that was asked to cancel it. */
    readonly by: string,
    /** Why; empty if no reason was given. */
    readonly reason: string,
  ) {
    super(`Job "${job}": this run was ${cancelledBy({ by, reason })}.`);
  }
}

/**
 * `trigger()` was called, under `concurrencyPolicy: 'Replace'`, from a run that would have to end first. Code
 * `ERR_JOB_WAITS_FOR_ITSELF`.
 */
export class JobWaitsForItselfError extends LeaderElectionError {
  readonly code = 'ERR_JOB_WAITS_FOR_ITSELF';

  constructor(
    /** The name of the job. */
    readonly job: string,
  ) {
    super(
      `Job "${job}": trigger() was called from a run that has to end before another may start ` +
        `(concurrencyPolicy 'Replace'), so both would wait for each other. Call it when that run has ended, or use ` +
        `concurrencyPolicy 'Allow'.`,
    );
  }
}

/** How long a run that was cancelled, or is to make way for the next, is waited for; as long as a pod has by default. */
export const GRACE_MS = 30_000;

/**
 * `reserved`: it may be started as soon as it is known to be recorded. `overdue`: it was asked to end and has
 * ignored that for so long that it is no longer awaited. `ended`: its end is not yet recorded.
 */
type RunState = 'reserved' | 'running' | 'overdue' | 'ended';

/**
 * A run of this process, from before it is sent to be recorded until its end is: one call of the job's handler, with
 * the signal that ends it. Never rejects.
 */
export class JobRun implements ObservedRun {
  readonly waiter = new RunWaiter();
  readonly ended: Promise<RunOutcome>;
  private finish!: (outcome: RunOutcome) => void;
  /** Resolves when another run may take its place: it has ended, or has ignored its signal for too long. */
  readonly madeWay: Promise<void>;
  private makeWay!: () => void;
  private state: RunState = 'reserved';
  private grace: Timer | undefined;
  private readonly linked = new LinkedSignal();
  /** Why the run was asked to end early although its term lasts. */
  private cutShort: Error | undefined;
  private cancellation: RunCancellation | undefined;

  constructor(
    private readonly definition: JobDefinition,
    readonly record: ActiveRun,
    readonly term: Term,
    private readonly clock: Clock,
  ) {
    this.madeWay = new Promise((resolve) => (this.makeWay = resolve));
    this.ended = new Promise((resolve) => (this.finish = resolve));
  }

  get job(): string {
    return this.definition.name;
  }

  get scheduledTime(): Date {
    return new Date(this.record.scheduledTime);
  }

  get attempt(): number {
    return this.record.attempt ?? 1;
  }

  /** False for a run that gave way to another one, or was cancelled. */
  get mayBeRetried(): boolean {
    return this.cancellation === undefined && !(this.cutShort instanceof JobReplacedError);
  }

  /** True while its handler runs. */
  get isRunning(): boolean {
    return this.state === 'running' || this.state === 'overdue';
  }

  /** True if a tick may have to wait for it. One that ignores its signal for too long is no reason to. */
  get isActive(): boolean {
    return this.state === 'reserved' || this.state === 'running';
  }

  /** True if it was asked to end and has ignored it for so long that it is no longer awaited. */
  get isOverdue(): boolean {
    return this.state === 'overdue';
  }

  /** Calls the handler, once. From its first line on the handler may ask which run it is. */
  start(missed: MissedTicks): void {
    const { definition, term, linked, scheduledTime, attempt } = this;
    const isTriggered = this.record.isTriggered === true;
    this.state = 'running';
    linked.follow(term.signal);
    const { signal } = linked;
    const context = { scheduledTime, isTriggered, attempt, missed, term, signal };
    void this.call(() => definition.run(context)).then((outcome) => {
      this.grace?.cancel();
      this.finish(outcome);
      this.makeWay();
    });
  }

  /** Asks the run to end, so that another may take its place. */
  replace(onOverdue: () => void): void {
    if (this.grace !== undefined) return;
    this.beginGrace(onOverdue);
    this.cut(new JobReplacedError(this.definition.name));
  }

  /** True if it may still be cancelled. */
  get isCancellable(): boolean {
    return this.isRunning && this.cancellation === undefined;
  }

  /** Asks the run to end. Whatever its handler then does, it was cancelled, also if it was asked to end before. */
  cancel(cancellation: RunCancellation, onOverdue: () => void): void {
    if (!this.isCancellable) return;
    this.cancellation = cancellation;
    if (this.grace === undefined) this.beginGrace(onOverdue);
    this.cut(new JobCancelledError(this.definition.name, cancellation.by, cancellation.reason));
  }

  private beginGrace(onOverdue: () => void): void {
    this.grace = this.clock.setTimer(() => {
      this.state = 'overdue';
      this.makeWay();
      onOverdue();
    }, GRACE_MS);
  }

  private async call(handler: () => unknown): Promise<RunOutcome> {
    const begun = this.clock.now();
    const timer = this.limit();
    let failure: { readonly error: unknown } | undefined;
    try {
      // A thenable may do its work in then(): it is adopted here, once.
      await this.waiter.call(handler);
    } catch (error) {
      failure = { error };
    }
    this.state = 'ended';
    timer?.cancel();
    this.linked.unlink();
    return {
      ...this.outcomeAfter(failure ?? (this.cutShort && { error: this.cutShort })),
      endedAt: wallMs(this.clock),
      durationMs: this.clock.now() - begun,
    };
  }

  private outcomeAfter(
    failure: { readonly error: unknown } | undefined,
  ): Pick<RunOutcome, 'succeeded' | 'error' | 'failure' | 'cancellation'> {
    const { cancellation } = this;
    if (cancellation !== undefined) {
      return { succeeded: false, failure: cancelledBy(cancellation), cancellation };
    }
    if (failure === undefined) return { succeeded: true, failure: null };
    return { succeeded: false, ...failure, failure: shortReason(failure.error) };
  }

  private limit(): Timer | undefined {
    const { name, timeoutMs } = this.definition;
    if (timeoutMs === null) return undefined;
    const expire = () => this.cut(new JobTimeoutError(name, timeoutMs));
    return this.clock.setTimer(expire, timeoutMs);
  }

  private cut(reason: Error): void {
    this.cutShort ??= reason;
    this.linked.abort(reason);
  }
}
