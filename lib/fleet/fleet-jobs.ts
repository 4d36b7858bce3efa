import { withTimeLimit } from '../core/abort-signal.js';
import type { Clock } from '../core/clock.js';
import { LockRequestError } from '../core/errors.js';
import type { ResourceLock } from '../core/resource-lock.js';
import { kernelRandom, kernelUuid } from '../locks/kernel-entropy.js';
import { type CancelledRuns, RunCancel } from '../schedule/ledger/cancel-changes.js';
import type { JobRecord } from '../schedule/ledger/job-record.js';
import { type LedgerChange, SwitchChange } from '../schedule/ledger/ledger-changes.js';
import { type AskedOutcome, RunAsker } from '../schedule/ledger/run-asker.js';
import { suffixOf } from '../schedule/ledger/schedule-objects.js';
import { SpreadLedger } from '../schedule/ledger/spread-ledger.js';
import { failedRequest, FleetError } from './fleet-error.js';
import {
  askLeader,
  holderOf,
  readLease,
  untilAnswered,
  type Waiting,
  waitingBy,
} from './leader-requests.js';

const REQUEST_TIMEOUT_MS = 5_000;
const CHANGE_TIMEOUT_MS = 15_000;
const RETRY_MS = 250;
const LOOK_MS = 500;
/** So long the record may not be readable while the end of runs is awaited. */
const UNREAD_MS = 60_000;
/** A leader hears of what was changed within a retry period. */
const HEARD_WITHIN_MS = 10_000;

/** Who changes jobs. */
export interface FleetCaller {
  /** As it is written in records and logs. */
  readonly by: string;
  readonly clock: Clock;
  /** What whoever asked should know, though it was done. */
  warn(text: string): void;
}

/** The jobs of a role as the fleet has recorded them, changed as by any replica. */
export class FleetJobs {
  private readonly clock: Clock;
  private readonly waiting: Waiting;
  private readonly ledger: SpreadLedger;
  private readonly refused = new AbortController();
  private lastError: LockRequestError | undefined;
  private onError: (error: LockRequestError) => void = () => {};

  /** @throws FleetError if the lock keeps no jobs */
  constructor(
    private readonly lock: ResourceLock,
    private readonly caller: FleetCaller,
  ) {
    if (lock.sibling === undefined) throw new FleetError(`${lock.describe()} keeps no jobs`);
    this.clock = caller.clock;
    this.waiting = waitingBy(caller.clock);
    this.ledger = new SpreadLedger(this.clock, {
      objects: 1,
      open: (object) => lock.sibling!(suffixOf(object)),
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      longestRequestMs: CHANGE_TIMEOUT_MS,
      retryMs: RETRY_MS,
      longestRetryMs: REQUEST_TIMEOUT_MS,
      random: kernelRandom,
      onError: (error) => this.failed(error),
    });
  }

  /** @throws LockRequestError */
  list(): Promise<ReadonlyMap<string, JobRecord | undefined>> {
    return this.ledger.inspectJobs(new AbortController().signal);
  }

  /** @throws FleetError if the fleet has recorded no such job, or its record cannot be read */
  async job(name: string): Promise<JobRecord> {
    const jobs = await this.list();
    const record = jobs.get(name);
    if (record !== undefined) return record;
    if (jobs.has(name)) throw new FleetError(`the record of job ${name} cannot be read`);
    const known = [...jobs.keys()].join(', ');
    throw new FleetError(
      `the fleet has recorded no job ${name}${known === '' ? ', nor any other' : `; there are ${known}`}. ` +
        'A job is recorded once a leader knows it.',
    );
  }

  async switchTo(name: string, isSuspended: boolean, reason: string): Promise<void> {
    const { schedule } = await this.job(name);
    const at = this.waiting.now();
    // Whether the options of the job say suspend is known to its leader, who drops this where they do not.
    const liftsOption = !isSuspended;
    const wanted = { isSuspended, at, by: this.caller.by, reason, liftsOption };
    await this.submit(new SwitchChange(name, schedule, wanted), name);
  }

