import { setMaxListeners } from 'node:events';
import type { Term } from '../../../lib/core/term.js';
import type { JsonDocument } from '../../../lib/core/json-document.js';
import type { JobRecord } from '../../../lib/schedule/ledger/job-record.js';
import { KEPT_UNKNOWN_MS } from '../../../lib/schedule/ledger/job-sweep.js';
import { readJobRecord } from '../../../lib/schedule/ledger/ledger-document.js';
import { SpreadLedger } from '../../../lib/schedule/ledger/spread-ledger.js';
import type {
  JobDefinition,
  LeaderCronContext,
  MissedReport,
} from '../../../lib/schedule/runner/job-definition.js';
import { cronSchedule } from '../../../lib/schedule/tick/tick-schedule.js';
import type { JobRunner } from '../../../lib/schedule/runner/job-runner.js';
import { RoleSchedule } from '../../../lib/schedule/runner/role-schedule.js';
import { TimeZone } from '../../../lib/schedule/tick/time-zone.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ScriptedDocumentStore } from './scripted-document-store.js';

export const JOB = 'job';
export const CHANGE_TIMEOUT_MS = 10_000;
export const LEASE_DURATION_MS = 15_000;

type Handler = (context: LeaderCronContext) => unknown;

/** Over how many objects jobs are spread, and the stores of all objects after the first. */
export interface Spread {
  readonly objects?: number;
  readonly others?: readonly ScriptedDocumentStore[];
}

/** One process with one job, led by whoever the test says; several may share a clock and a store. */
export class ScheduledProcess {
  readonly schedule: RoleSchedule;
  readonly started: LeaderCronContext[] = [];
  readonly missed: MissedReport[] = [];
  /** Of each run that has ended: when the next attempt may start. */
  readonly retryTimes: (string | null)[] = [];
  readonly log: string[] = [];
  readonly errors: string[] = [];
  readonly work = new Set<PromiseLike<unknown>>();
  handler: Handler = () => undefined;
  onEnded: () => void = () => undefined;
  private readonly jobs = new Map<string, JobRunner>();
  private current: { readonly term: Term; readonly abort: AbortController } | undefined;
  private isFrozen = false;
  private nonces = 0;

  constructor(
    readonly identity = 'a',
    readonly clock = new ManualClock(),
    readonly store = new ScriptedDocumentStore(),
    { objects = 1, others = [] }: Spread = {},
  ) {
    const ledger = new SpreadLedger(clock, {
      objects,
      open: (object) => (object === 0 ? store : others[object - 1]!),
      requestTimeoutMs: 3_000,
      longestRequestMs: CHANGE_TIMEOUT_MS,
      retryMs: 250,
      longestRetryMs: LEASE_DURATION_MS,
      random: () => 0.5,
      onError: (error) => {
        this.log.push(`error ${error.reason}`);
        this.errors.push(error.message);
      },
    });
    const termOf = () => (this.isFrozen ? undefined : this.current?.term);
    this.schedule = new RoleSchedule(ledger, {
      clock,
      atHome: (call) => call(),
      leadership: {
        get term() {
          return termOf();
        },
        track: (work) => this.track(work),
      },
      nonce: () => `${identity}-${(this.nonces += 1)}`,
      leaseDurationMs: LEASE_DURATION_MS,
      changeTimeoutMs: CHANGE_TIMEOUT_MS,
      keptUnknownMs: KEPT_UNKNOWN_MS,
      observer: {
        onStarted: () => undefined,
        onEnded: (_run, { failure, retryAt }) => {
          this.retryTimes.push(retryAt && clockTime(retryAt));
          this.log.push(`ended ${failure ?? 'well'}`);
          this.onEnded();
        },
        onRerun: ({ attempt }) => void this.log.push(`rerun ${attempt}`),
        onDropped: (_job, { attempt }, cause) => void this.log.push(`dropped ${attempt} ${cause}`),
        onMissed: (report) => void this.missed.push(report),
        onUnresolved: () => void this.log.push('unresolved'),
        onCancelled: (_run, { by, reason }) =>
          void this.log.push(`cancelled by ${by} ${reason}`.trim()),
        onOverdue: (_run, cause) => void this.log.push(`overdue, ${cause}`),
        onUnrecorded: () => void this.log.push('unrecorded'),
        onSkipped: (_run, reason) => void this.log.push(`skipped ${reason}`),
        onReturned: (_run, { isReturned, cause }) =>
          void this.log.push(`returned ${isReturned}, ${cause}`),
        onSwitched: (_job, { isSuspended, by, reason }) =>
          void this.log.push(`${isSuspended ? 'suspended' : 'resumed'} by ${by} ${reason}`.trim()),
        onCallbackFailed: (_job, error) => void this.log.push(`callback ${String(error)}`),
        onAhead: (job, until) => void this.log.push(`ahead ${job} ${until.toISOString()}`),
        onForgotten: (job) => void this.log.push(`forgotten ${job}`),
        onError: () => undefined,
      },
    });
  }

