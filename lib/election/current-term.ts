import { AsyncLocalStorage } from 'node:async_hooks';
import type { Term } from '../core/term.js';

/** The term that a gated call runs in, and those of the gated calls around it, each role once. */
interface TermFrame {
  readonly term: Term;
  readonly outer: TermFrame | undefined;
}

const FRAMES = Symbol.for('nestjs-leader-election:term-frames');

/**
 * One for all applications of a process: a call belongs to the innermost gated call around it, whichever application
 * that is of, so that each sees its own term alone. In the global scope, so that code which has loaded this library a
 * second time, as an ES module here and by `require` there, sees the term as well.
 */
const frames = ((globalThis as { [FRAMES]?: AsyncLocalStorage<TermFrame> })[FRAMES] ??=
  new AsyncLocalStorage<TermFrame>());

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
  let frame = frames.getStore();
  if (role === undefined) return frame?.term;
  while (frame !== undefined && frame.term.role !== role) frame = frame.outer;
  return frame?.term;
}

/** Calls work in which {@link currentTerm} is this term, to its end. Without a term it is called as it is. */
export function runInTerm<T>(term: Term | undefined, work: () => T): T {
  if (term === undefined) return work();
  const outer = frames.getStore();
  return outer?.term === term ? work() : frames.run(framed(term, outer), work);
}

/** What {@link leaveTerm} takes to restore what was around; null: nothing was entered. */
export type Surrounding = TermFrame | undefined | null;

/**
 * As {@link runInTerm}, for a caller that calls the work itself and leaves in a `finally`: neither a function nor a list of
 * arguments has to be made for each call.
 */
export function enterTerm(term: Term | undefined): Surrounding {
  if (term === undefined) return null;
  const outer = frames.getStore();
  if (outer?.term === term) return null;
  frames.enterWith(framed(term, outer));
  return outer;
}

export function leaveTerm(outer: Surrounding): void {
  if (outer !== null) frames.enterWith(outer as TermFrame);
}

/** Of calls with no gated call of another role around them, which are nearly all: one for each term. */
const OUTERMOST = new WeakMap<Term, TermFrame>();

function framed(term: Term, around: TermFrame | undefined): TermFrame {
  const outer = without(term.role, around);
  if (outer !== undefined) return { term, outer };
  const known = OUTERMOST.get(term);
  if (known !== undefined) return known;
  const frame = { term, outer };
  OUTERMOST.set(term, frame);
  return frame;
}

/** A timer that sets itself again and again would otherwise carry every term in which it ever ran. */
function without(role: string, frame: TermFrame | undefined): TermFrame | undefined {
  if (frame === undefined) return undefined;
  if (frame.term.role === role) return frame.outer;
  const outer = without(role, frame.outer);
  return outer === frame.outer ? frame : { term: frame.term, outer };
}
