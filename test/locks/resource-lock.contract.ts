import type { LockCapability } from '../../lib/contracts/contract-case.js';
import { lockContract } from '../../lib/contracts/lock.contract.js';
import type { LockFixture } from '../../lib/contracts/lock-fixture.js';
import { describeContract, PATIENCE_MS } from '../contracts/describe-contract.js';

export function describeResourceLock(
  name: string,
  createFixture: () => Promise<LockFixture>,
  without: readonly LockCapability[],
): void {
  const cases = lockContract(createFixture, { without, patienceMs: PATIENCE_MS });
  describeContract(`${name} (contract of every lock)`, cases);
}
