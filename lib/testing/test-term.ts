import { createTerm, type Term } from '../core/term.js';

/** A term for a handler that is called directly. @default role 'test', number 1, a signal that is never aborted */
export function testTerm(values: Partial<Term> = {}): Term {
  const number = values.number ?? 1;
  return createTerm({
    role: 'test',
    number,
    fencingToken: BigInt(number),
    holderIdentity: 'test-process',
    grantedAt: new Date(),
    signal: new AbortController().signal,
    ...values,
  });
}
