import { Inject, Injectable, Optional } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import type { Observable } from 'rxjs';
import { type Clock, wallMs } from '../../core/clock.js';
import {
  LeaderElectionOptionsError,
  LockRequestError,
  type OptionFault,
} from '../../core/errors.js';
import { OptionReader } from '../../core/option-reader.js';
import { NotLeaderError } from '../../nest/errors.js';
import { ELECTION_CLOCK } from '../../nest/leader-election.tokens.js';
import type { RoleElection } from '../../nest/role-election.js';
import { runInTerm } from '../../election/current-term.js';
import { ScheduleGates } from '../../nest/schedule-gates.js';
import { runToEnd } from '../../nest/run-to-end.js';
import { LONGEST_REASON } from '../ledger/job-record.js';
import type { LeaderCronContext } from '../runner/job-definition.js';
import type { JobRunner } from '../runner/job-runner.js';
import type { RoleSchedule } from '../runner/role-schedule.js';
import type { CancelResult } from '../runner/cancelling.js';
import type { FleetWish, TriggerResult } from '../runner/job.js';
import { TimeZones } from '../tick/time-zone.js';
import { jobStatus, type JobStatus, LeaderCronJob } from './leader-cron-job.js';
import { type LeaderCronOptions, readJob, type WrittenJob } from './leader-cron.options.js';
import type { OnceContext } from '../once/once-work.js';
import type { OnceResult } from '../once/once-role.js';
import type { OnceOptions } from './leader-once.options.js';
import { type OnceReadiness, type OnceStatus, OnceWorks } from './once-works.js';
import { RoleSchedules } from './role-schedules.js';
import { type RunEvent, RunEvents } from './run-events.js';

/** A job, with everything that belongs to it in this process. */
interface ScheduledJob {
  readonly name: string;
  readonly schedule: string | Date;
  readonly timeZone: string;
  readonly runner: JobRunner;
  readonly role: {
    readonly name: string;
    readonly schedule: RoleSchedule;
    readonly election: RoleElection;
  };
}

interface RegisteredJob extends ScheduledJob {
  readonly cronJob: LeaderCronJob;
}

/** The jobs of this application, decorated ones and those added at run time. */
@Injectable()
export class LeaderSchedule {
  private readonly jobs = new Map<string, RegisteredJob>();
  private readonly zones = new TimeZones();
  private readonly told = new Set<RoleElection>();
  private readonly registry: SchedulerRegistry | undefined;

  /** @internal */
  constructor(
    private readonly schedules: RoleSchedules,
    @Inject(ELECTION_CLOCK) private readonly clock: Clock,
    private readonly events: RunEvents,
    private readonly onceWorks: OnceWorks,
    private readonly gates: ScheduleGates,
    @Optional() registry?: SchedulerRegistry,
  ) {
    this.registry = isWhole(registry) ? registry : undefined;
    gates.listWith(() =>
      [...this.jobs.values()].map(({ name, role }) => ({
        name,
        rule: 'claimed',
        roles: [role.name],
      })),
    );
  }

  /**
   * What becomes of the runs and ticks of all jobs in this process, as it happens; not replayed. Completes when the
   * application has shut down, and never fails.
   */
  get runs$(): Observable<RunEvent> {
    return this.events.runs$;
  }

  /**
   * Adds a job as `@LeaderCron()` does. Add it in every replica: the leader schedules the jobs that it knows.
   * @param schedule a cron expression of five or six fields, a preset such as `@daily`, or a Date for a single run
   * @throws LeaderElectionOptionsError with every fault of the name, the schedule, the handler and the options
   */
  add(
    name: string,
    schedule: string | Date,
    handler: (context: LeaderCronContext) => unknown,
    options: Omit<LeaderCronOptions, 'name'> = {},
  ): void {
    this.schedules.assertRunning();
    const place = `LeaderSchedule.add(${shownName(name)})`;
    const faults = this.register([
      { place, defaultName: undefined, schedule, options: { ...options, name }, run: handler },
    ]);
    if (faults.length > 0) throw new LeaderElectionOptionsError(faults);
  }

