import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';
import type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  WriteOutcome,
} from '../../lib/core/resource-lock.js';
import { representation } from './machine-run.js';

export interface ScriptedRequest {
  readonly verb: 'read' | 'create' | 'replace';
  readonly record?: LeaseRecord;
  readonly expected?: ObservedLease;
  readonly options: LockRequestOptions;
  answer(outcome: ReadOutcome | WriteOutcome): void;
  fail(error: unknown): void;
}

/**
 * A lock without a store: it keeps every request until the test answers it. `automatic` makes it a small obedient
 * store instead, for tests that are not about requests.
 */
export class ScriptedLock implements ResourceLock {
  readonly requests: ScriptedRequest[] = [];
  automatic = false;
  stored: ObservedLease | null = null;
  inFlight = 0;
  mostInFlight = 0;
  watchObserver: LeaseWatchObserver | undefined;
  silenceLimitMs: number | undefined;
  closed = false;
  private revision = 100;

  get last(): ScriptedRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error('nothing was requested');
    return request;
  }

  read(options: LockRequestOptions): Promise<ReadOutcome> {
    return this.request('read', options, {}) as Promise<ReadOutcome>;
  }

  create(record: LeaseRecord, options: LockRequestOptions): Promise<WriteOutcome> {
    return this.request('create', options, { record }) as Promise<WriteOutcome>;
  }

  replace(
    record: LeaseRecord,
    expected: ObservedLease,
    options: LockRequestOptions,
  ): Promise<WriteOutcome> {
    return this.request('replace', options, { record, expected }) as Promise<WriteOutcome>;
  }

  watch(observer: LeaseWatchObserver, options: { readonly silenceLimitMs: number }): LeaseWatch {
    this.watchObserver = observer;
    this.silenceLimitMs = options.silenceLimitMs;
    return {
      close: () => {
        this.watchObserver = undefined;
      },
    };
  }

  describe(): string {
    return 'scripted lease';
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  /** Answers the last request as a store would that has applied it. */
  applyLast(): void {
    const { record } = this.last;
    if (record === undefined) throw new Error('the last request was a read');
    this.revision += 1;
    this.stored = representation(record, this.revision);
    this.last.answer({ kind: 'applied', stored: this.stored });
  }

  /** Somebody deletes the lease, and the watch tells of it. */
  deleteByHand(): void {
    this.stored = null;
    this.revision += 1;
    this.watchObserver?.changed(null, BigInt(this.revision));
  }

  private request(
    verb: ScriptedRequest['verb'],
    options: LockRequestOptions,
    content: Pick<ScriptedRequest, 'record' | 'expected'>,
  ): Promise<ReadOutcome | WriteOutcome> {
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    const outcome = new Promise<ReadOutcome | WriteOutcome>((resolve, reject) => {
      this.requests.push({ verb, options, ...content, answer: resolve, fail: reject });
    });
    if (this.automatic) this.obey();
    return outcome.finally(() => {
      this.inFlight -= 1;
    });
  }

  private obey(): void {
    const { verb, expected } = this.last;
    if (verb === 'read') {
      this.last.answer(
        this.stored === null ? { kind: 'absent' } : { kind: 'found', stored: this.stored },
      );
    } else if (this.stored?.revision === expected?.revision) this.applyLast();
    else this.last.answer({ kind: 'conflict' });
  }
}
