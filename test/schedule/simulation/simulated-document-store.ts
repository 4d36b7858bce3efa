import { LockRequestError } from '../../../lib/core/errors/lock-request.error.js';
import type {
  DocumentReadOutcome,
  DocumentStore,
  DocumentWriteOutcome,
  JsonDocument,
  StoredDocument,
} from '../../../lib/locks/document-store.js';
import type { LockRequestOptions } from '../../../lib/locks/resource-lock.js';
import type { EventOwner, EventQueue } from '../../simulation/event-queue.js';
import type { RandomStream } from '../../simulation/random-stream.js';
import type { FaultCount, FaultMix } from './network-faults.js';
import type { DocumentVersion, SimulatedDocument } from './simulated-document.js';

interface Link {
  readonly queue: EventQueue;
  readonly random: RandomStream;
  readonly faults: FaultMix;
  readonly count: FaultCount;
  readonly owner: EventOwner;
  /** True time until which nothing of this replica gets through. */
  readonly cutOffUntil: () => number;
  readonly onWrite: () => void;
}

/** One replica's way to the document, through a network with every fault of the list. */
export class SimulatedDocumentStore implements DocumentStore {
  constructor(
    private readonly document: SimulatedDocument,
    private readonly link: Link,
  ) {}

  read({ timeoutMs }: LockRequestOptions): Promise<DocumentReadOutcome> {
    const apply = (): DocumentReadOutcome => {
      const found = this.document.read();
      return found === undefined ? { kind: 'absent' } : { kind: 'found', stored: stored(found) };
    };
    return this.send(apply, timeoutMs, (error) => ({ kind: 'failed', error }));
  }

  create(document: JsonDocument, options: LockRequestOptions): Promise<DocumentWriteOutcome> {
    return this.write(document, null, options);
  }

  replace(
    document: JsonDocument,
    expected: StoredDocument,
    options: LockRequestOptions,
  ): Promise<DocumentWriteOutcome> {
    return this.write(document, expected.version as number, options);
  }

  describe(): string {
    return 'simulated document';
  }

  private write(
    document: JsonDocument,
    expected: number | null,
    { timeoutMs }: LockRequestOptions,
  ): Promise<DocumentWriteOutcome> {
    this.link.onWrite();
    const apply = (): DocumentWriteOutcome => {
      const written = this.document.write(document, expected);
      return written === undefined
        ? { kind: 'conflict' }
        : { kind: 'applied', stored: stored(written) };
    };
    return this.send(apply, timeoutMs, (error) => ({ kind: 'unknown', error }));
  }

  /** The request goes out now, arrives if it does, and is answered if it is; whoever asked waits for `timeoutMs`. */
  private send<T>(
    apply: () => T,
    timeoutMs: number,
    failed: (error: LockRequestError) => T,
  ): Promise<T> {
    const { queue, random, faults, count, owner } = this.link;
    return new Promise((resolve) => {
      const give = (delayMs: number, outcome: () => T) =>
        queue.after(delayMs, owner, () => resolve(outcome()));
      give(timeoutMs, () => failed(UNCLEAR));
      const delay = (): number =>
        random.chance(faults.slow) ? random.between(50, 4_000) : random.between(0.2, 8);
      const fate = (what: string, probability: number): boolean => {
        const strikes = random.chance(probability);
        if (strikes) count.add(what);
        return strikes;
      };
      if (queue.now < this.link.cutOffUntil()) {
        count.add('partitioned');
        if (random.chance(0.5)) queue.at(this.link.cutOffUntil() + delay(), null, apply);
        return;
      }
      if (fate('request lost', faults.loseRequest)) return;
      if (fate('failed before', faults.failBefore))
        return void give(delay(), () => failed(UNCLEAR));
      const arrivesAfter = fate('ghost', faults.ghost) ? random.between(1_000, 20_000) : delay();
      if (fate('duplicated', faults.duplicate))
        queue.after(arrivesAfter + random.between(0, 20_000), null, apply);
      queue.after(arrivesAfter, null, () => {
        const outcome = apply();
        if (queue.now < this.link.cutOffUntil() || fate('answer lost', faults.loseAnswer)) return;
        if (fate('failed after', faults.failAfter))
          return void give(delay(), () => failed(UNCLEAR));
        give(delay(), () => outcome);
      });
    });
  }
}

const UNCLEAR = new LockRequestError('simulated', { reason: 'unclear' });

function stored({ text, revision }: DocumentVersion): StoredDocument {
  return { document: JSON.parse(text) as JsonDocument, version: revision };
}
