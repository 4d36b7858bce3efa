import {
  defer,
  EMPTY,
  finalize,
  from,
  isObservable,
  Observable,
  takeUntil,
  throwError,
} from 'rxjs';
import { onAbort } from '../core/abort-signal.js';
import { adoptWork, type Adopted } from '../elector/work-in-flight.js';
import type { Term } from '../core/term.js';
import { runInTerm } from './current-term.js';
import { SHADOW, type ShadowSkips } from './shadow-skips.js';
import { isTerm } from './service-override.js';
import { isStream, type Stream } from './run-to-end.js';

/** Where a gate counts its work. A service without it, as in a unit test, has no term that waits for work. */
export const GATED_WORK = Symbol.for('nestjs-leader-election:gated-work');

/** Where a gate that has asked `isLeader()` gets the term, without asking the clock again. */
export const OPEN_TERM = Symbol.for('nestjs-leader-election:open-term');

/** Where a gate reports that it has skipped a method. */
export const GATE_SKIPPED = Symbol.for('nestjs-leader-election:gate-skipped');

/** What a gate needs of the service; a stand-in of a unit test may have `isLeader()` alone. */
export interface GateLeadership {
  isLeader(): boolean;
  readonly role?: string;
  readonly leader?: string | undefined;
  readonly term?: Term | undefined;
  readonly [GATED_WORK]?: CountedWork;
  readonly [OPEN_TERM]?: Term | undefined;
  readonly [SHADOW]?: ShadowSkips | undefined;
  [GATE_SKIPPED]?(method: string): void;
}

/** Each `begin` has one `end` with the same name, so that a test can see what it left running. */
export interface CountedWork {
  begin(name: string): void;
  end(name: string): void;
}

/**
 * Calls work of the current term. It counts as in flight from before the call until its result has settled, or until
 * the stream that it returned has ended. A stream ends with the term at the latest.
 */
export function runGated<T>(leadership: GateLeadership, name: string, work: () => T): Adopted<T> {
  const inFlight = leadership[GATED_WORK];
  inFlight?.begin(name);
  let result: T;
  try {
    result = runInTerm(openTermOf(leadership), work);
  } catch (error) {
    inFlight?.end(name);
    throw error;
  }
  return settleWork(leadership, name, result);
}

/** Of a leadership whose `isLeader()` has just been true; undefined for a stand-in that has none. */
export function openTermOf(leadership: GateLeadership): Term | undefined {
  const open = leadership[OPEN_TERM];
  // A mock has a function for every property.
  if (typeof open === 'object') return open;
  const { term } = leadership;
  return isTerm(term) ? term : undefined;
}

/**
 * The second half of {@link runGated}, for work that has been counted and called: makes what its caller gets.
 *
 * @param onEnd the error that a consumer of the stream gets when the term ends first; without one the stream completes
 */
export function settleWork<T>(
  leadership: GateLeadership,
  name: string,
  result: T,
  onEnd: EndReason = () => undefined,
): Adopted<T> {
  return adoptWork<T>(
    result,
    () => leadership[GATED_WORK]?.end(name),
    (value) => (isStream(value) ? endWithTerm(value, leadership, name, onEnd) : value),
  );
}

/** Undefined: the stream simply completes. */
type EndReason = () => Error | undefined;

/** A stream that works while the term lasts: from its first consumer to its end it counts as work in flight. */
function endWithTerm(
  stream: Stream,
  leadership: GateLeadership,
  name: string,
  onEnd: EndReason,
): Stream {
  return isObservable(stream)
    ? observableOfTerm(stream, leadership, name, onEnd)
    : new IteratorOfTerm(stream, leadership, name, onEnd);
}

function observableOfTerm(
  source: Observable<unknown>,
  leadership: GateLeadership,
  name: string,
  onEnd: EndReason,
): Observable<unknown> {
  return defer(() => {
    // Before the check: the term may run out between the two, and then none would end the stream.
    const { term } = leadership;
    if (!leadership.isLeader()) return ending(onEnd());
    const inFlight = leadership[GATED_WORK];
    inFlight?.begin(name);
    return inTerm(term, from(source)).pipe(
      takeUntil(endOfTerm(term, onEnd)),
      finalize(() => inFlight?.end(name)),
    );
  });
}

