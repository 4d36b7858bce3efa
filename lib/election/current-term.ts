import { AsyncLocalStorage } from 'node:async_hooks';
import type { Term } from '../core/term.js';

const OUTER = Symbol.for('nestjs-leader-election:outer-term');

/** The term of a gated call within those of other roles, and the terms around it, each role once. */
interface NestedTerm {
  readonly term: Term;
  readonly [OUTER]: Terms;
}

/** What a gated call runs in: for nearly all its term and nothing else, so that nothing is made for the call. */
type Terms = Term | NestedTerm;

const FRAMES = Symbol.for('nestjs-leader-election:term-frames');

/**
 * One for all applications of a process: a call belongs to the innermost gated call around it, whichever application
 * that is of, so that each sees its own term alone. In the global scope, so that code which has loaded this library a
 * second time, as an ES module here and by `require` there, sees the term as well.
 */
const frames = ((globalThis as { [FRAMES]?: AsyncLocalStorage<Terms> })[FRAMES] ??=
  new AsyncLocalStorage<Terms>());

/**
 * The term in which this code runs, anywhere below a gated call and after any `await` in it: `@LeaderOnly()`,
 * `@OnGranted()`, `@LeaderCron()`, `@LeaderOnce()`, `runIfLeader()`, `guard()` and the timers of `gateSchedules`. Undefined outside.
 *
 * A term that has ended is returned all the same, with its signal aborted: work that is still under way has to learn
 * that, and a store refuses its fencing token.
 *
 * @param role of several gated calls around this code that of this role, of two applications with this role the inner one's;
 * absent: the innermost
 * @example
 * await database.insert({ id: 7, fence: currentTerm()?.fencingToken });
 */
export function currentTerm(role?: string): Term | undefined {
  let terms = frames.getStore();
  if (role === undefined) return innermost(terms);
  while (terms !== undefined && innermost(terms).role !== role) terms = outerOf(terms);
  return innermost(terms);
}

/** Calls work in which {@link currentTerm} is this term, to its end. Without a term it is called as it is. */
export function runInTerm<T>(term: Term | undefined, work: () => T): T {
  if (term === undefined) return work();
  const around = frames.getStore();
  return innermost(around) === term ? work() : frames.run(nested(term, around), work);
}

/** What {@link leaveTerm} takes to restore what was around; null: nothing was entered. */
export type Surrounding = Terms | undefined | null;

/**
 * As {@link runInTerm}, for a caller that calls the work itself and leaves however it ends: neither a function nor a list of
 * arguments has to be made for each call.
 */
export function enterTerm(term: Term | undefined): Surrounding {
  if (term === undefined) return null;
  const around = frames.getStore();
  if (innermost(around) === term) return null;
  frames.enterWith(nested(term, around));
  return around;
}

export function leaveTerm(around: Surrounding): void {
  if (around !== null) frames.enterWith(around as Terms);
}

function nested(term: Term, around: Terms | undefined): Terms {
  return around === undefined ? term : inside(without(term.role, around), term);
}

/** A timer that sets itself again and again would otherwise carry every term in which it ever ran. */
function without(role: string, terms: Terms | undefined): Terms | undefined {
  if (terms === undefined) return undefined;
  const [term, outer] = [innermost(terms), outerOf(terms)];
  if (term.role === role) return outer;
  const kept = without(role, outer);
  return kept === outer ? terms : inside(kept, term);
}

function inside(outer: Terms | undefined, term: Term): Terms {
  return outer === undefined ? term : { term, [OUTER]: outer };
}

function innermost(terms: Terms): Term;
function innermost(terms: Terms | undefined): Term | undefined;
function innermost(terms: Terms | undefined): Term | undefined {
  return terms !== undefined && OUTER in terms ? terms.term : terms;
}

function outerOf(terms: Terms): Terms | undefined {
  return OUTER in terms ? terms[OUTER] : undefined;
}
