import { onAbort } from '../core/abort-signal.js';
import type { Clock } from '../core/clock.js';
import { LockRequestError } from '../core/errors.js';
import type { JsonDocument } from '../core/json-document.js';
import type { LeaseRecord } from '../core/lease-record.js';
import type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequester,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  ResourceLockFactory,
  Store,
  WriteOutcome,
} from '../core/resource-lock.js';
import { SystemClock } from '../elector/system-clock.js';

/** What a request asks of a store. */
export type StoreVerb = 'read' | 'create' | 'replace';

/** What came of a request, whatever store it was for. */
export type StoreOutcome = ReadOutcome<unknown> | WriteOutcome<unknown>;

/** A request that was made to a recorded store. */
export interface RecordedRequest {
  /** What it asked for. */
  readonly verb: StoreVerb;
  /** Of which object, as the lock describes it. */
  readonly object: string;
  /** What it was to write to a lease; undefined for a read, and for a document. */
  readonly record: LeaseRecord | undefined;
  /** What it was to write to a document beside a lease; undefined for a read, and for a lease. */
  readonly document: JsonDocument | undefined;
  /** When it was made, on the clock of the recording. */
  readonly startedAtMs: number;
  /** When it was answered; undefined until then. */
  readonly endedAtMs: number | undefined;
  /** What the election was answered; undefined until then. */
  readonly outcome: StoreOutcome | undefined;
  /** What the store itself did, if it got the request: `applied` also where the answer was lost. */
  readonly stored: StoreOutcome | undefined;
  /** What the lock rejected with instead of an outcome, as no lock should; undefined if it did not. */
  readonly rejection: unknown;
}

/** A request that was to change what is stored. */
export interface RecordedWrite extends RecordedRequest {
  /** What it asked for. */
  readonly verb: 'create' | 'replace';
}

/** Which requests a fault meets. */
export interface FaultScope {
  /**
   * Requests of these verbs alone.
   * @default all of them
   */
  readonly verbs?: readonly StoreVerb[];
  /**
   * How many requests it meets.
   * @default every one until `restore()`
   */
  readonly count?: number;
}

/** What a {@link RecordingStore} may be given. */
export interface RecordingStoreOptions {
  /**
   * What delays and time limits go by: that of the test, if it has one.
   * @default the clock of the machine
   * @example
   * clock: new ManualClock()
   */
  readonly clock?: Clock;
}

type FaultKind =
  | { readonly kind: 'fail'; readonly error: LockRequestError | undefined }
  | { readonly kind: 'lose' }
  | { readonly kind: 'hold' }
  | { readonly kind: 'delay'; readonly delayMs: number };

interface Fault {
  readonly fault: FaultKind;
  readonly verbs: readonly StoreVerb[] | undefined;
  left: number;
}

type Entry = { -readonly [K in keyof RecordedRequest]: RecordedRequest[K] };

/** What is known of a request before it is made. */
type Asked = Pick<RecordedRequest, 'verb' | 'record' | 'document'>;

/** One request while it is on its way. */
interface Passage {
  readonly entry: Entry;
  readonly options: LockRequestOptions;
  /** Asks the store itself. */
  readonly ask: (options: LockRequestOptions) => Promise<StoreOutcome>;
}

/** A watch that has begun. */
interface RecordedWatcher {
  readonly observer: LeaseWatchObserver;
  /** As the lock says it, whatever the election hears. */
  isOpen: boolean;
}

/**
 * Wraps locks, records each of their requests with its outcome and time, and lets a test break the store behind them: fail
 * requests, delay them, lose their answers, apply them late, cut the watch. The documents and leases beside a lock are
 * recorded, and break, with it. All locks wrapped by one recording share its faults; one recording for each replica
 * cuts off one of them alone.
 *
 * A lock has through it what it has by itself, `watch` and the like.
 *
 * @example
 * const store = new RecordingStore();
 * const lock = store.record(memoryLock());
 * // an application with `lock`, leading
 * expect(store.writes.map(({ verb }) => verb)).toEqual(['create']);
 */
export class RecordingStore {
  /** Every request so far, in the order in which they were made. */
  readonly requests: RecordedRequest[] = [];
  private readonly clock: Clock;
  private faults: Fault[] = [];
  private readonly held = new Set<() => void>();
  private readonly watchers = new Set<RecordedWatcher>();
  private watchError: LockRequestError | undefined;
  private atStore = 0;
  private readonly awaitingAnswers = new Set<() => void>();

  constructor({ clock }: RecordingStoreOptions = {}) {
    this.clock = clock ?? new SystemClock();
  }

  /** Those that were to change what is stored, in the order in which they were made. */
  get writes(): RecordedWrite[] {
    return this.requests.filter((request): request is RecordedWrite => request.verb !== 'read');
  }

