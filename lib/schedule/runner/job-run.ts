import type { Term } from '../../core/term.js';
import { type Clock, type Timer, wallMs } from '../../core/clock.js';
import type { ActiveRun } from '../claim/job-record.js';
import { shortReason } from '../claim/short-reason.js';
import { JobReplacedError } from '../errors/job-replaced.error.js';
import { JobTimeoutError } from '../errors/job-timeout.error.js';
import type { JobDefinition, MissedTicks } from './job-definition.js';
import { LinkedSignal } from './linked-signal.js';
import { RunWaiter } from './run-waiter.js';

export interface RunOutcome {
  readonly succeeded: boolean;
  /** What the handler threw, or why it was aborted; absent after a success. */
  readonly error?: unknown;
  /** One line for the record; null after a success. */
  readonly failure: string | null;
  readonly endedAt: number;
}

/** How long a run that was told to make place is waited for; as long as a pod has by default. */
export const REPLACE_GRACE_MS = 30_000;

/** One call of a job's handler, with the signal that ends it. Never rejects. */
export class JobRun {
  readonly ended: Promise<RunOutcome>;
  private finish!: (outcome: RunOutcome) => void;
  /** Resolves when another may take its place: it has ended, or it was asked to and ignores its signal for too long. */
  readonly madePlace: Promise<void>;
  private makePlace!: () => void;
  private isLate = false;
  private grace: Timer | undefined;
  private readonly linked: LinkedSignal;
  /** Why the run was told to end before its time, though its term lasts. */
  private cutShort: Error | undefined;

  constructor(
    private readonly definition: JobDefinition,
    readonly claim: ActiveRun,
    private readonly term: Term,
    private readonly missed: MissedTicks,
    private readonly clock: Clock,
    readonly waiter: RunWaiter,
  ) {
    this.madePlace = new Promise((resolve) => (this.makePlace = resolve));
    this.ended = new Promise((resolve) => (this.finish = resolve));
    this.linked = new LinkedSignal([term.signal]);
  }

  /** Calls the handler, once. From its first line on the handler may ask for what the run is known to be. */
  start(): void {
    const { definition, term, missed } = this;
    const { signal } = this.linked;
    const scheduledTime = new Date(this.claim.scheduledTime);
    void this.call(() => definition.run({ scheduledTime, missed, term, signal })).then(
      (outcome) => {
        this.finish(outcome);
        this.makePlace();
      },
    );
  }

  /** Asks the run to end, so that another may take its place. */
  replace(onOverdue: () => void): void {
    if (this.grace !== undefined) return;
    this.grace = this.clock.setTimer(() => {
      this.isLate = true;
      this.makePlace();
      onOverdue();
    }, REPLACE_GRACE_MS);
    this.cut(new JobReplacedError(this.definition.name));
  }

  /** True if it was asked to make place and has ignored it for so long that it is not waited for any more. */
  get isOverdue(): boolean {
    return this.isLate;
  }

  private async call(handler: () => unknown): Promise<RunOutcome> {
    const timer = this.limit();
    try {
      // A thenable may do its work in then(): it is adopted here, once.
      await this.waiter.call(handler);
    } catch (error) {
      return { succeeded: false, error, failure: shortReason(error), endedAt: this.now() };
    } finally {
      timer?.cancel();
      this.grace?.cancel();
      this.linked.unlink();
    }
    const { cutShort: error } = this;
    if (error === undefined) return { succeeded: true, failure: null, endedAt: this.now() };
    return { succeeded: false, error, failure: shortReason(error), endedAt: this.now() };
  }

  private limit(): Timer | undefined {
    const { name, timeoutMs } = this.definition;
    if (timeoutMs === null) return undefined;
    const expire = () => this.cut(new JobTimeoutError(name, timeoutMs));
    return this.clock.setTimer(expire, timeoutMs);
  }

  private cut(reason: Error): void {
    this.cutShort ??= reason;
    this.linked.abort(reason);
  }

  private now(): number {
    return wallMs(this.clock);
  }
}
