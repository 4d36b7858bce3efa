import { onAbort } from '../core/abort-signal.js';
import type { ResolvedElectionOptions } from '../core/election-options.js';
import { LeadershipHandlerError, type ReportedError } from '../core/errors.js';
import type { RevocationReason, Term } from '../core/term.js';
import { causeOf } from '../core/thrown-value.js';
import { runInTerm } from './current-term.js';

/** A function that is called when leadership changes. */
export interface LeadershipHandler {
  /** What people call it, e.g. class and method: `PlanScheduler.start`. */
  readonly name: string;
  call(...args: readonly unknown[]): unknown;
}

/** Which event a handler is for, named as its decorator is. */
export type HandlerKind = 'OnGranted' | 'OnRevoked' | 'OnNewLeader';

/** The handlers of one role, in the order in which they were found. */
export type LeadershipHandlers = Readonly<Record<HandlerKind, readonly LeadershipHandler[]>>;

/**
 * Whether the application has been initialised. Until then handlers wait, whatever the election does, as a
 * handler may use anything that another hook prepares.
 */
export class ApplicationReadiness {
  private reached = false;
  private announce!: () => void;
  private readonly announced = new Promise<void>((resolve) => {
    this.announce = resolve;
  });

  get isReached(): boolean {
    return this.reached;
  }

  reach(): void {
    this.reached = true;
    this.announce();
  }

  /** Resolves once it is reached. */
  whenReached(): Promise<void> {
    return this.announced;
  }

  /** Resolves once it is reached or the signal is aborted, whichever is first. */
  whenReachedOr(signal: AbortSignal): Promise<void> {
    if (this.reached || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      onAbort(signal, resolve);
      void this.announced.then(resolve);
    });
  }
}

const LONGEST_BACKOFF_MS = 60_000;

/** What the dispatcher needs of the election. */
export interface DispatchedElection {
  /** The term belongs to this process and has not ended by the clock. */
  holds(term: Term): boolean;
  currentLeader(): string | undefined;
  stepDown(cooldownMs: number): void;
  report(error: ReportedError): void;
  /** What a handler returned, as a promise or value that ends with its work. */
  runToEnd(result: unknown, signal?: AbortSignal): unknown;
  /** How people write that something is a handler of this kind, e.g. `@OnGranted()`. */
  nameOf(kind: HandlerKind): string;
}

interface AttemptOptions {
  /** True if what the handler threw is no failure. */
  readonly isExpected?: (error: unknown) => boolean;
  readonly onFailure?: () => void;
}

/**
 * Calls the handlers of one role. No call is made from inside the election: each starts in a later turn of
 * the promise queue, so that a handler that gives leadership up finds it gone when that call returns.
 *
 * A term's handlers are called as a pair or not at all: when it ends before its granted handlers have begun (the
 * application was still starting, or a subscriber stepped down at once), neither kind is called for it.
 */
export class LeadershipHandlersDispatcher {
  private handlers: LeadershipHandlers = { OnGranted: [], OnRevoked: [], OnNewLeader: [] };
  private begun: Term | undefined;
  private failedTerms = 0;
  private leaderIsDue = false;

  constructor(
    private readonly options: Pick<ResolvedElectionOptions, 'role' | 'retryPeriodMs'>,
    private readonly readiness: ApplicationReadiness,
    private readonly election: DispatchedElection,
  ) {}

  use(handlers: LeadershipHandlers): void {
    this.handlers = handlers;
  }

  /** Settles when all handlers have ended; the lease is kept until then. */
  async granted(term: Term): Promise<void> {
    await this.readiness.whenReachedOr(term.signal);
    if (!this.election.holds(term)) return;
    this.begun = term;
    const outcomes = await Promise.all(
      this.handlers.OnGranted.map((handler) => this.callGranted(handler, term)),
    );
    if (outcomes.every((succeeded) => succeeded)) this.failedTerms = 0;
  }

  /** Starts at once, even while granted handlers of the term still run: they may be waiting for its signal. */
  async revoked(term: Term, reason: RevocationReason): Promise<void> {
    if (this.begun !== term) return;
    this.begun = undefined;
    await Promise.resolve();
    await Promise.all(
      this.handlers.OnRevoked.map((handler) =>
        this.attempt('OnRevoked', handler, () =>
          this.election.runToEnd(handler.call(term, reason)),
        ),
      ),
    );
  }

  /** Calls start in the order of the changes. While the application starts, only the last of them counts. */
  leaderChanged(leader: string | undefined): void {
    if (this.readiness.isReached) {
      void Promise.resolve().then(() => this.callNewLeader(leader));
    } else if (!this.leaderIsDue) {
      this.leaderIsDue = true;
      void this.readiness
        .whenReached()
        .then(() => this.callNewLeader(this.election.currentLeader()));
    }
  }

  private async callNewLeader(leader: string | undefined): Promise<void> {
    if (leader === undefined) return;
    await Promise.all(
      this.handlers.OnNewLeader.map((handler) =>
        this.attempt('OnNewLeader', handler, () => this.election.runToEnd(handler.call(leader))),
      ),
    );
  }

  private async callGranted(handler: LeadershipHandler, term: Term): Promise<boolean> {
    const run = () =>
      runInTerm(term, () => this.election.runToEnd(handler.call(term), term.signal));
    return this.attempt('OnGranted', handler, run, {
      isExpected: (error) => isAbortBy(term.signal, error),
      onFailure: () => this.giveUp(term),
    });
  }

  /** Only the first failure of a term finds the term still held. */
  private giveUp(term: Term): void {
    if (!this.election.holds(term)) return;
    this.failedTerms += 1;
    this.election.stepDown(
      Math.min(LONGEST_BACKOFF_MS, this.options.retryPeriodMs * 2 ** this.failedTerms),
    );
  }

  private async attempt(
    kind: HandlerKind,
    handler: LeadershipHandler,
    run: () => unknown,
    { isExpected, onFailure }: AttemptOptions = {},
  ): Promise<boolean> {
    try {
      await run();
      return true;
    } catch (error) {
      if (isExpected?.(error)) return true;
      // This comes first, whatever reporting the error sets off.
      onFailure?.();
      const { role } = this.options;
      this.election.report(
        new LeadershipHandlerError(role, handler.name, this.election.nameOf(kind), error),
      );
      return false;
    }
  }
}

/**
 * A worker that ends on the term's signal does what it should. It rejects with the signal's reason, as fetch does, or
 * with an error caused by it, as Node's timers and events do.
 */
function isAbortBy(signal: AbortSignal, error: unknown): boolean {
  if (!signal.aborted) return false;
  return error === signal.reason || causeOf(error) === signal.reason;
}
