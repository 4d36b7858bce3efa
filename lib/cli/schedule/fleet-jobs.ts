import { setTimeout as pause } from 'node:timers/promises';
import { LockRequestError } from '../../core/errors.js';
import type { ResourceLock } from '../../core/resource-lock.js';
import { SystemClock } from '../../elector/system-clock.js';
import { kernelRandom, kernelUuid } from '../../locks/kernel-entropy.js';
import { type CancelledRuns, RunCancel } from '../../schedule/ledger/cancel-changes.js';
import type { JobRecord } from '../../schedule/ledger/job-record.js';
import { type LedgerChange, SwitchChange } from '../../schedule/ledger/ledger-changes.js';
import { type AskedOutcome, RunAsker } from '../../schedule/ledger/run-asker.js';
import { suffixOf } from '../../schedule/ledger/schedule-objects.js';
import { SpreadLedger } from '../../schedule/ledger/spread-ledger.js';
import { type CommandCall, CommandError, EXIT } from '../command.js';
import { failedRequest, holderOf, operatorName, readLease, withLock } from '../connection.js';
import { askLeader, untilAnswered } from '../step-down.command.js';

const REQUEST_TIMEOUT_MS = 5_000;
const CHANGE_TIMEOUT_MS = 15_000;
const RETRY_MS = 250;
const LOOK_MS = 500;
/** So long the record may not be readable while the end of runs is awaited. */
const UNREAD_MS = 60_000;
/** A leader hears of what was changed within a retry period. */
const HEARD_WITHIN_MS = 10_000;

/** The jobs of a role as the fleet has recorded them, changed as by any replica. */
export class FleetJobs {
  private readonly clock = new SystemClock();
  private readonly ledger: SpreadLedger;
  private readonly refused = new AbortController();
  private lastError: LockRequestError | undefined;
  private onError: (error: LockRequestError) => void = () => {};