  /**
   * Ends the schedule of a job in this process. Active runs continue; the promise resolves when none is left. What is
   * recorded of the job is kept, so adding it again does not repeat a tick. When a handler calls this, it waits neither
   * for that run nor for one that waits for it.
   * @throws LeaderElectionOptionsError if the application has no job of that name
   */
  async remove(name: string): Promise<void> {
    const { role, runner } = this.job(name);
    this.jobs.delete(name);
    if (this.registry?.doesExist('cron', name)) this.registry.deleteCronJob(name);
    role.schedule.remove(name);
    await runner.idle();
  }

  /** What this process knows about its jobs; sends no request. */
  list(): ScheduledJobView[] {
    return [...this.jobs.values()].map(({ name, role, schedule, timeZone, runner }) => {
      const nextTick = runner.nextTick();
      return {
        name,
        role: role.name,
        schedule,
        timeZone,
        suspended: runner.isSuspended,
        nextTick: nextTick === null ? null : new Date(nextTick),
      };
    });
  }

  /**
   * Starts one run now, beside the schedule, and resolves with its outcome when it has ended; no tick is used up.
   * @throws LeaderElectionOptionsError if the application has no job of that name
   * @throws NotLeaderError while this process is not leader of the job's role
   * @throws JobWaitsForItselfError if it is called from a run that would have to end first (`concurrencyPolicy: 'Replace'`)
   */
  trigger(name: string): Promise<TriggerResult> {
    const { role, runner } = this.job(name);
    const { term, leader } = this.schedules.leadership(role.election);
    if (term === undefined) {
      return Promise.reject(new NotLeaderError(role.name, leader, `Job "${name}"`));
    }
    return runner.trigger(term);
  }

  /**
   * Cancels the runs of a job that are active now, ticks and triggered ones, on whichever replica; any replica may be
   * asked. It aborts their signals, at once in this process, and on another one when that next reads what is stored, within
   * `leaseDurationMs`. A run that has not ended 30 s after that no longer keeps the next one from starting. Nothing can stop
   * a handler that ignores its signal. Resolves when all of them have ended, or after `waitMs`.
   * @throws LeaderElectionOptionsError if the application has no job of that name, or an option is bad
   * @throws LockRequestError if it is not known whether it is stored; call it again
   */
  async cancel(name: string, options: CancelOptions = {}): Promise<CancelResult> {
    const { runner, role } = this.job(name);
    const { identity: by, leaseDurationMs, renewDeadlineMs } = role.election.options;
    const reader = new OptionReader(options, ['reason', 'waitMs']);
    const reason = reader.text('reason', 'it waits for a printer', LONGEST_REASON) ?? '';
    const waitMs = reader.milliseconds('waitMs', 2 * leaseDurationMs, 0);
    reader.check();
    const result = await runner.cancel({ by, reason, waitMs });
    if (result !== undefined) return result;
    throw new LockRequestError(
      `Job ${JSON.stringify(name)}: it could not be confirmed within ${2 * renewDeadlineMs} ms that its runs on other ` +
        'replicas were cancelled; those of this one were. Call it again: this does no harm if they were.',
      { reason: 'unclear' },
    );
  }

  /**
   * What is recorded of a job in the whole fleet, on followers too. Costs one read of the object beside the lease.
   * @throws LeaderElectionOptionsError if the application has no job of that name
   * @throws LockRequestError if the object cannot be read
   */
  async inspect(name: string): Promise<JobStatus> {
    const { role, runner } = this.job(name);
    const signal = new AbortController().signal;
    const record = await role.schedule.inspect(name, signal);
    return jobStatus(name, runner.nextTick(record), record);
  }

  /**
   * Suspends a job in the whole fleet, until `resume()`; any replica may. It is stored beside the lease, with the replica
   * and the time: no tick is claimed from then on, whoever leads. Active runs continue.
   * @throws LeaderElectionOptionsError if the application has no job of that name, or the reason is no such text
   * @throws LockRequestError if it is not known whether it is stored; call it again
   */
  async suspend(name: string, options: SuspendOptions = {}): Promise<void> {
    const reader = new OptionReader(options, ['reason']);
    const reason = reader.text('reason', 'the bank is closed', LONGEST_REASON) ?? '';
    reader.check();
    await this.switchFleet(name, { isSuspended: true, reason });
  }

