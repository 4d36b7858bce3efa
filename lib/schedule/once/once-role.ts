import { setMaxListeners } from 'node:events';
import { onAbort } from '../../core/abort-signal.js';
import type { Clock } from '../../core/clock.js';
import type { LockRequestError } from '../../core/errors.js';
import { type Compete, OnceCandidacy } from './once-candidacy.js';
import { endOf, type OnceEnd } from './once-decision.js';
import { OnceFailedError, OnceTimeoutError } from './once-errors.js';
import { type OnceLedger, pauseFor } from './once-ledger.js';
import { type OnceDefinition, type OnceEnvironment, OnceWork, OwnClaims } from './once-work.js';

export interface OnceRoleOptions {
  readonly clock: Clock;
  readonly ledger: OnceLedger;
  readonly work: Omit<OnceEnvironment, 'clock' | 'ledger' | 'closing' | 'claims'>;
  /** Pause between two reads while a caller waits for something. */
  readonly lookMs: number;
  /** The longest pause between two reads while none does. */
  readonly longestLookMs: number;
  readonly compete: Compete;
  /** The name of the lease of a key. */
  readonly leaseOf: (key: string) => string;
  /** The record of a key cannot be read, or this process cannot compete. */
  readonly onError: (error: LockRequestError | Error) => void;
  /** Why waiting is in vain, as this process stops. */
  readonly stopped: () => Error;
}

/** How work that runs once ended for a caller: it ran in this process, it has run elsewhere, or a newer version has begun. */
export type OnceResult = 'ran' | 'succeeded' | 'superseded';

/** What one process wants of one key, while that is not over. */
interface Wanted {
  readonly work: OnceWork;
  readonly candidacy: OnceCandidacy;
}

/**
 * What one role of one process wants to be done once. While something is outstanding it reads the records, and competes
 * for one lease of each key that only such processes compete for: the leader of the role may be a replica of an older
 * version, which knows nothing of the work and stays until this one is ready. When all is over, nothing is read and no
 * lease is held.
 */
export class OnceRole {
  /** What is outstanding, by key. */
  private readonly wanted = new Map<string, Wanted>();
  /** The end of the last candidacy for each lease. */
  private readonly endings = new Map<string, Promise<void>>();
  /** Those that have not ended. */
  private readonly candidacies = new Set<OnceCandidacy>();
  private readonly stopping = new AbortController();
  /** What has ended is recorded until this is aborted. */
  private readonly closing = new AbortController();
  private readonly claims = new OwnClaims();
  /** How many callers wait. */
  private waiting = 0;
  private isWorking = false;
  private wake = new AbortController();
  private pauseMs: number;

  constructor(private readonly options: OnceRoleOptions) {
    this.pauseMs = options.lookMs;
    // Everything that is waited for listens: more than ten are no leak, and Node.js would warn of one.
    setMaxListeners(Infinity, this.stopping.signal, this.closing.signal);
  }

  /** The outstanding work of a key, if there is one. */
  outstanding(key: string): OnceWork | undefined {
    return this.wanted.get(key)?.work;
  }

  /** Wants something done. The key must not be outstanding. */
  add(definition: OnceDefinition): OnceWork {
    const { clock, compete, ledger, lookMs, longestLookMs, onError } = this.options;
    const { claims, closing } = this;
    const environment = { ...this.options.work, clock, ledger, claims, closing: closing.signal };
    const work = new OnceWork(definition, environment);
    const { key } = work;
    const retries = { retryMs: lookMs, longestRetryMs: longestLookMs };
    const former = this.endings.get(key) ?? Promise.resolve();
    const candidacy = new OnceCandidacy(work, former, { clock, compete, onError, ...retries });
    this.candidacies.add(candidacy);
    this.wanted.set(key, { work, candidacy });
    void work.over.then(() => this.drop({ work, candidacy }));
    this.begin();
    return work;
  }

  /**
   * Waits until it is over. The bound is one for waiting for others, and for the record of a run in this process: the run
   * itself is not cut short by it.
   * @throws OnceFailedError OnceTimeoutError and what `stopped` makes
   */
  async wait(work: OnceWork, waitTimeoutMs: number): Promise<OnceResult> {
    const { stopped } = this.options;
    const over = new AbortController();
    let ignoreAbort = (): void => {};
    const ended = new Promise<never>((_resolve, reject) => {
      ignoreAbort = onAbort(this.closing.signal, () => reject(stopped()));
    });
    this.waiting += 1;
    if (this.pauseMs > this.options.lookMs) this.begin();
    try {
      const expired = this.expired(work, waitTimeoutMs, over.signal);
      const { end, record, isOwn } = await Promise.race([work.over, expired, ended]);
      if (isFailure(end)) throw new OnceFailedError(work.key, record);
      return end === 'superseded' ? end : isOwn ? 'ran' : 'succeeded';
    } finally {
      this.waiting -= 1;
      ignoreAbort();
      over.abort();
    }
  }

  /** No longer wants it: it will not be started here, and if it runs here, its end is the end of it. */
  withdraw(work: OnceWork): void {
    const wanted = this.wanted.get(work.key);
    if (wanted?.work !== work) return;
    work.withdraw();
    if (isUnderWay(work)) void work.idle.then(() => this.drop(wanted));
    else this.drop(wanted);
  }