  private constructor(
    private readonly call: CommandCall,
    private readonly lock: ResourceLock,
  ) {
    if (lock.sibling === undefined) throw new CommandError(`${lock.describe()} keeps no jobs`);
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

  static open<T>(call: CommandCall, use: (jobs: FleetJobs) => Promise<T>): Promise<T> {
    return withLock(call, (lock) => use(new FleetJobs(call, lock)));
  }

  get by(): string {
    return operatorName(this.call);
  }

  /** @throws LockRequestError */
  list(): Promise<ReadonlyMap<string, JobRecord | undefined>> {
    return this.ledger.inspectJobs(new AbortController().signal);
  }

  /** @throws CommandError if the fleet has recorded no such job, or its record cannot be read */
  async job(name: string): Promise<JobRecord> {
    const jobs = await this.list();
    const record = jobs.get(name);
    if (record !== undefined) return record;
    if (jobs.has(name)) throw new CommandError(`the record of job ${name} cannot be read`);
    const known = [...jobs.keys()].join(', ');
    throw new CommandError(
      `the fleet has recorded no job ${name}${known === '' ? ', nor any other' : `; there are ${known}`}. ` +
        'A job is recorded once a leader knows it.',
    );
  }

  async switchTo(name: string, isSuspended: boolean, reason: string): Promise<void> {
    const { schedule } = await this.job(name);
    const at = Date.now();
    // Whether the options of the job say suspend is known to its leader, who drops this where they do not.
    const liftsOption = !isSuspended;
    const wanted = { isSuspended, at, by: this.by, reason, liftsOption };
    await this.submit(new SwitchChange(name, schedule, wanted), name);
  }

  async cancel(name: string, reason: string): Promise<CancelledRuns> {
    await this.job(name);
    const cancellation = { at: Date.now(), by: this.by, reason };
    const all = (): boolean => true;
    const change = new RunCancel({ job: name, cancellation, isCandidate: all, leader: null });
    return this.submit(change, name);
  }

  /** Resolves once none of these runs is recorded as active; false if some are after that time. */
  async untilEnded(name: string, runs: readonly string[], waitMs: number): Promise<boolean> {
    const until = Date.now() + waitMs;
    let readUntil = Date.now() + UNREAD_MS;
    for (;;) {
      const record = await this.job(name).catch((error: unknown) => {
        // Whoever waits for a run need not begin again after one read that has failed.
        if (Date.now() >= Math.min(until, readUntil) || !isPassing(error)) throw error;
      });
      if (record !== undefined) {
        if (!record.active.some(({ id }) => runs.includes(id))) return true;
        readUntil = Date.now() + UNREAD_MS;
      }
      if (Date.now() >= until) return false;
      await pause(LOOK_MS);
    }
  }

  /**
   * Asks the leader for a run, and waits for its answer.
   *
   * @throws CommandError if nothing is stored
   */
  async trigger(name: string, timeoutMs: number): Promise<AskedOutcome> {
    await this.job(name);
    const heardWithinMs = Math.min(HEARD_WITHIN_MS, timeoutMs);
    const asker = new RunAsker(this.ledger, this.clock, () => this.tellLeader(heardWithinMs));
    this.onError = (error) => asker.failed(error);
    const { by } = this;
    const outcome = await asker.ask({ job: name, id: kernelUuid(), by, timeoutMs });
    if (outcome.kind !== 'not-asked') return outcome;
    if (this.lastError !== undefined) throw failedRequest(this.lastError);
    throw new CommandError(
      `job ${name}: no run could be asked for within ${timeoutMs} ms. None will start.`,
      EXIT.temporary,
    );
  }

  /**
   * Lets the leader read what was changed, by a request on the lease. Without that, it hears of it when it reads for another
   * reason.
   */
  async tellLeader(withinMs = HEARD_WITHIN_MS): Promise<boolean> {
    const { lock, call } = this;
    const until = Date.now() + withinMs;
    try {
      const lease = await readLease(lock);
      if (holderOf(lease?.record) === undefined) {
        call.output.warn(
          'no process leads at present: the next leader reads it when its term begins',
        );
        return false;
      }
      const request = await askLeader(lock, { asks: 'read-schedule', by: this.by }, until);
      const answered = await untilAnswered(lock, request, until);
      if (answered.kind !== 'silent') return true;
      call.output.warn(
        `${request.holderIdentity} did not say within ${withinMs} ms that it has read it: it may be an older version, ` +
          'stopped or cut off',
      );
    } catch (error) {
      // What was changed is stored all the same.
      if (!(error instanceof CommandError)) throw error;
      call.output.warn(`the leader could not be told to read it at once: ${error.message}`);
    }
    return false;
  }

  private async submit<R>(change: LedgerChange<R>, name: string): Promise<R> {
    const { refused } = this;
    const limit = AbortSignal.any([refused.signal, AbortSignal.timeout(CHANGE_TIMEOUT_MS)]);
    const isRead = await this.ledger.refresh(limit, name);
    if (!isRead) throw this.notStored(name);
    const deadline = this.clock.now() + CHANGE_TIMEOUT_MS;
    const stored = await this.ledger.submit(change, { deadline, signal: refused.signal });
    if (stored.kind !== 'settled') throw this.notStored(name);
    return stored.result;
  }

  /** What the store refuses it would refuse again: whoever has no right need not wait. */
  private failed(error: LockRequestError): void {
    this.lastError = error;
    this.onError(error);
    if (error.reason === 'rejected') this.refused.abort();
  }

  private notStored(name: string): CommandError {
    if (this.lastError !== undefined) return failedRequest(this.lastError);
    return new CommandError(
      `job ${name}: it could not be confirmed within ${CHANGE_TIMEOUT_MS} ms that it is stored. Call it again: this does no ` +
        'harm if it is.',
      EXIT.temporary,
    );
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof LockRequestError && error.reason !== 'rejected';
}