  /** The lock, or the locks that the factory makes, recorded. What is passed is not changed. */
  record(lock: ResourceLock): ResourceLock;
  record(factory: ResourceLockFactory): ResourceLockFactory;
  record(given: ResourceLock | ResourceLockFactory): ResourceLock | ResourceLockFactory {
    if (typeof given !== 'function') return this.wrapped(given);
    return async (requester: LockRequester) => this.wrapped(await given(requester));
  }

  /**
   * Requests from now on do not reach the store: a read is answered `failed`, a write `not-applied`.
   * @param error the error of those answers; unless given, one with the reason `unreachable`
   */
  fail(scope?: FaultScope, error?: LockRequestError): void {
    this.add({ kind: 'fail', error }, scope);
  }

  /**
   * Requests from now on reach the store so many milliseconds later. If their time limit ends before, the election is
   * answered `unknown`, of a read `failed`, and the store gets them nevertheless.
   */
  delay(delayMs: number, scope?: FaultScope): void {
    this.add({ kind: 'delay', delayMs }, scope);
  }

  /** Requests from now on reach the store, and their answer is lost: a read is answered `failed`, a write `unknown`. */
  loseAnswers(scope?: FaultScope): void {
    this.add({ kind: 'lose' }, scope);
  }

  /**
   * Requests from now on are kept on the way until `letGo()`. The election gets no answer before their time limit, and
   * then `unknown`, of a read `failed`; the store gets them when they are let go, however late.
   */
  holdBack(scope?: FaultScope): void {
    this.add({ kind: 'hold' }, scope);
  }

  /** What was held back reaches the store now. Resolves when the store has answered all of it. */
  async letGo(): Promise<void> {
    const all = [...this.held];
    this.held.clear();
    for (const send of all) send();
    await this.answered();
  }

  /** Interrupts every watch, and those that are opened later, until `restore()`. Nothing is reported meanwhile. */
  cutWatch(
    error = new LockRequestError('the test has cut the watch', { reason: 'unreachable' }),
  ): void {
    this.watchError = error;
    for (const { observer } of this.watchers) observer.interrupted(error);
  }

  /** Ends every fault. What is delayed or held back stays on the way; watches open again. */
  restore(): void {
    this.faults = [];
    if (this.watchError === undefined) return;
    this.watchError = undefined;
    // The election reads the lease once after each opening, so nothing is missed.
    for (const { isOpen, observer } of this.watchers) if (isOpen) observer.opened();
  }

  /** How many requests have reached the store and have no answer yet. */
  get unansweredCount(): number {
    return this.atStore;
  }

  /** Resolves when the store has answered every request that has reached it; at once if there is none. */
  async answered(): Promise<void> {
    while (this.atStore > 0) {
      await new Promise<void>((resolve) => this.awaitingAnswers.add(resolve));
    }
  }

  private add(fault: FaultKind, { verbs, count = Infinity }: FaultScope = {}): void {
    this.faults.push({ fault, verbs, left: count });
  }

  private take(verb: StoreVerb): FaultKind | undefined {
    const met = this.faults.find(({ verbs }) => verbs?.includes(verb) ?? true);
    if (met === undefined) return undefined;
    met.left -= 1;
    if (met.left <= 0) this.faults = this.faults.filter((fault) => fault !== met);
    return met.fault;
  }

  private wrapped(lock: ResourceLock): ResourceLock {
    const has = (member: keyof ResourceLock): boolean => lock[member] !== undefined;
    return {
      ...this.wrappedStore(lock, (record) => ({ record, document: undefined })),
      ...(has('isInProcess') && { isInProcess: lock.isInProcess === true }),
      ...(has('watch') && {
        watch: (observer, options) => this.watched(observer, (own) => lock.watch!(own, options)),
      }),
      ...(has('sibling') && {
        sibling: (suffix) =>
          this.wrappedStore(lock.sibling!(suffix), (document) => ({ record: undefined, document })),
      }),
      ...(has('leaseBeside') && {
        leaseBeside: (suffix, identity) => this.wrapped(lock.leaseBeside!(suffix, identity)),
      }),
      ...(has('competitors') && { competitors: () => lock.competitors!() }),
      ...(has('close') && { close: () => lock.close!() }),
    };
  }

  private wrappedStore<Content, Version>(
    store: Store<Content, Version>,
    written: (content: Content | undefined) => Omit<Asked, 'verb'>,
  ): Store<Content, Version> {
    const request = <Outcome extends StoreOutcome>(
      verb: StoreVerb,
      content: Content | undefined,
      options: LockRequestOptions,
      ask: (options: LockRequestOptions) => Promise<Outcome>,
    ) => this.request({ verb, ...written(content) }, store.describe(), options, ask);
    return {
      describe: () => store.describe(),
      read: (options) => request('read', undefined, options, (bound) => store.read(bound)),
      create: (content, options) =>
        request('create', content, options, (bound) => store.create(content, bound)),
      replace: (content, expected, options) =>
        request('replace', content, options, (bound) => store.replace(content, expected, bound)),
    };
  }

