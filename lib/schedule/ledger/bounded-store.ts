import type { Clock } from '../../core/clock.js';
import { isJsonObject, type JsonDocument } from '../../core/json-document.js';
import {
  followersTimeoutMs,
  paceAfter,
  type ServerPace,
  UNKNOWN_PACE,
} from '../../core/request-timeout.js';
import type {
  LockRequestOptions,
  ReadOutcome,
  Store,
  StoredDocument,
  WriteOutcome,
} from '../../core/resource-lock.js';
import { ask, type Kept, type Outcome, type StoreRequest } from '../../elector/store-request.js';
import { packed, type StoredSize, storedSize, unpacked } from './ledger-document.js';

export interface PaceOptions {
  /** Pause after a first failed request, in milliseconds; it doubles with every further one. */
  readonly retryMs: number;
  /** The longest pause, in milliseconds, even if a server asks for a longer one. */
  readonly longestRetryMs: number;
  /** At least 0, less than 1. */
  readonly random: () => number;
}

/** What does not help is done less often: how long to wait after consecutive failed requests. */
export class RequestPace {
  private failures = 0;
  private from = -Infinity;

  constructor(
    private readonly clock: Clock,
    private readonly options: PaceOptions,
  ) {}

  /** How many have failed in a row. */
  get count(): number {
    return this.failures;
  }

  /** When the next request may be sent, on the clock's `now()`. */
  get notBefore(): number {
    return this.from;
  }

  helped(): void {
    this.failures = 0;
    this.from = -Infinity;
  }

  /** `isFree`: the first of its kind is no reason to wait, such as a conflict with a faster writer. */
  failed({ retryAfterMs = 0, isFree = false } = {}): void {
    const { retryMs, longestRetryMs, random } = this.options;
    this.failures += 1;
    const doublings = this.failures - (isFree ? 2 : 1);
    const spread = 0.8 + 0.2 * random();
    const waitMs = doublings < 0 ? 0 : Math.min(retryMs * 2 ** doublings, longestRetryMs) * spread;
    this.from = this.clock.now() + Math.min(Math.max(waitMs, retryAfterMs), longestRetryMs);
  }
}

export interface RequestBounds {
  /** Timeout of one request, in milliseconds, as long as the store is not known to be slower. */
  readonly requestTimeoutMs: number;
  /** Timeout of one request to a slower store, in milliseconds. */
  readonly longestRequestMs: number;
}

/** What a packed document has beside its content: `{"format":2,"packed":""}`. */
const ENVELOPE_BYTES = 32;

/** What a store of documents keeps. */
const DOCUMENTS: Kept<StoredDocument> = {
  store: 'store',
  object: 'document',
  whole: 'a stored document (document, version)',
  isVersion: (value): value is StoredDocument =>
    isJsonObject(value) && isJsonObject(value['document']),
  copyOf: ({ document, version }) => ({ document, version }),
};

/**
 * Gives every request to a store exactly one outcome in time, whatever the store does. The timeout follows the speed of
 * the store: a request that is abandoned just before its answer comes has been made for nothing, and a claim that was
 * applied without a heard answer uses up its tick.
 */
export class BoundedStore {
  private pace: ServerPace = UNKNOWN_PACE;
  private readonly sizes = new WeakMap<JsonDocument, StoredSize>();

  constructor(
    private readonly store: Store<JsonDocument, StoredDocument>,
    private readonly clock: Clock,
    private readonly bounds: RequestBounds,
  ) {}

  async read(signal: AbortSignal): Promise<ReadOutcome<StoredDocument>> {
    const call = (options: LockRequestOptions) => this.store.read(options);
    const outcome = (await this.send('read', call, signal)) as ReadOutcome<StoredDocument>;
    if (outcome.kind !== 'found') return outcome;
    const { document, version } = outcome.stored;
    return { kind: 'found', stored: { document: this.opened(document), version } };
  }

  /** `expected` null: there is no document yet. */
  async write(
    document: JsonDocument,
    expected: StoredDocument | null,
  ): Promise<WriteOutcome<StoredDocument>> {
    const sent = packed(document);
    const call = (options: LockRequestOptions) =>
      expected === null
        ? this.store.create(sent, options)
        : this.store.replace(sent, expected, options);
    const verb = expected === null ? 'create' : 'replace';
    const outcome = (await this.send(verb, call)) as WriteOutcome<StoredDocument>;
    if (outcome.kind !== 'applied') return outcome;
    const { document: stored, version } = outcome.stored;
    const isAsSent = typeof sent['packed'] === 'string' && stored['packed'] === sent['packed'];
    return {
      kind: 'applied',
      stored: { document: this.opened(stored, isAsSent ? document : undefined), version },
    };
  }

  /** Known without packing it again if it was read or written by this store. */
  sizeOf(document: JsonDocument): StoredSize {
    return this.sizes.get(document) ?? storedSize(document);
  }

  describe(): string {
    return this.store.describe();
  }

  private opened(stored: JsonDocument, document = unpacked(stored)): JsonDocument {
    const content = stored['packed'];
    if (typeof content === 'string') {
      this.sizes.set(document, { bytes: content.length + ENVELOPE_BYTES, isPacked: true });
    }
    return document;
  }

  private async send(
    verb: StoreRequest<StoredDocument>['verb'],
    call: (options: LockRequestOptions) => unknown,
    signal?: AbortSignal,
  ): Promise<Outcome<StoredDocument>> {
    const { requestTimeoutMs: configuredMs, longestRequestMs } = this.bounds;
    const longestMs = Math.max(configuredMs, longestRequestMs);
    const bounds = { configuredMs, longestMs, longestWhileHangingMs: longestMs };
    const timeoutMs = followersTimeoutMs(this.pace, bounds);
    const begun = this.clock.now();
    const request = { store: this.store, kept: DOCUMENTS, verb, call, timeoutMs, signal };
    const outcome = await new Promise<Outcome<StoredDocument>>((resolve) => {
      ask(this.clock, request, resolve);
    });
    const reason = 'error' in outcome ? outcome.error.reason : undefined;
    this.pace = paceAfter(this.pace, {
      elapsedMs: this.clock.now() - begun,
      timeoutMs,
      answered: reason === undefined || reason === 'rejected',
      unreachable: reason === 'unreachable' || signal?.aborted === true,
    });
    return outcome;
  }
}
