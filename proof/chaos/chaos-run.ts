import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../fleet/monotonic-clock.js';
import { RandomStream } from '../simulation/random-stream.js';
import type { ChaosOptions } from './chaos-options.js';
import { type ChaosWorld, LEASE_DURATION_MS } from './chaos-world.js';
import { FaultInjector } from './fault-injector.js';
import { FaultPlan } from './fault-plan.js';
import type { HistoryRecorder } from './history-recorder.js';
import type { Interval } from './leaderless-check.js';

/** A leader is awaited for so long before the next fault comes anyway. */
const PATIENCE_MS = 4 * LEASE_DURATION_MS;
/** For a leader once all faults are gone: two leases (strict mode) and restarts on a machine that is busy. */
const RECOVERY_LIMIT_MS = 2 * LEASE_DURATION_MS + 20_000;
const PROGRESS_PERIOD_MS = 30_000;
/** Before and after the crash in peace: what earlier faults did is over, and what this one did has been logged. */
const CALM_MS = 2 * LEASE_DURATION_MS;

/** Faults after faults until the time is up, then peace, in which somebody has to lead. */
export class ChaosRun {
  readonly injector: FaultInjector;
  readonly complaints: string[] = [];
  leaderAfterHealingMs: number | null = null;
  leaderAfterCrashMs: number | null = null;
  /** Undefined if the run did not come so far. */
  healthyFailover: Interval | undefined;
  /** From the first leader to the end of the last fault. */
  time: Interval | undefined;
  private readonly startedAt = performance.now();
  private readonly plan: FaultPlan;
  private lastLeader: string | undefined;
  private changes = 0;

  constructor(
    private readonly options: ChaosOptions,
    private readonly world: ChaosWorld,
    events: HistoryRecorder,
    private readonly interrupted: AbortSignal,
  ) {
    this.plan = new FaultPlan(new RandomStream(options.seed, 'chaos'), options);
    this.injector = new FaultInjector(
      world.fleet.slots,
      world.cluster,
      world.disk,
      world.clockSteps,
      world.operator,
      events,
      (error) => this.complaints.push(`a fault could not be taken away: ${String(error)}`),
    );
  }

  get elapsedSeconds(): number {
    return (performance.now() - this.startedAt) / 1_000;
  }

  async complete(): Promise<void> {
    const progress = setInterval(() => this.tellProgress(), PROGRESS_PERIOD_MS);
    const counting = setInterval(() => this.countChange(), 5);
    try {
      await this.untilLeader(RECOVERY_LIMIT_MS);
      const from = monotonicMs();
      while (!this.isOver) await this.nextFault();
      await this.injector.heal();
      this.time = { from, to: monotonicMs() };
      if (!this.interrupted.aborted) await this.recover();
      if (!this.interrupted.aborted && this.complaints.length === 0) await this.failOverInPeace();
    } finally {
      clearInterval(progress);
      clearInterval(counting);
    }
  }

  private get isOver(): boolean {
    const { minutes, changes } = this.options;
    return (
      this.interrupted.aborted ||
      this.complaints.length > 0 ||
      this.changes >= changes ||
      this.elapsedSeconds >= minutes * 60
    );
  }

  private async nextFault(): Promise<void> {
    const planned = this.plan.next();
    if (planned.awaitsLeader) await this.untilLeader(PATIENCE_MS);
    this.injector.inject(planned);
    await this.pause(planned.pauseMs);
  }

  private async recover(): Promise<void> {
    const from = performance.now();
    if (await this.untilLeader(RECOVERY_LIMIT_MS)) {
      this.leaderAfterHealingMs = performance.now() - from;
    } else if (!this.interrupted.aborted) {
      this.complaints.push(`no leader ${RECOVERY_LIMIT_MS} ms after the last fault was healed`);
    }
  }

  /** A crash of the leader while nothing else is wrong. */
  private async failOverInPeace(): Promise<void> {
    await this.pause(CALM_MS);
    const [leader] = this.world.fleet.leaders;
    if (leader === undefined || this.interrupted.aborted) return;
    const from = monotonicMs();
    await leader.kill();
    const crashedAt = monotonicMs();
    if (await this.untilLeader(RECOVERY_LIMIT_MS)) {
      this.leaderAfterCrashMs = monotonicMs() - crashedAt;
    } else if (!this.interrupted.aborted) {
      this.complaints.push(`no leader ${RECOVERY_LIMIT_MS} ms after a crash in peace`);
    }
    await this.pause(CALM_MS);
    this.healthyFailover = { from, to: monotonicMs() };
  }

  private async untilLeader(limitMs: number): Promise<boolean> {
    const giveUpAt = performance.now() + limitMs;
    while (!this.world.hasLeaderAtPeace) {
      if (performance.now() > giveUpAt || this.interrupted.aborted) return false;
      await this.pause(10);
    }
    return true;
  }

  /** For progress and `--changes` only: what the histories tell is what counts. */
  private countChange(): void {
    const leader = this.world.fleet.leaders[0]?.name;
    if (leader === undefined || leader === this.lastLeader) return;
    if (this.lastLeader !== undefined) this.changes += 1;
    this.lastLeader = leader;
  }

  private tellProgress(): void {
    const { injected } = this.injector;
    process.stderr.write(
      `${this.elapsedSeconds.toFixed(0)} s: ${this.changes} leadership changes, ${injected.length} faults, ` +
        `${this.world.register.refusals} writes refused\n`,
    );
  }

  private async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.interrupted }).catch(() => undefined);
  }
}