  async cancel(name: string, reason: string): Promise<CancelledRuns> {
    await this.job(name);
    const cancellation = { at: this.waiting.now(), by: this.caller.by, reason };
    const all = (): boolean => true;
    const change = new RunCancel({ job: name, cancellation, isCandidate: all, leader: null });
    return this.submit(change, name);
  }

  /** Resolves once none of these runs is recorded as active; false if some are after that time. */
  async untilEnded(name: string, runs: readonly string[], waitMs: number): Promise<boolean> {
    const until = this.waiting.now() + waitMs;
    let readUntil = this.waiting.now() + UNREAD_MS;
    for (;;) {
      const record = await this.job(name).catch((error: unknown) => {
        // Whoever waits for a run need not begin again after one read that has failed.
        if (this.waiting.now() >= Math.min(until, readUntil) || !isPassing(error)) throw error;
      });
      if (record !== undefined) {
        if (!record.active.some(({ id }) => runs.includes(id))) return true;
        readUntil = this.waiting.now() + UNREAD_MS;
      }
      if (this.waiting.now() >= until) return false;
      await this.waiting.pause(LOOK_MS);
    }
  }

  /**
   * Asks the leader for a run, and waits for its answer.
   *
   * @throws FleetError if nothing is stored
   */
  async trigger(name: string, timeoutMs: number): Promise<AskedOutcome> {
    await this.job(name);
    const heardWithinMs = Math.min(HEARD_WITHIN_MS, timeoutMs);
    const asker = new RunAsker(this.ledger, this.clock, () => this.tellLeader(heardWithinMs));
    this.onError = (error) => asker.failed(error);
    const { by } = this.caller;
    const outcome = await asker.ask({ job: name, id: kernelUuid(), by, timeoutMs });
    if (outcome.kind !== 'not-asked') return outcome;
    if (this.lastError !== undefined) throw failedRequest(this.lastError);
    throw new FleetError(
      `job ${name}: no run could be asked for within ${timeoutMs} ms. None will start.`,
      true,
    );
  }

  /**
   * Lets the leader read what was changed, by a request on the lease. Without that, it hears of it when it reads for another
   * reason.
   */
  async tellLeader(withinMs = HEARD_WITHIN_MS): Promise<boolean> {
    const { lock, caller, waiting } = this;
    const until = waiting.now() + withinMs;
    try {
      const lease = await readLease(lock);
      if (holderOf(lease?.record) === undefined) {
        caller.warn('no process leads at present: the next leader reads it when its term begins');
        return false;
      }
      const request = await askLeader(
        lock,
        { asks: 'read-schedule', by: caller.by },
        until,
        waiting,
      );
      const answered = await untilAnswered(lock, request, until, waiting);
      if (answered.kind !== 'silent') return true;
      caller.warn(
        `${request.holderIdentity} did not say within ${withinMs} ms that it has read it: it may be an older version, ` +
          'stopped or cut off',
      );
    } catch (error) {
      // What was changed is stored all the same.
      if (!(error instanceof FleetError)) throw error;
      caller.warn(`the leader could not be told to read it at once: ${error.message}`);
    }
    return false;
  }

  private async submit<R>(change: LedgerChange<R>, name: string): Promise<R> {
    const { clock, ledger } = this;
    const { signal } = this.refused;
    const read = (limit: AbortSignal): Promise<boolean> => ledger.refresh(limit, name);
    const isRead = await withTimeLimit(clock, CHANGE_TIMEOUT_MS, read, signal);
    if (!isRead) throw this.notStored(name);
    const deadline = clock.now() + CHANGE_TIMEOUT_MS;
    const stored = await ledger.submit(change, { deadline, signal });
    if (stored.kind !== 'settled') throw this.notStored(name);
    return stored.result;
  }

  /** What the store refuses it would refuse again: whoever has no right need not wait. */
  private failed(error: LockRequestError): void {
    this.lastError = error;
    this.onError(error);
    if (error.reason === 'rejected') this.refused.abort();
  }

  private notStored(name: string): FleetError {
    if (this.lastError !== undefined) return failedRequest(this.lastError);
    return new FleetError(
      `job ${name}: it could not be confirmed within ${CHANGE_TIMEOUT_MS} ms that it is stored. Call it again: this does no ` +
        'harm if it is.',
      true,
    );
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof LockRequestError && error.reason !== 'rejected';
}
