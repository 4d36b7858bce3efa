import type { Clock } from '../../core/clock.js';
import type { Term } from '../../core/term.js';
import { pauseFor } from './once-ledger.js';
import type { OnceWork } from './once-work.js';

/** An election among the processes that want one key, as one of them takes part in it. */
export interface RunnerElection {
  /** The present term, by the clock. */
  readonly term: Term | undefined;
  /** The lease is not released before this has settled. */
  track(work: Promise<unknown>): void;
  /** Ends leadership and waits for what is tracked, within a bound. */
  drain(): Promise<unknown>;
  /** Releases the lease, and closes its lock, within a bound. */
  end(): Promise<void>;
}

/** Begins to compete for the lease of a key, within a bound; `onGranted` is called with each term. */
export type Compete = (
  key: string,
  onGranted: (term: Term) => void,
  signal: AbortSignal,
) => Promise<RunnerElection>;

export interface CandidacyOptions {
  readonly clock: Clock;
  readonly compete: Compete;
  /** Pause after a first attempt to compete that failed, in milliseconds; it doubles with each further one. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
  readonly onError: (error: Error) => void;
}

/** One process competes for the lease of a key, from `begin()` to `end()`, and runs the work in its terms. */
export class OnceCandidacy {
  private election: RunnerElection | undefined;
  private readonly ending = new AbortController();
  private beginning: Promise<void> | undefined;
  private drained: Promise<void> | undefined;
  private ended: Promise<void> | undefined;

  constructor(
    private readonly work: OnceWork,
    /** The candidacy of this process for the same lease that was before: two must not take part at once. */
    private readonly former: Promise<void>,
    private readonly options: CandidacyOptions,
  ) {}

  begin(): void {
    if (this.ending.signal.aborted) return;
    this.beginning ??= this.former.then(() => this.compete());
  }

  /** Leadership ends, and what runs is waited for, as at a shutdown. */
  drain(): Promise<void> {
    this.ending.abort();
    this.drained ??= Promise.resolve(this.beginning).then(async () => {
      await this.election?.drain();
    });
    return this.drained;
  }

  /** Also releases the lease. Bounded, and never rejects. */
  end(): Promise<void> {
    this.ended ??= this.drain().then(async () => {
      await this.former;
      await this.election?.end();
    });
    return this.ended;
  }

  private async compete(): Promise<void> {
    const { clock, compete, longestRetryMs, onError } = this.options;
    const { signal } = this.ending;
    for (let { retryMs } = this.options; !signal.aborted; retryMs *= 2) {
      try {
        const election: RunnerElection = await compete(
          this.work.key,
          (term) => {
            if (this.election !== undefined) this.leadIn(this.election, term);
          },
          signal,
        );
        this.election = election;
        return this.leadIn(election, election.term);
      } catch (error) {
        if (!signal.aborted) onError(error as Error);
      }
      await pauseFor(clock, Math.min(retryMs, longestRetryMs), signal);
    }
  }

  private leadIn(election: RunnerElection, term: Term | undefined): void {
    if (term === undefined || this.ending.signal.aborted) return;
    election.track(this.work.lead(term, () => election.term === term));
  }
}