/** The work of a stream is done while it is subscribed to. */
function inTerm<T>(term: Term | undefined, source: Observable<T>): Observable<T> {
  return new Observable((subscriber) => runInTerm(term, () => source.subscribe(subscriber)));
}

function ending(reason: Error | undefined): Observable<never> {
  return reason === undefined ? EMPTY : throwError(() => reason);
}

/** Emits, or fails with the reason, when the term's signal is aborted. */
function endOfTerm(term: GateLeadership['term'], onEnd: EndReason): Observable<true> {
  return new Observable((subscriber) =>
    onAbort(term?.signal, () => {
      const reason = onEnd();
      if (reason === undefined) subscriber.next(true);
      else subscriber.error(reason);
    }),
  );
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** When the term ends the source is made to return, even while its consumer does not ask for more. */
class IteratorOfTerm implements AsyncIterableIterator<unknown> {
  private state: 'new' | 'running' | 'revoked' | 'over' = 'new';
  private isCounted = false;
  private term: Term | undefined;
  private ignoreAbort: () => void = () => {};
  /** The error of the source when it was made to return; its consumer gets it instead of the end. */
  private failure: { readonly error: unknown } | undefined;

  constructor(
    private readonly source: AsyncIterableIterator<unknown>,
    private readonly leadership: GateLeadership,
    private readonly name: string,
    private readonly onEnd: EndReason,
  ) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(...args: [] | [unknown]): Promise<IteratorResult<unknown>> {
    if (this.state === 'new') this.begin();
    if (this.state === 'revoked') return this.tellEnd();
    if (this.state === 'over') return DONE;
    return this.passOn(runInTerm(this.term, () => this.source.next(...args)));
  }

  async return(value?: unknown): Promise<IteratorResult<unknown>> {
    const returned = await this.passOn(
      runInTerm(this.term, () => this.source.return?.(value)) ??
        Promise.resolve({ done: true, value }),
    );
    this.end();
    return returned;
  }

  async throw(error?: unknown): Promise<IteratorResult<unknown>> {
    return this.passOn(
      runInTerm(this.term, () => this.source.throw?.(error)) ?? Promise.reject(error as Error),
    );
  }

  private async passOn(asked: Promise<IteratorResult<unknown>>): Promise<IteratorResult<unknown>> {
    try {
      const result = await asked;
      if (result.done !== true) return result;
      this.end();
      return this.isRevoked() ? this.tellEnd() : result;
    } catch (error) {
      this.end();
      throw error;
    }
  }

  private begin(): void {
    // Before the check, as for an Observable.
    const { term } = this.leadership;
    if (!this.leadership.isLeader()) {
      this.state = 'revoked';
      return;
    }
    this.state = 'running';
    this.term = term;
    this.isCounted = true;
    this.leadership[GATED_WORK]?.begin(this.name);
    this.ignoreAbort = onAbort(term?.signal, () => this.revoke());
  }

  private revoke(): void {
    this.state = 'revoked';
    const { source } = this;
    void (async () => runInTerm(this.term, () => source.return?.()))()
      .catch((error: unknown) => {
        this.failure = { error };
      })
      .then(() => this.end());
  }

  private isRevoked(): boolean {
    return this.state === 'revoked';
  }

  private tellEnd(): IteratorResult<unknown> {
    this.state = 'over';
    if (this.failure !== undefined) throw this.failure.error;
    const reason = this.onEnd();
    if (reason !== undefined) throw reason;
    return DONE;
  }

  private end(): void {
    this.ignoreAbort();
    if (this.state === 'running') this.state = 'over';
    if (!this.isCounted) return;
    this.isCounted = false;
    this.leadership[GATED_WORK]?.end(this.name);
  }
}
