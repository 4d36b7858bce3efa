import { setMaxListeners } from 'node:events';
import { onAbort } from '../../core/abort-signal.js';
import type { Clock } from '../../core/clock.js';
import type { LockRequestError } from '../../core/errors.js';
import type { Term } from '../../core/term.js';
import type { OnceEnd } from './once-decision.js';
import { OnceFailedError, OnceTimeoutError } from './once-errors.js';
import { type OnceLedger, pauseFor } from './once-ledger.js';
import { type OnceDefinition, type OnceEnvironment, OnceWork } from './once-work.js';

/** An election among the processes that have outstanding work, as one of them takes part in it. */
export interface RunnerElection {
  /** The present term, by the clock. */
  readonly term: Term | undefined;
  /** The lease is not released before this has settled. */
  track(work: Promise<unknown>): void;
  /** Ends leadership and waits for what is tracked, within a bound. */
  drain(): Promise<unknown>;
  /** Releases the lease, and closes its lock. */
  end(): Promise<void>;
}

export interface OnceRoleOptions {
  readonly clock: Clock;
  readonly ledger: OnceLedger;
  readonly work: Omit<OnceEnvironment, 'clock' | 'ledger' | 'closing'>;
  /** Pause between two reads while something is outstanding. */
  readonly lookMs: number;
  /** Begins to compete; `onGranted` is called with each term. */
  readonly compete: (onGranted: (term: Term) => void) => Promise<RunnerElection>;
  /** The record of a key cannot be read, or this process cannot compete. */
  readonly onError: (error: LockRequestError | Error) => void;
  /** Why waiting is in vain, as this process stops. */
  readonly stopped: () => Error;
}

/** How work that runs once ended for a caller: it ran in this process, it has run elsewhere, or a newer version has begun. */
export type OnceResult = 'ran' | 'succeeded' | 'superseded';

/**
 * What one role of one process wants to be done once. While something is outstanding it reads the records and competes
 * for a lease that only such processes compete for: the leader of the role may be a replica of an older version, which
 * knows nothing of the work and stays until this one is ready. When all is over, nothing is read and no lease is held.
 */
export class OnceRole {
  /** What is outstanding, by key. */
  private readonly works = new Map<string, OnceWork>();
  private readonly stopping = new AbortController();
  /** What has ended is recorded until this is aborted. */
  private readonly closing = new AbortController();
  private election: RunnerElection | undefined;
  private isWorking = false;
  private wake = new AbortController();
  private working: Promise<void> = Promise.resolve();

  constructor(private readonly options: OnceRoleOptions) {
    // Everything that is waited for listens: more than ten are no leak, and Node.js would warn of one.
    setMaxListeners(Infinity, this.stopping.signal, this.closing.signal);
  }

  /** The outstanding work of a key, if there is one. */
  outstanding(key: string): OnceWork | undefined {
    const work = this.works.get(key);
    return work?.isOver === false ? work : undefined;
  }

  /** Wants something done. A key that is outstanding is not added again. */
  add(definition: OnceDefinition): OnceWork {
    const { clock, ledger } = this.options;
    const environment = { ...this.options.work, clock, ledger, closing: this.closing.signal };
    const work = new OnceWork(definition, environment);
    this.works.set(work.key, work);
    void work.over.then(() => {
      if (this.works.get(work.key) === work) this.works.delete(work.key);
      this.look();
    });
    if (this.stopping.signal.aborted) return work;
    if (this.election !== undefined) this.leadIn(this.election, [work]);
    this.begin();
    return work;
  }

  /**
   * Waits until it is over. The bound is one for waiting for others: a run in this process is not cut short by it.
   * @throws OnceFailedError OnceTimeoutError and what `stopped` makes
   */
  async wait(work: OnceWork, waitTimeoutMs: number): Promise<OnceResult> {
    const { clock, lookMs, stopped } = this.options;
    const over = new AbortController();
    const expired = async (): Promise<never> => {
      await pauseFor(clock, waitTimeoutMs, over.signal);
      while (work.isRunning && !over.signal.aborted) await pauseFor(clock, lookMs, over.signal);
      throw new OnceTimeoutError(work.key, work.definition.version, waitTimeoutMs, work.record);
    };
    let ignoreAbort = (): void => {};
    const ended = new Promise<never>((_resolve, reject) => {
      ignoreAbort = onAbort(this.closing.signal, () => reject(stopped()));
    });
    try {
      const { end, record, isOwn } = await Promise.race([work.over, expired(), ended]);
      if (isFailure(end)) throw new OnceFailedError(work.key, record);
      return end === 'superseded' ? end : isOwn ? 'ran' : 'succeeded';
    } finally {
      ignoreAbort();
      over.abort();
    }
  }

  /**
   * Competes no longer, ends what runs here as a shutdown does, and records how. Returns within the bound of the
   * election's drain.
   */
  async stop(): Promise<void> {
    this.stopping.abort();
    const { election } = this;
    await election?.drain();
    this.closing.abort();
    this.look();
    await this.working;
  }

  private get isOutstanding(): boolean {
    return [...this.works.values()].some(({ isOver }) => !isOver);
  }

  private begin(): void {
    if (this.isWorking) return this.look();
    this.isWorking = true;
    this.working = this.workOff().finally(() => {
      this.isWorking = false;
      if (this.isOutstanding && !this.stopping.signal.aborted) this.begin();
    });
  }

  private look(): void {
    this.wake.abort();
  }

  private async workOff(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted && this.isOutstanding) {
      this.wake = new AbortController();
      await this.observe();
      if (!signal.aborted && this.isOutstanding) {
        await this.compete();
        await pauseFor(this.options.clock, this.options.lookMs, this.wake.signal);
      }
      if (signal.aborted || !this.isOutstanding) await this.endElection();
    }
    await this.endElection();
  }

  private async observe(): Promise<void> {
    const document = await this.options.ledger.read(this.stopping.signal);
    if (document === undefined) return;
    for (const work of this.works.values()) {
      if (work.isOver) continue;
      const read = this.options.ledger.recordIn(document, work.key);
      if (read !== undefined) work.observe(read.record);
    }
  }

  private async compete(): Promise<void> {
    if (this.election !== undefined) return;
    const { compete, onError } = this.options;
    try {
      const election: RunnerElection = await compete((term) => {
        if (this.election !== undefined) this.leadIn(this.election, this.works.values(), term);
      });
      this.election = election;
      if (this.stopping.signal.aborted) return;
      this.leadIn(election, this.works.values());
    } catch (error) {
      onError(error as Error);
    }
  }

  private leadIn(election: RunnerElection, works: Iterable<OnceWork>, term = election.term): void {
    if (term === undefined) return;
    for (const work of works) {
      if (!work.isOver) election.track(work.lead(term, () => election.term === term));
    }
  }

  private async endElection(): Promise<void> {
    const { election } = this;
    if (election === undefined) return;
    if (!this.closing.signal.aborted) await election.drain();
    this.election = undefined;
    await election.end();
  }
}

function isFailure(end: OnceEnd): end is 'failed' | 'interrupted' {
  return end === 'failed' || end === 'interrupted';
}
