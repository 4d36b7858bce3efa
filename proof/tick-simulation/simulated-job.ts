import { type Clock, wallMs } from '../../lib/core/clock.js';
import type { Term } from '../../lib/core/term.js';
import type { JobDefinition } from '../../lib/schedule/runner/job-definition.js';
import type { JobRunner } from '../../lib/schedule/runner/job-runner.js';
import type { RoleSchedule } from '../../lib/schedule/runner/role-schedule.js';
import { jittered } from '../../lib/schedule/tick/jitter.js';
import {
  type ConcurrencyPolicy,
  cronSchedule,
  type MissedPolicy,
  type TickSchedule,
} from '../../lib/schedule/tick/tick-schedule.js';
import { TimeZone } from '../../lib/schedule/tick/time-zone.js';
import type { RandomStream } from '../simulation/random-stream.js';
import { AskedRun } from './asked-run.js';
import type { JobHistory } from './job-history.js';
import type { FaultCount } from './network-faults.js';

export const CHANGE_TIMEOUT_MS = 2_500;
export const REQUEST_TIMEOUT_MS = 2_000;
/** For so long a process believes that it leads without hearing anything. */
export const VALIDITY_MS = 3_000;
const LONGEST_WORK_MS = 3_000;

export interface JobTraits extends Pick<JobDefinition, 'retries' | 'onInterrupted'> {
  readonly random: RandomStream;
  readonly count: FaultCount;
  readonly policy: ConcurrencyPolicy;
  readonly startingDeadlineMs: number | null;
  readonly jitterMs: number;
  readonly missedPolicy: MissedPolicy;
  readonly historyLimit: number;
  /** By so much may a wall clock be set while a process runs. */
  readonly largestStepMs: number;
}

interface Host {
  readonly identity: string;
  readonly clock: Clock;
  readonly role: RoleSchedule;
  readonly isDead: () => boolean;
  /** By its clock, whatever its signals say. */
  readonly leads: () => boolean;
  /** When its present term began, by its wall clock. */
  readonly begunAt: () => number;
}

/** Versions of an application may write one schedule differently. */
const TEXTS = [
  [(seconds: number) => `*/${seconds} * * * * *`, 'UTC'],
  [(seconds: number) => ` */${seconds}  * ? * jan-dec *`, 'UTC'],
  [(seconds: number) => `0-59/${seconds} * * * * *`, 'Etc/UTC'],
] as const;

/** One job in one process, through every time that it is added to it. */
export class SimulatedJob {
  /** Undefined while its process does not know the job. */
  private runner: JobRunner | undefined;
  private running = 0;
  /** How late a tick may start at most, by the clock of its process. */
  private readonly latestMs: number;
  private readonly schedule: TickSchedule;
  private readonly unrecorded = new Set<number>();
  private readonly asked = new Map<number, AskedRun>();

  constructor(
    private readonly history: JobHistory,
    private readonly host: Host,
    private readonly traits: JobTraits,
  ) {
    this.schedule = this.scheduleBy(TEXTS[0]);
    const { policy, startingDeadlineMs, largestStepMs } = traits;
    const claimMs =
      startingDeadlineMs === null ? CHANGE_TIMEOUT_MS : Math.max(1_000, startingDeadlineMs);
    const awaitedMs = policy === 'Replace' ? LONGEST_WORK_MS : 0;
    const decidedMs = (startingDeadlineMs ?? CHANGE_TIMEOUT_MS) + 999 + awaitedMs;
    this.latestMs = decidedMs + claimMs + REQUEST_TIMEOUT_MS + VALIDITY_MS + largestStepMs;
  }

  get isKnown(): boolean {
    return this.runner !== undefined;
  }

  add(): void {
    const { policy: concurrencyPolicy, startingDeadlineMs } = this.traits;
    const { random, count } = this.traits;
    const text = random.pick(TEXTS);
    if (text !== TEXTS[0]) count.add('other text');
    this.runner = this.host.role.add({
      name: this.history.job,
      schedule: this.scheduleBy(text),
      concurrencyPolicy,
      startingDeadlineMs,
      missedPolicy: this.traits.missedPolicy,
      timeoutMs: null,
      retries: this.traits.retries,
      onInterrupted: this.traits.onInterrupted,
      historyLimit: this.traits.historyLimit,
      suspend: false,
      onMissed: null,
      run: ({ scheduledTime, attempt }) => this.run(scheduledTime.getTime(), attempt),
    });
  }

