import { onAbort } from '../core/abort-signal.js';
import type { Term } from '../core/term.js';
import { adoptWork, type Adopted } from '../elector/work-in-flight.js';
import { enterTerm, leaveTerm, runInTerm } from './current-term.js';
import { ELECTION_ACTIVITY, type ElectionActivity } from './election-activity.js';
import { isAsyncIterator } from './run-to-end.js';

/** Where a gate counts its work. A service without it, as in a unit test, has no term that waits for work. */
export const GATED_WORK = Symbol.for('nestjs-leader-election:gated-work');

/** Where a gate that has asked `isLeader()` gets the term, without asking the clock again. */
export const OPEN_TERM = Symbol.for('nestjs-leader-election:open-term');

/** Whose term work belongs to; a stand-in of a unit test may have `isLeader()` alone. */
export interface GatedLeadership {
  isLeader(): boolean;
  readonly term?: Term | undefined;
  readonly [GATED_WORK]?: CountedWork;
  readonly [OPEN_TERM]?: Term | undefined;
  readonly [ELECTION_ACTIVITY]?: Pick<ElectionActivity, 'observed'> | undefined;
}

/** Each `begin` has one `end` with the same name, so that a test can see what it left running. */
export interface CountedWork {
  begin(name: string): void;
  end(name: string): void;
}

/** Makes what a caller of gated work gets for its result, which is no promise here. */
type AdaptResult = (value: unknown) => unknown;

/**
 * Calls work of the current term. It counts as in flight from before the call until its result has settled, or until
 * the stream that it returned has ended. A stream ends with the term at the latest.
 *
 * @param how makes what the caller gets
 */
export function runGated<T>(
  leadership: GatedLeadership,
  name: string,
  work: () => T,
  how: Omit<SettledBy, 'term'> = {},
): Adopted<T> {
  const term = openTermOf(leadership);
  const observed = leadership[ELECTION_ACTIVITY]?.observed;
  const call = (): Adopted<T> => callGated(leadership, name, work, { ...how, term });
  return observed === undefined ? call() : observed.call('run', { method: name, term }, call);
}

function callGated<T>(
  leadership: GatedLeadership,
  name: string,
  work: () => T,
  how: SettledBy,
): Adopted<T> {
  const inFlight = leadership[GATED_WORK];
  inFlight?.begin(name);
  let result: T;
  try {
    result = runInTerm(how.term, work);
  } catch (error) {
    inFlight?.end(name);
    throw error;
  }
  return settleWork(leadership, name, result, how);
}

/** Of a leadership whose `isLeader()` has just been true; undefined for a stand-in that has none. */
export function openTermOf(leadership: GatedLeadership): Term | undefined {
  const open = leadership[OPEN_TERM];
  // A mock has a function for every property.
  if (typeof open === 'object') return open;
  const { term } = leadership;
  return isTerm(term) ? term : undefined;
}

/** Automatic mocks have a function for every property. */
export function isTerm(value: unknown): value is Term {
  if (typeof value !== 'object' || value === null || !('signal' in value)) return false;
  return value.signal instanceof EventTarget;
}

/** The error that a consumer of a stream gets when the term ends first; undefined: the stream simply completes. */
export type EndReason = () => Error | undefined;

/** How {@link settleWork} makes what a caller gets. */
interface SettledBy {
  /** In which the work was called. */
  readonly term: Term | undefined;
  /** Makes a stream of a framework one that ends with the term. */
  readonly adapt?: AdaptResult | undefined;
  readonly onEnd?: EndReason | undefined;
}

/**
 * The second half of {@link runGated}, for work that has been counted and called: makes what its caller gets. The work of
 * a foreign `then` is done when that is called, so this is in the term, too.
 */
export function settleWork<T>(
  leadership: GatedLeadership,
  name: string,
  result: T,
  { term, adapt, onEnd = () => undefined }: SettledBy,
): Adopted<T> {
  const outer = enterTerm(term);
  try {
    return adoptWork<T>(
      result,
      () => leadership[GATED_WORK]?.end(name),
      (value) => {
        if (isAsyncIterator(value)) return new IteratorOfTerm(value, leadership, name, onEnd);
        return adapt === undefined ? value : adapt(value);
      },
    );
  } finally {
    leaveTerm(outer);
  }
}

const NO_REASON: EndReason = () => undefined;

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
    private readonly leadership: GatedLeadership,
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
      // Whoever leaves waits for nothing more that could be refused.
      NO_REASON,
    );
    this.end();
    return returned;
  }

  async throw(error?: unknown): Promise<IteratorResult<unknown>> {
    return this.passOn(
      runInTerm(this.term, () => this.source.throw?.(error)) ?? Promise.reject(error as Error),
    );
  }

  private async passOn(
    asked: Promise<IteratorResult<unknown>>,
    onEnd = this.onEnd,
  ): Promise<IteratorResult<unknown>> {
    try {
      const result = await asked;
      if (result.done !== true) return result;
      this.end();
      return this.isRevoked() ? this.tellEnd(onEnd) : result;
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

  private tellEnd(onEnd = this.onEnd): IteratorResult<unknown> {
    this.state = 'over';
    if (this.failure !== undefined) throw this.failure.error;
    const reason = onEnd();
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
