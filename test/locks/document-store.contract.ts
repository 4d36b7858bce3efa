import type { DocumentStoreCapability } from '../../lib/contracts/contract-case.js';
import {
  type DocumentStoreFixture,
  documentStoreContract,
} from '../../lib/contracts/document-store.contract.js';
import { describeContract, PATIENCE_MS } from '../contracts/describe-contract.js';

export function describeDocumentStore(
  name: string,
  createFixture: () => Promise<DocumentStoreFixture>,
  without: readonly DocumentStoreCapability[],
): void {
  const cases = documentStoreContract(createFixture, { without, patienceMs: PATIENCE_MS });
  describeContract(`${name} (contract of every store of documents)`, cases);
}