  private async request<Outcome extends StoreOutcome>(
    asked: Asked,
    object: string,
    options: LockRequestOptions,
    ask: (options: LockRequestOptions) => Promise<Outcome>,
  ): Promise<Outcome> {
    const entry: Entry = {
      ...asked,
      object,
      startedAtMs: this.clock.now(),
      endedAtMs: undefined,
      outcome: undefined,
      stored: undefined,
      rejection: undefined,
    };
    this.requests.push(entry);
    try {
      const outcome = (await this.passed({ entry, options, ask })) as Outcome;
      entry.outcome = outcome;
      return outcome;
    } catch (error) {
      entry.rejection = error;
      throw error;
    } finally {
      entry.endedAtMs = this.clock.now();
    }
  }

  private async passed(passage: Passage): Promise<StoreOutcome> {
    const { entry, options } = passage;
    const fault = this.take(entry.verb);
    switch (fault?.kind) {
      case undefined:
        return this.asked(passage, options);
      case 'fail':
        return failure(entry.verb, 'not-applied', fault.error ?? unreachable(entry.object));
      case 'lose':
        await this.asked(passage, options);
        return failure(entry.verb, 'unknown', unclear(entry.object, 'its answer was lost'));
      case 'delay':
        return this.later(passage, (send) => this.clock.setTimer(send, fault.delayMs));
      case 'hold':
        return this.later(passage, (send) => this.held.add(send));
    }
  }

  /** The election is answered in its time, or when it no longer waits; the request may reach the store after that. */
  private later(passage: Passage, onTheWay: (send: () => void) => void): Promise<StoreOutcome> {
    const { entry, options } = passage;
    const { timeoutMs, signal } = options;
    return new Promise((resolve, reject) => {
      let isWaiting = true;
      let stopListening = (): void => undefined;
      const end = (settle: () => void): void => {
        if (!isWaiting) return;
        isWaiting = false;
        limit.cancel();
        stopListening();
        settle();
      };
      const giveUp = (why: string): void =>
        end(() => resolve(failure(entry.verb, 'unknown', unclear(entry.object, why))));
      const limit = this.clock.setTimer(
        () => giveUp(`no answer within ${timeoutMs} ms`),
        timeoutMs,
      );
      stopListening = onAbort(signal, () => giveUp('it was aborted'));
      onTheWay(() => {
        const unheeded = { timeoutMs, signal: new AbortController().signal };
        this.asked(passage, isWaiting ? options : unheeded).then(
          (outcome) => end(() => resolve(outcome)),
          (error: unknown) => end(() => reject(error as Error)),
        );
      });
    });
  }

  private async asked({ entry, ask }: Passage, options: LockRequestOptions): Promise<StoreOutcome> {
    this.atStore += 1;
    try {
      entry.stored = await ask(options);
      return entry.stored;
    } finally {
      this.atStore -= 1;
      if (this.atStore === 0) {
        for (const resolve of this.awaitingAnswers) resolve();
        this.awaitingAnswers.clear();
      }
    }
  }

  private watched(
    observer: LeaseWatchObserver,
    open: (observer: LeaseWatchObserver) => LeaseWatch,
  ): LeaseWatch {
    const watcher: RecordedWatcher = { observer, isOpen: false };
    const passOn = (report: () => void): void => {
      if (this.watchError === undefined) report();
    };
    this.watchers.add(watcher);
    if (this.watchError !== undefined) observer.interrupted(this.watchError);
    const watch = open({
      opened: () => {
        watcher.isOpen = true;
        passOn(() => observer.opened());
      },
      changed: (lease, revision) => passOn(() => observer.changed(lease, revision)),
      holderDied: (timingKey) => passOn(() => observer.holderDied(timingKey)),
      interrupted: (error) => {
        watcher.isOpen = false;
        passOn(() => observer.interrupted(error));
      },
    });
    return {
      close: () => {
        this.watchers.delete(watcher);
        watch.close();
      },
    };
  }
}

function failure(
  verb: StoreVerb,
  kind: 'not-applied' | 'unknown',
  error: LockRequestError,
): StoreOutcome {
  return verb === 'read' ? { kind: 'failed', error } : { kind, error };
}

function unreachable(object: string): LockRequestError {
  return new LockRequestError(`${object}: the test lets no request through`, {
    reason: 'unreachable',
  });
}

function unclear(object: string, why: string): LockRequestError {
  return new LockRequestError(`${object}: ${why}`, { reason: 'unclear' });
}
