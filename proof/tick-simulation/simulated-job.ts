import { onAbort } from '../../lib/core/abort-signal.js';
import { type Clock, wallMs } from '../../lib/core/clock.js';
import type { Term } from '../../lib/core/term.js';
import type { JobDefinition, LeaderCronContext } from '../../lib/schedule/runner/job-definition.js';
import { GRACE_MS } from '../../lib/schedule/runner/job-run.js';
import type { ActiveRun } from '../../lib/schedule/ledger/job-record.js';
import type { JobRunner } from '../../lib/schedule/runner/job-runner.js';
import type { TriggerResult } from '../../lib/schedule/runner/job.js';
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
import { CancellableRun, drawManner, type Manner } from './cancellable-run.js';
import type { JobHistory } from './job-history.js';
import type { FaultCount } from './network-faults.js';

export const CHANGE_TIMEOUT_MS = 2_500;
export const REQUEST_TIMEOUT_MS = 2_000;
/** For so long a process believes that it leads without hearing anything. */
export const VALIDITY_MS = 3_000;
const LONGEST_WORK_MS = 3_000;
/** All of them meet a short run by chance never. */
const MOST_PROBES = 10;

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
  /** Some runs are stuck until they are cancelled. */
  readonly mayBeStuck: boolean;
}

interface Host {
  readonly identity: string;
  readonly clock: Clock;
  readonly role: RoleSchedule;
  readonly isDead: () => boolean;
  /** No more faults. */
  readonly isCalm: () => boolean;
  /** So long after the last fault that what was stuck is freed. */
  readonly isResting: () => boolean;
  readonly trueMs: () => number;
  /** How many nonces it has given out. */
  readonly nonces: () => number;
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
  private readonly running = new Set<CancellableRun>();
  private latest: CancellableRun | undefined;
  private calls = 0;
  /** Triggers that were to show that no run is in the way, and whether one has. */
  private probes = 0;
  private isFree = false;
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
    const { policy, startingDeadlineMs, largestStepMs, mayBeStuck } = traits;
    const claimMs =
      startingDeadlineMs === null ? CHANGE_TIMEOUT_MS : Math.max(1_000, startingDeadlineMs);
    const workMs = mayBeStuck ? GRACE_MS : LONGEST_WORK_MS;
    const awaitedMs = policy === 'Replace' ? workMs : 0;
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
      run: (context) => this.run(context),
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

  cancel(): void {
    const { runner, host, history } = this;
    if (runner === undefined) return;
    const id = `${history.job}:${host.identity}:${(this.calls += 1)}`;
    const { identity: by, isDead: isOrphaned } = host;
    const call = { by, lastNonce: host.nonces(), isOrphaned, calledAt: host.trueMs() };
    history.cancels.called(id, call, [...this.running]);
    const waitMs = this.traits.random.whole(0, 10_000);
    void runner.cancel({ by, reason: id, waitMs }).then((told) => {
      const result = told ?? 'unknown';
      this.traits.count.add(`cancel ${result}`);
      history.cancels.told(id, result, host.trueMs());
    });
  }

  /** Its handler has just been called. */
  started({ id, scheduledTime: time, attempt = 1 }: ActiveRun): void {
    const { history, host } = this;
    const run = this.latest!;
    run.id = id;
    history.cancels.started(run);
    if (history.requests.begun(run, host.identity, wallMs(host.clock))) return;
    run.asked = this.takeAsked(time);
    if (run.asked !== undefined) return;
    history.tickStarted(time, attempt, host.identity);
    if (attempt === 1) this.judgeTick(time);
    else this.judgeAttempt(time, attempt);
  }

  cancelled(id: string, by: string): void {
    const run = [...this.running].find((each) => each.id === id);
    if (run === undefined) return;
    this.history.cancels.cancelled(run);
    if (by !== this.host.identity) this.traits.count.add('cancelled from afar');
  }

  overdue(id: string): void {
    for (const run of this.running) if (run.id === id) run.isOverdue = true;
  }

  /** Under Forbid a run that was cancelled is in nobody's way after its grace. */
  probe(term: Term): void {
    const { runner, isFree } = this;
    if (runner === undefined || isFree || this.traits.policy !== 'Forbid') return;
    this.probes += 1;
    this.trigger(term, (result) => (this.isFree ||= result !== 'forbidden'));
  }

  get isOccupied(): boolean {
    return this.probes >= MOST_PROBES && !this.isFree;
  }

  notRecorded(time: number): void {
    this.unrecorded.add(time);
  }

  /** Never at a whole second, which is the time of a tick: so the run can be told from those of ticks. */
  trigger(term: Term, onResult: (result: TriggerResult) => void = () => {}): void {
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
        onResult(result);
      },
      () => asked.told('rejected'),
    );
  }

  private scheduleBy([write, zone]: (typeof TEXTS)[number]): TickSchedule {
    const schedule = cronSchedule(write(this.history.everySeconds), new TimeZone(zone));
    return jittered(schedule, this.history.job, this.traits.jitterMs);
  }

  private async run({ scheduledTime, attempt, signal }: LeaderCronContext): Promise<void> {
    const time = scheduledTime.getTime();
    const { random, policy } = this.traits;
    const { identity, clock } = this.host;
    const run = new CancellableRun(this.host.isDead);
    this.latest = run;
    onAbort(signal, () => (run.abortedAt = this.host.trueMs()));
    if (!this.host.leads()) this.history.startedUnled(time);
    const isInTheWay = [...this.running].some(({ isOverdue }) => !isOverdue);
    if (policy !== 'Allow' && isInTheWay) this.history.overlapped(time);
    this.running.add(run);
    const mayBeStuck = this.traits.mayBeStuck && !this.host.isCalm();
    const manner = mayBeStuck ? drawManner(random) : 'busy';
    if (manner === 'busy') await this.work();
    else await this.untilTold(manner, signal);
    const fails = random.chance(this.traits.retries.limit > 0 ? 0.3 : 0.05);
    this.running.delete(run);
    run.endedAt = this.host.trueMs();
    run.became = becomes(run, fails);
    if (run.asked !== undefined) run.asked.became = run.became;
    const endedAt = wallMs(clock);
    this.history.attempts.endedIn(identity, time, attempt);
    if (fails) {
      this.history.attempts.failed(time, attempt, endedAt);
      throw new Error('simulated');
    }
    if (run.isCancelled) return;
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

  private async work(): Promise<void> {
    const { random } = this.traits;
    const isLong = random.chance(0.2) && !this.host.isResting();
    if (isLong) await this.wait(random.between(100, LONGEST_WORK_MS));
  }

  private async untilTold(manner: Manner, signal: AbortSignal): Promise<void> {
    const { random, count } = this.traits;
    await new Promise<void>((resolve) => void onAbort(signal, resolve));
    if (manner === 'slow') await this.wait(random.between(500, 4_000));
    if (manner !== 'deaf') return;
    count.add('deaf run');
    await new Promise(() => undefined);
  }

  private wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.host.clock.setTimer(resolve, ms));
  }

  /** One call, one run: a second one of the same time is no triggered run. */
  private takeAsked(time: number): AskedRun | undefined {
    const asked = this.asked.get(time);
    if (asked?.became !== 'not started') return undefined;
    asked.became = 'under way';
    return asked;
  }
}

function becomes(
  { isCancelled }: CancellableRun,
  fails: boolean,
): CancellableRun['became'] & string {
  if (isCancelled) return 'cancelled';
  return fails ? 'failed' : 'succeeded';
}