  /**
   * Schedules a job again in the whole fleet, also one whose options say `suspend: true`; any replica may. The leader
   * hears of it when the next tick is due, within a minute at most. The latest tick that came due while the job was
   * suspended is caught up if `startingDeadlineSeconds` lets it; the others were missed.
   * @throws LeaderElectionOptionsError if the application has no job of that name
   * @throws LockRequestError if it is not known whether it is stored; call it again
   */
  async resume(name: string): Promise<void> {
    await this.switchFleet(name, { isSuspended: false, reason: '' });
  }

  private async switchFleet(name: string, wish: Omit<FleetWish, 'by'>): Promise<void> {
    const { runner, role } = this.job(name);
    const { identity: by, renewDeadlineMs } = role.election.options;
    if (await runner.switchFleet({ ...wish, by })) return;
    throw new LockRequestError(
      `Job ${JSON.stringify(name)}: it could not be confirmed within ${renewDeadlineMs} ms that it was ` +
        `${wish.isSuspended ? 'suspended' : 'resumed'} for all replicas. Call it again: this does no harm if it was.`,
      { reason: 'unclear' },
    );
  }

  /**
   * Runs something once per version in the whole fleet, as `@LeaderOnce()` does. Call it in every replica: the first one
   * that wants this version runs it. Resolves when it is over: `'ran'` in this process, `'succeeded'` elsewhere or earlier,
   * `'superseded'` if a newer version was claimed first. A replica that is not to wait does not await it, and catches what
   * it rejects with.
   *
   * May be awaited in an `onModuleInit` or `onApplicationBootstrap` hook.
   * @param version a whole number, or text of numbers with dots between them; an older one never runs again
   * @throws LeaderElectionOptionsError with every fault of key, version and options
   * @throws OnceFailedError if it failed or was interrupted, in this process or in another
   * @throws OnceTimeoutError after `waitTimeoutMs`, naming the replica that is at it. From then on this replica does not start
   * it, and `once()` may be called again
   * @throws ElectionStoppedError when the application shuts down first
   */
  once(
    key: string,
    version: number | string,
    work: (context: OnceContext) => unknown,
    options: OnceOptions = {},
  ): Promise<OnceResult> {
    const place = `LeaderSchedule.once(${typeof key === 'string' ? JSON.stringify(key) : typeof key})`;
    return this.onceWorks.once({ place, options: { ...options, key, version }, run: work });
  }

  /**
   * What is recorded of work that runs once, also if another application of the fleet ran it; undefined if nothing is.
   * Costs one read of the object beside the lease.
   * @param role may be absent if the application has one role, or a `@LeaderOnce()` with this key
   * @throws LeaderElectionOptionsError if there is no such role
   * @throws LockRequestError if the object cannot be read
   */
  inspectOnce(key: string, role?: string): Promise<OnceStatus | undefined> {
    return this.onceWorks.inspect(key, role);
  }

  /**
   * Whether all `@LeaderOnce()` work with `waitForOthers` is over, for a readiness probe. Costs no request.
   */
  onceReadiness(): OnceReadiness {
    return this.onceWorks.readiness();
  }

  /** @internal Adds all jobs that have no fault, and returns the faults of the others. */
  register(written: readonly WrittenJob[]): OptionFault[] {
    return written.flatMap((job) => this.registerOne(job));
  }

