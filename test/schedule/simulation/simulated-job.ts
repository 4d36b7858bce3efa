import type { Term } from '../../../lib/core/term.js';
import type { Clock } from '../../../lib/elector/clock.js';
import type { ConcurrencyPolicy } from '../../../lib/schedule/claim/tick-decision.js';
import type { RoleSchedule } from '../../../lib/schedule/runner/role-schedule.js';
import { wallMs } from '../../../lib/schedule/runner/schedule-environment.js';
import { cronSchedule } from '../../../lib/schedule/tick/tick-schedule.js';
import { TimeZone } from '../../../lib/schedule/tick/time-zone.js';
import type { RandomStream } from '../../simulation/random-stream.js';
import { AskedRun } from './asked-run.js';
import type { JobHistory } from './job-history.js';
import type { FaultCount } from './network-faults.js';

export interface JobTraits {
  readonly random: RandomStream;
  readonly count: FaultCount;
  readonly policy: ConcurrencyPolicy;
  readonly startingDeadlineMs: number | null;
}

interface Host {
  readonly clock: Clock;
  readonly role: RoleSchedule;
  readonly isDead: () => boolean;
}

/** One job in one process, through every time that it is added to it. */
export class SimulatedJob {
  private running = 0;
  private readonly asked = new Map<number, AskedRun>();

  constructor(
    private readonly history: JobHistory,
    private readonly host: Host,
    private readonly traits: JobTraits,
  ) {}

  get isKnown(): boolean {
    return this.host.role.job(this.history.job) !== undefined;
  }

  add(): void {
    const { policy: concurrencyPolicy, startingDeadlineMs } = this.traits;
    const expression = `*/${this.history.everySeconds} * * * * *`;
    this.host.role.add({
      name: this.history.job,
      schedule: cronSchedule(expression, new TimeZone('UTC')),
      concurrencyPolicy,
      startingDeadlineMs,
      timeoutMs: null,
      suspend: false,
      onMissed: null,
      run: ({ scheduledTime }) => this.run(scheduledTime.getTime()),
    });
  }

  remove(): void {
    this.host.role.remove(this.history.job);
  }

  /** Never at a whole second, which is the time of a tick: so the run can be told from those of ticks. */
  trigger(term: Term): void {
    const { count, policy } = this.traits;
    const runner = this.host.role.job(this.history.job);
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

  private async run(time: number): Promise<void> {
    const { random, policy } = this.traits;
    const asked = this.takeAsked(time);
    if (asked === undefined) this.history.tickStarted(time);
    if (policy === 'Forbid' && this.running > 0) this.history.overlapped(time);
    this.running += 1;
    const workMs = random.chance(0.2) ? random.between(100, 3_000) : 0;
    const fails = random.chance(0.05);
    if (workMs > 0) {
      await new Promise<void>((resolve) => void this.host.clock.setTimer(resolve, workMs));
    }
    this.running -= 1;
    if (asked !== undefined) asked.became = fails ? 'failed' : 'succeeded';
    if (fails) throw new Error('simulated');
  }

  /** One call, one run: a second one of the same time is no triggered run. */
  private takeAsked(time: number): AskedRun | undefined {
    const asked = this.asked.get(time);
    if (asked?.became !== 'not started') return undefined;
    asked.became = 'under way';
    return asked;
  }
}