  /** A job every minute unless told otherwise. */
  async withJob(change: Partial<JobDefinition> & { expression?: string } = {}): Promise<this> {
    const { expression = '* * * * *', ...definition } = change;
    const name = definition.name ?? JOB;
    const runner = this.schedule.add({
      name,
      schedule: cronSchedule(expression, new TimeZone('UTC')),
      concurrencyPolicy: 'Forbid',
      startingDeadlineMs: null,
      missedPolicy: 'latest',
      timeoutMs: null,
      retries: { limit: 0, backoffMs: 10_000 },
      onInterrupted: 'report',
      historyLimit: 10,
      suspend: false,
      onMissed: null,
      run: (context) => {
        this.started.push(context);
        return this.handler(context);
      },
      ...definition,
    });
    this.jobs.set(name, runner);
    await this.clock.settle();
    return this;
  }

  /** The job that was last added under this name. */
  job(name = JOB): JobRunner {
    return this.jobs.get(name)!;
  }

  /** Tokens grow with the terms, as those of an election do. */
  async lead(number = 1): Promise<this> {
    const abort = new AbortController();
    setMaxListeners(Infinity, abort.signal);
    const term: Term = {
      role: 'role',
      number,
      fencingToken: BigInt(number),
      holderIdentity: this.identity,
      grantedAt: new Date(0),
      signal: abort.signal,
    };
    this.current = { term, abort };
    this.isFrozen = false;
    this.schedule.begin(term);
    await this.clock.settle();
    return this;
  }

  async lose(): Promise<void> {
    const { abort } = this.current!;
    this.current = undefined;
    abort.abort(new Error('revoked'));
    await this.clock.settle();
  }

  /** The term is over by the clock, and its signal does not know yet, as that takes a timer. */
  freeze(): void {
    this.isFrozen = true;
  }

  /** True if nothing is left that the lease would be kept for. */
  get isDrained(): boolean {
    return this.work.size === 0;
  }

  get term(): Term | undefined {
    return this.current?.term;
  }

  /** Nominal times of what was started, as hh:mm:ss. */
  get startedTimes(): string[] {
    return this.started.map(({ scheduledTime }) => clockTime(scheduledTime));
  }

  async record(name = JOB): Promise<JobRecord> {
    return readJobRecord(await this.store.document(), name)!;
  }

  /** Changes the stored record of {@link JOB}. */
  async edit(change: Record<string, unknown>): Promise<void> {
    const document = await this.store.document();
    const jobs = document['jobs'] as Record<string, JsonDocument>;
    await this.store.put({ ...document, jobs: { ...jobs, [JOB]: { ...jobs[JOB], ...change } } });
  }

  private track(work: PromiseLike<unknown>): void {
    this.work.add(work);
    const ended = (): void => {
      this.work.delete(work);
    };
    work.then(ended, ended);
  }
}

export function clockTime(time: Date): string {
  return time.toISOString().slice(11, 19);
}
