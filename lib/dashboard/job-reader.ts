import type { Timer } from '../core/clock.js';
import { LockRequestError } from '../core/errors.js';
import { kernelRandom } from '../locks/kernel-entropy.js';
import type { JobRecord } from '../schedule/ledger/job-record.js';
import { suffixOf } from '../schedule/ledger/schedule-objects.js';
import { SpreadLedger } from '../schedule/ledger/spread-ledger.js';
import type { WatchedElection } from './watched-election.js';

/** A role without jobs may get some with the next version of the application: it is looked for them this seldom. */
const LOOKS_TO_SKIP = 30;

/** The jobs of a role as they are stored, whoever leads; undefined: a record that cannot be read. */
export type RecordedJobs = ReadonlyMap<string, JobRecord | undefined>;

/** Reads what the fleet has recorded of the jobs of a role, from the objects beside its lease. Never writes. */
export class JobReader {
  private readonly ledger: SpreadLedger | undefined;
  private looksToSkip = 0;

  constructor(
    private readonly election: Pick<WatchedElection, 'activity' | 'clock' | 'lock' | 'options'>,
  ) {
    const { clock, lock, options } = election;
    if (lock.sibling === undefined) return;
    const { requestTimeoutMs, retryPeriodMs, leaseDurationMs } = options;
    this.ledger = new SpreadLedger(clock, {
      objects: 1,
      open: (object) => lock.sibling!(suffixOf(object)),
      requestTimeoutMs,
      longestRequestMs: requestTimeoutMs,
      retryMs: retryPeriodMs,
      longestRetryMs: leaseDurationMs,
      random: kernelRandom,
      onError: () => undefined,
    });
  }

  /**
   * One request for each object. Undefined: nothing was asked, as this role has no jobs.
   * @throws LockRequestError
   */
  async read(signal: AbortSignal): Promise<RecordedJobs | undefined> {
    const { ledger } = this;
    if (ledger === undefined) return undefined;
    if (this.looksToSkip > 0 && this.election.activity.jobs().length === 0) {
      this.looksToSkip -= 1;
      return undefined;
    }
    const jobs = await ledger.inspectJobs(signal);
    this.looksToSkip = jobs.size === 0 ? LOOKS_TO_SKIP : 0;
    return jobs;
  }
}

export interface PolledJobs {
  read(jobs: RecordedJobs): void;
  failed(error: unknown): void;
}

/** Reads the jobs while someone watches: once a retry period, one read at a time, and less often while it fails. */
export class JobPoll {
  private readonly reader: JobReader;
  private timer: Timer | undefined;
  private reading: AbortController | undefined;
  private isWatched = false;
  private isWantedAgain = false;
  private failures = 0;

  constructor(
    private readonly election: WatchedElection,
    private readonly observer: PolledJobs,
  ) {
    this.reader = new JobReader(election);
  }

  /** Resolves with the end of the first read, however it ends. */
  start(): Promise<void> {
    this.isWatched = true;
    return this.read();
  }

  /** Something has happened to the election: what is recorded may have changed with it. */
  soon(): void {
    if (!this.isWatched) return;
    if (this.reading === undefined) void this.read();
    else this.isWantedAgain = true;
  }

  /** An answer that is still on its way reaches the observer no longer. */
  stop(): void {
    this.isWatched = false;
    this.timer?.cancel();
    this.reading?.abort();
    this.reading = undefined;
  }

  private async read(): Promise<void> {
    this.timer?.cancel();
    this.isWantedAgain = false;
    const reading = new AbortController();
    this.reading = reading;
    let retryAfterMs = 0;
    try {
      const jobs = await this.reader.read(reading.signal);
      if (reading.signal.aborted) return;
      this.failures = 0;
      if (jobs !== undefined) this.observer.read(jobs);
    } catch (error) {
      if (reading.signal.aborted) return;
      this.failures += 1;
      if (error instanceof LockRequestError) retryAfterMs = error.retryAfterMs ?? 0;
      this.observer.failed(error);
    }
    this.reading = undefined;
    this.wait(retryAfterMs);
  }

  private wait(retryAfterMs: number): void {
    const { clock, options } = this.election;
    const { retryPeriodMs, leaseDurationMs } = options;
    const longestMs = Math.max(leaseDurationMs, retryPeriodMs);
    const pauseMs = Math.min(retryPeriodMs * 2 ** Math.min(this.failures, 10), longestMs);
    const waitMs = this.isWantedAgain && this.failures === 0 ? 0 : Math.max(pauseMs, retryAfterMs);
    this.timer = clock.setTimer(() => void this.read(), waitMs);
  }
}
