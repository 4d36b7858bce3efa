import { describe, it } from '@jest/globals';
import type { ContractCase } from '../../lib/contracts/contract-case.js';

/** Ends a case that hangs, in milliseconds; a busy machine may take much longer than an author's. */
export const PATIENCE_MS = 120_000;

export function describeContract(name: string, cases: readonly ContractCase[]): void {
  describe(`${name}`, () => {
    // oxlint-disable-next-line jest/expect-expect -- the case asserts
    it.each(cases)('$name', ({ run }) => run());
  });
}