  private registerOne(written: WrittenJob): OptionFault[] {
    const read = readJob(written, { zones: this.zones, now: wallMs(this.clock) });
    if (Array.isArray(read)) return read;
    const { name } = read.definition;
    const election = this.schedules.find(read.role, written.place);
    const faults = [
      ...('field' in election ? [election] : []),
      ...(this.isTaken(name) ? [duplicate(written.place, name)] : []),
    ];
    if ('field' in election || faults.length > 0) return faults;
    const schedule = written.schedule as string | Date;
    const cronJob = new LeaderCronJob(schedule, read.timeZone, () => this.trigger(name));
    const roleSchedule = this.schedules.of(election);
    this.tellJobs(election);
    const run = (context: LeaderCronContext): unknown => {
      cronJob.lastExecution = new Date(wallMs(this.clock));
      return runInTerm(context.term, () =>
        this.gates.runAsTick(name, written.owner ?? this, () => {
          // What follows the runs may have kept this one waiting.
          context.signal.throwIfAborted();
          const { term, scheduledTime, attempt, signal } = context;
          const call = { method: name, term, run: { scheduledTime, attempt, signal } };
          return election.activity.run(call, () => runToEnd(read.definition.run(context), signal));
        }),
      );
    };
    const runner = roleSchedule.add({ ...read.definition, run });
    cronJob.follow(runner);
    this.registry?.addCronJob(name, cronJob);
    const role = { name: election.role, schedule: roleSchedule, election };
    this.jobs.set(name, { name, role, schedule, timeZone: read.timeZone, runner, cronJob });
    return [];
  }

  private tellJobs(election: RoleElection): void {
    if (this.told.has(election)) return;
    this.told.add(election);
    election.activity.listJobsWith(() =>
      [...this.jobs.values()]
        .filter(({ role }) => role.election === election)
        .map(({ name, runner }) => ({
          name,
          state: () => ({
            isSuspended: runner.isSuspended,
            nextTick: runner.nextTick(),
            intervalMs: runner.interval(),
            lastSuccess: runner.lastSuccess,
          }),
        })),
    );
  }

  private isTaken(name: string): boolean {
    return this.jobs.has(name) || this.registry?.doesExist('cron', name) === true;
  }

  private job(name: string): RegisteredJob {
    const job = this.jobs.get(name);
    if (job !== undefined) return job;
    const known = [...this.jobs.keys()].map((each) => JSON.stringify(each)).join(', ');
    const rule = `must be the name of a job of this application: ${known || 'it has none'}`;
    const fault = { field: 'name', value: name, rule, fix: 'use one of them, or add the job' };
    throw new LeaderElectionOptionsError([fault]);
  }
}

/** Of `LeaderSchedule.suspend()`. */
export interface SuspendOptions {
  /**
   * One line, for `inspect()` and the log; at most 200 characters.
   * @default none
   * @example
   * reason: 'the bank is closed'
   */
  readonly reason?: string;
}

/** Of `LeaderSchedule.cancel()`. */
export interface CancelOptions {
  /**
   * One line, for `inspect()`, the event and the log; at most 200 characters.
   * @default none
   * @example
   * reason: 'it waits for a printer'
   */
  readonly reason?: string;
  /**
   * How long the end of the runs is awaited, in milliseconds; 0: not at all.
   * @default twice `leaseDurationMs`, in which another replica hears of it and a handler that obeys can end
   * @example
   * waitMs: 0
   */
  readonly waitMs?: number;
}

const REGISTRY_METHODS = ['addCronJob', 'deleteCronJob', 'doesExist'] as const;

/** A test may have replaced it by something smaller, which then lists no job. */
function isWhole(registry: SchedulerRegistry | undefined | null): boolean {
  return (
    typeof registry === 'object' &&
    registry !== null &&
    REGISTRY_METHODS.every((method) => typeof registry[method] === 'function')
  );
}

/** A job as this process sees it. */
export interface ScheduledJobView {
  /** The name of the job. */
  readonly name: string;
  /** The role whose leader runs it. */
  readonly role: string;
  /** As it was written: a cron expression, or the Date of a single run. */
  readonly schedule: string | Date;
  /** The IANA time zone of the cron expression. */
  readonly timeZone: string;
  /**
   * True while this process does not schedule it, as far as it knows: what the fleet has recorded is read by the leader,
   * and by `inspect()`.
   */
  readonly suspended: boolean;
  /** When its next tick is due; null while the job is suspended, and when there is no further tick. */
  readonly nextTick: Date | null;
}

/** What was given as a name may be anything; the fault of the name prints it. */
function shownName(name: unknown): string {
  return typeof name === 'string' ? JSON.stringify(name) : '…';
}

function duplicate(place: string, name: string): OptionFault {
  return {
    field: `${place}: name`,
    value: name,
    rule: 'must be unique among the jobs of the application and the cron jobs of SchedulerRegistry',
    fix: 'give one of them another name',
  };
}
