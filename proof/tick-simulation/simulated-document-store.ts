import { LockRequestError } from '../../lib/core/errors.js';
import type { JsonDocument } from '../../lib/core/json-document.js';
import type {
  LockRequestOptions,
  ReadOutcome,
  Store,
  StoredDocument,
  WriteOutcome,
} from '../../lib/core/resource-lock.js';
import type { EventOwner, EventQueue } from '../simulation/event-queue.js';
import type { RandomStream } from '../simulation/random-stream.js';
import { CALM_NETWORK, type FaultCount, type FaultMix } from './network-faults.js';
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
  /** True time from which the network has no faults. */
  readonly calmFrom: number;
  readonly weather: StoreWeather;
}

/** What the store does to all alike, and until when in true time. */
export interface StoreWeather {
  goneUntil: number;
  slowUntil: number;
  refusesUntil: number;
}

/** One replica's way to the document, through a network with every fault of the list. */
export class SimulatedDocumentStore implements Store<JsonDocument, StoredDocument> {
  /** True times of its requests, of the last while. */
  private readonly sentAt: number[] = [];
  /** As many requests as were made in any ten seconds. */
  busiest = 0;

  constructor(
    private readonly document: SimulatedDocument,
    private readonly link: Link,
  ) {}

  read({ timeoutMs }: LockRequestOptions): Promise<ReadOutcome<StoredDocument>> {
    const apply = (): ReadOutcome<StoredDocument> => {
      const found = this.document.read();
      return found === undefined ? { kind: 'absent' } : { kind: 'found', stored: stored(found) };
    };
    const failed = (error: LockRequestError): ReadOutcome<StoredDocument> => ({
      kind: 'failed',
      error,
    });
    return this.send(apply, timeoutMs, { failed, refused: failed });
  }

  create(
    document: JsonDocument,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.write(document, null, options);
  }

  replace(
    document: JsonDocument,
    expected: StoredDocument,
    options: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.write(document, expected.version as number, options);
  }

  describe(): string {
    return 'simulated document';
  }

  private write(
    document: JsonDocument,
    expected: number | null,
    { timeoutMs }: LockRequestOptions,
  ): Promise<WriteOutcome<StoredDocument>> {
    this.link.onWrite();
    const apply = (): WriteOutcome<StoredDocument> => {
      const written = this.document.write(document, expected);
      return written === undefined
        ? { kind: 'conflict' }
        : { kind: 'applied', stored: stored(written) };
    };
    return this.send(apply, timeoutMs, {
      failed: (error) => ({ kind: 'unknown', error }),
      refused: (error) => ({ kind: 'not-applied', error }),
    });
  }

  private countRequest(): void {
    const { now } = this.link.queue;
    this.sentAt.push(now);
    while (this.sentAt[0]! <= now - WINDOW_MS) this.sentAt.shift();
    this.busiest = Math.max(this.busiest, this.sentAt.length);
  }

  /** The request goes out now, arrives if it does, and is answered if it is; whoever asked waits for `timeoutMs`. */
  private send<T>(
    apply: () => T,
    timeoutMs: number,
    { failed, refused }: Record<'failed' | 'refused', (error: LockRequestError) => T>,
  ): Promise<T> {
    const { queue, random, count, owner, weather, calmFrom } = this.link;
    const faults =
      queue.now < calmFrom ? this.link.faults : { ...this.link.faults, ...CALM_NETWORK };
    this.countRequest();
    return new Promise((resolve) => {
      const give = (delayMs: number, outcome: () => T) =>
        queue.after(delayMs, owner, () => resolve(outcome()));
      give(timeoutMs, () => failed(UNCLEAR));
      const delay = (): number =>
        queue.now < weather.slowUntil
          ? random.between(450, 900)
          : random.chance(faults.slow)
            ? random.between(50, 4_000)
            : random.between(0.2, 8);
      const fate = (what: string, probability: number): boolean => {
        const strikes = random.chance(probability);
        if (strikes) count.add(what);
        return strikes;
      };
      if (queue.now < weather.goneUntil) return;
      if (queue.now < weather.refusesUntil) return void give(delay(), () => refused(BUSY));
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

const WINDOW_MS = 10_000;
const BUSY = new LockRequestError('simulated 429', { reason: 'rejected', retryAfterMs: 2_000 });
const UNCLEAR = new LockRequestError('simulated', { reason: 'unclear' });

function stored({ text, revision }: DocumentVersion): StoredDocument {
  return { document: JSON.parse(text) as JsonDocument, version: revision };
}
