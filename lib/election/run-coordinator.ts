import { onAbort } from '../core/abort-signal.js';
import type { Clock, Timer } from '../core/clock.js';
import type { Term } from '../core/term.js';
import type { CountedWork } from './gated-work.js';

/**
 * What node-cron 4.6 asks before each run of a task with `distributed: true`. Its own type has the same shape, so that
 * this package needs none of node-cron.
 */
export interface RunCoordinator {
  /**
   * Whether the run takes place in this process.
   * @param key name and nominal time of the run
   * @param ttlMs the option `distributedLease` of the task, 30 s unless set
   */
  shouldRun(key: string, ttlMs: number): boolean;
  /** The run has ended, in whatever way. */
  onComplete(key: string): void;
}

interface CoordinatedElection {
  readonly term: Term | undefined;
  readonly work: CountedWork;
  readonly clock: Clock;
  /** Time after the end of a term in which the lease has been released or has expired, whatever its work did. */
  readonly lostAfterMs: number;
  /** A run was allowed. */
  allowed(key: string): void;
  /** A run was refused, as this process does not lead. */
  skipped(key: string): void;
}

interface AllowedRun {
  readonly allowedAt: number;
  readonly ttlMs: number;
  readonly ignoreEnd: () => void;
  lost?: Timer;
}

/**
 * Lets the runs of node-cron's tasks take place on the leader, and counts them as work in flight from the question to their
 * completion.
 *
 * node-cron does not report the end of every run: a task that is stopped during its `maxRandomDelay` never runs, and the
 * process of a background task may die. So a run no longer keeps this process from competing once its `distributedLease`
 * has passed, and the lease of its term has expired.
 */
export class LeaderRunCoordinator implements RunCoordinator {
  private readonly runs = new Map<string, AllowedRun>();

  constructor(private readonly election: CoordinatedElection) {}

  shouldRun(key: string, ttlMs: number): boolean {
    const { term, work, clock } = this.election;
    if (term === undefined) {
      this.election.skipped(key);
      return false;
    }
    // Two tasks of one name: the key is that of one run.
    if (this.runs.has(key)) return false;
    this.election.allowed(key);
    work.begin(key);
    this.runs.set(key, {
      allowedAt: clock.now(),
      ttlMs,
      ignoreEnd: onAbort(term.signal, () => this.awaitEnd(key)),
    });
    return true;
  }

  onComplete(key: string): void {
    const run = this.runs.get(key);
    if (run === undefined) return;
    this.runs.delete(key);
    run.ignoreEnd();
    run.lost?.cancel();
    this.election.work.end(key);
  }

  /** The election has stopped: what is left of the runs cannot be waited for. */
  close(): void {
    for (const key of this.runs.keys()) this.onComplete(key);
  }

  private awaitEnd(key: string): void {
    const run = this.runs.get(key);
    if (run === undefined) return;
    const { clock, lostAfterMs } = this.election;
    const leftMs = run.allowedAt + run.ttlMs - clock.now();
    run.lost = clock.setTimer(() => this.onComplete(key), Math.max(leftMs, lostAfterMs));
  }
}