  remove(): void {
    this.host.role.remove(this.history.job);
    this.runner = undefined;
  }

  suspend(): void {
    this.traits.count.add('suspended');
    this.runner?.suspend();
  }

  resume(): void {
    const { runner } = this;
    if (runner?.isSuspended !== true) return;
    this.traits.count.add('resumed');
    runner.resume();
  }

  switchFleet(isSuspended: boolean): void {
    this.traits.count.add(isSuspended ? 'suspended for all' : 'resumed for all');
    void this.runner?.switchFleet({ isSuspended, by: this.host.identity, reason: '' });
  }

  notRecorded(time: number): void {
    this.unrecorded.add(time);
  }

  /** Never at a whole second, which is the time of a tick: so the run can be told from those of ticks. */
  trigger(term: Term): void {
    const { count, policy } = this.traits;
    const { runner } = this;
    const time = wallMs(this.host.clock);
    if (runner === undefined || time % 1_000 === 0 || this.asked.has(time)) return;
    const asked = new AskedRun(time, policy, this.host.isDead);
    this.asked.set(time, asked);
    this.history.runAsked(asked);
    runner.trigger(term).then(
      (result) => {
        count.add(`trigger ${result}`);
        asked.told(result);
      },
      () => asked.told('rejected'),
    );
  }

  private scheduleBy([write, zone]: (typeof TEXTS)[number]): TickSchedule {
    const schedule = cronSchedule(write(this.history.everySeconds), new TimeZone(zone));
    return jittered(schedule, this.history.job, this.traits.jitterMs);
  }

  private async run(time: number, attempt: number): Promise<void> {
    const { random, policy } = this.traits;
    const { identity, clock } = this.host;
    const asked = this.takeAsked(time);
    if (!this.host.leads()) this.history.startedUnled(time);
    if (asked === undefined) {
      this.history.tickStarted(time, attempt, identity);
      if (attempt === 1) this.judgeTick(time);
      else this.judgeAttempt(time, attempt);
    }
    if (policy !== 'Allow' && this.running > 0) this.history.overlapped(time);
    this.running += 1;
    const workMs = random.chance(0.2) ? random.between(100, LONGEST_WORK_MS) : 0;
    const fails = random.chance(this.traits.retries.limit > 0 ? 0.3 : 0.05);
    if (workMs > 0) {
      await new Promise<void>((resolve) => void this.host.clock.setTimer(resolve, workMs));
    }
    this.running -= 1;
    if (asked !== undefined) asked.became = fails ? 'failed' : 'succeeded';
    const endedAt = wallMs(clock);
    this.history.attempts.endedIn(identity, time, attempt);
    if (fails) {
      this.history.attempts.failed(time, attempt, endedAt);
      throw new Error('simulated');
    }
    const isExcused = (): boolean => this.host.isDead() || this.unrecorded.has(time);
    this.history.endedWell({ time, attempt, by: identity, endedAt, isExcused, isAccounted: false });
  }

  private judgeTick(time: number): void {
    const { largestStepMs, missedPolicy } = this.traits;
    const due = this.schedule.dueAt(time);
    const lateMs = wallMs(this.host.clock) - due;
    if (lateMs < -largestStepMs) this.history.startedEarly(time, -lateMs);
    const isMissed = due <= this.host.begunAt() - largestStepMs;
    if (isMissed && missedPolicy === 'none') this.history.startedMissed(time);
    if (lateMs > this.latestMs) this.history.startedLate(time, lateMs);
  }

  private judgeAttempt(time: number, attempt: number): void {
    const { largestStepMs, startingDeadlineMs, count } = this.traits;
    const { attempts } = this.history;
    const now = wallMs(this.host.clock);
    count.add('tried again');
    const earlyMs = attempts.earlyMs(time, attempt, now);
    if (earlyMs > largestStepMs) this.history.startedEarly(time, earlyMs);
    if (startingDeadlineMs === null || !attempts.isBounded(time, attempt)) return;
    const lateMs = now - this.schedule.dueAt(time);
    if (lateMs > this.latestMs) this.history.startedLate(time, lateMs);
  }

  /** One call, one run: a second one of the same time is no triggered run. */
  private takeAsked(time: number): AskedRun | undefined {
    const asked = this.asked.get(time);
    if (asked?.became !== 'not started') return undefined;
    asked.became = 'under way';
    return asked;
  }
}
