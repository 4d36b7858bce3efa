import { defer, EMPTY, finalize, from, Observable, takeUntil, throwError } from 'rxjs';
import { onAbort } from '../core/abort-signal.js';
import type { Term } from '../core/term.js';
import { runInTerm } from '../election/current-term.js';
import { ELECTION_ACTIVITY } from '../election/election-activity.js';
import {
  type EndReason,
  GATED_WORK,
  type GatedLeadership,
  openTermOf,
  runGated as runGatedCall,
  settleWork as settleGatedWork,
} from '../election/gated-work.js';
import type { Adopted } from '../elector/work-in-flight.js';
import { isStreamOfRxjs } from './run-to-end.js';
import { SHADOW, type ShadowSkips } from './shadow-skips.js';

/** Where a gate reports that it has skipped a method. */
export const GATE_SKIPPED = Symbol.for('nestjs-leader-election:gate-skipped');

/** What a gate needs of the service; a stand-in of a unit test may have `isLeader()` alone. */
export interface GateLeadership extends GatedLeadership {
  readonly role?: string;
  readonly leader?: string | undefined;
  readonly [SHADOW]?: ShadowSkips | undefined;
  [GATE_SKIPPED]?(method: string): void;
}

/** As that of the election; an Observable, too, counts while it is subscribed to, and ends with the term at the latest. */
export function runGated<T>(
  leadership: GateLeadership,
  name: string,
  work: () => T,
  onEnd: EndReason = () => undefined,
): Adopted<T> {
  return runGatedCall(leadership, name, work, { adapt: adaptFor(leadership, name, onEnd), onEnd });
}

/** Undefined unless the role has `mode: 'shadow'`. */
export function shadowOf(leadership: GateLeadership | undefined): ShadowSkips | undefined {
  const shadow = leadership?.[SHADOW];
  // A mock has a function for every property.
  return typeof shadow === 'object' ? shadow : undefined;
}

/**
 * Calls work behind a gate in shadow mode: it counts a call that would have been skipped, and sets the term on the leader.
 * What it returned is the caller's, as without a gate: neither ended with the term nor waited for.
 */
export function runShadowed<T>(
  leadership: GateLeadership,
  shadow: ShadowSkips,
  name: string,
  work: () => T,
): T {
  const observed = leadership[ELECTION_ACTIVITY]?.observed;
  const isOfLeader = leadership.isLeader();
  const term = isOfLeader ? openTermOf(leadership) : undefined;
  if (!isOfLeader) shadow.count(name);
  const call = (): T => (isOfLeader ? runInTerm(term, work) : work());
  if (observed === undefined) return call();
  return observed.call(isOfLeader ? 'run' : 'would-skip', { method: name, term }, call);
}

/**
 * The second half of {@link runGated}, for work that has been counted and called: makes what its caller gets.
 *
 * @param term in which the work was called
 * @param onEnd the error that a consumer of the stream gets when the term ends first; without one the stream completes
 */
export function settleWork<T>(
  leadership: GateLeadership,
  term: Term | undefined,
  name: string,
  result: T,
  onEnd: EndReason,
): Adopted<T> {
  return settleGatedWork(leadership, name, result, {
    term,
    adapt: adaptFor(leadership, name, onEnd),
    onEnd,
  });
}

function adaptFor(leadership: GateLeadership, name: string, onEnd: EndReason) {
  return (value: unknown): unknown =>
    isStreamOfRxjs(value) ? observableOfTerm(value, leadership, name, onEnd) : value;
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
