import { setMaxListeners } from 'node:events';
import { createTerm, type Term } from '../core/term.js';

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