  /** The keys of what runs in this process. */
  get running(): string[] {
    return [...this.wanted.values()]
      .filter(({ work }) => isUnderWay(work))
      .map(({ work }) => work.key);
  }

  /** Starts nothing from here on, and waits until what runs here has ended and that is recorded, if it can be. */
  async finish(): Promise<void> {
    this.stopping.abort();
    this.look();
    const works = [...this.wanted.values()].map(({ work }) => work);
    for (const work of works) this.withdraw(work);
    const { clock, lookMs, longestLookMs } = this.options;
    const { signal } = this.closing;
    while (!signal.aborted && works.some(({ isRunning }) => isRunning)) {
      await pauseFor(clock, lookMs, signal);
    }
    const giveUpAt = clock.now() + longestLookMs;
    while (!signal.aborted && works.some(isUnderWay) && clock.now() < giveUpAt) {
      await pauseFor(clock, lookMs, signal);
    }
  }

  /**
   * Resolves once the record no longer says that it failed or was interrupted: with true, unless this process stops
   * first. Reads seldom: a person has to repair it, or a run that was given up has to end.
   */
  async repaired(work: OnceWork): Promise<boolean> {
    const { clock, ledger, longestLookMs } = this.options;
    const { signal } = this.stopping;
    for (;;) {
      await pauseFor(clock, longestLookMs, signal);
      const document = await ledger.read(signal);
      if (document === undefined || signal.aborted) return false;
      const read = ledger.recordIn(document, work.key);
      const end = read?.record && endOf(read.record, work.definition);
      if (read !== undefined && !isFailure(end)) return true;
    }
  }

  /**
   * Competes no longer, ends what runs here as a shutdown does, and records how. Returns within the bound of the
   * election's drain.
   */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.look();
    const all = [...this.candidacies];
    await Promise.all(all.map((candidacy) => candidacy.drain()));
    this.closing.abort();
    await Promise.all(all.map((candidacy) => candidacy.end()));
  }

  private async expired(work: OnceWork, waitTimeoutMs: number, over: AbortSignal): Promise<never> {
    const { clock, leaseOf, lookMs } = this.options;
    await pauseFor(clock, waitTimeoutMs, over);
    let endedAt: number | undefined;
    while (!over.aborted) {
      endedAt = work.ending === undefined ? undefined : (endedAt ?? clock.now());
      const restMs = endedAt === undefined ? 0 : endedAt + waitTimeoutMs - clock.now();
      if (!work.isRunning && restMs <= 0) break;
      await pauseFor(clock, work.isRunning ? lookMs : Math.min(lookMs, restMs), over);
    }
    throw new OnceTimeoutError(work.key, work.definition.version, {
      waitTimeoutMs,
      record: work.record,
      ending: work.ending,
      leaseName: leaseOf(work.key),
    });
  }

  /** Its candidacy ends; the next one of this key begins after that. */
  private drop({ work, candidacy }: Wanted): void {
    const { key } = work;
    if (this.wanted.get(key)?.work !== work) return;
    this.wanted.delete(key);
    const ending = candidacy.end().then(() => {
      this.candidacies.delete(candidacy);
      if (this.endings.get(key) === ending) this.endings.delete(key);
    });
    this.endings.set(key, ending);
    if (this.wanted.size === 0) this.look();
  }

  /** What is not running here: that settles by its own end. */
  private get isLooking(): boolean {
    return (
      !this.stopping.signal.aborted && [...this.wanted.values()].some(({ work }) => !work.isRunning)
    );
  }

  private begin(): void {
    this.pauseMs = this.options.lookMs;
    if (this.isWorking) return this.look();
    this.isWorking = true;
    void this.workOff().finally(() => {
      this.isWorking = false;
      if (this.isOutstanding) this.begin();
    });
  }

  private get isOutstanding(): boolean {
    return this.wanted.size > 0 && !this.stopping.signal.aborted;
  }

  private look(): void {
    this.wake.abort();
  }

  private async workOff(): Promise<void> {
    const { clock, lookMs, longestLookMs } = this.options;
    while (this.isOutstanding) {
      this.wake = new AbortController();
      if (this.isLooking) await this.observe();
      if (!this.isOutstanding) return;
      await pauseFor(clock, this.pauseMs, this.wake.signal);
      this.pauseMs = this.waiting > 0 ? lookMs : Math.min(2 * this.pauseMs, longestLookMs);
    }
  }

  private async observe(): Promise<void> {
    const document = await this.options.ledger.read(this.stopping.signal);
    if (document === undefined) return;
    for (const { work, candidacy } of this.wanted.values()) {
      const read = this.options.ledger.recordIn(document, work.key);
      if (read !== undefined) work.observe(read.record);
      if (!work.isOver) candidacy.begin();
    }
  }
}

function isFailure(end: OnceEnd | undefined): end is 'failed' | 'interrupted' {
  return end === 'failed' || end === 'interrupted';
}

/** Its run has begun in this process, and has not ended, or its end is not recorded. */
function isUnderWay(work: OnceWork): boolean {
  return work.isRunning || work.ending !== undefined;
}
