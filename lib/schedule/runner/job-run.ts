import type { Term } from '../../core/term.js';
import type { Clock, Timer } from '../../elector/clock.js';
import type { ActiveRun } from '../claim/job-record.js';
import { shortReason } from '../claim/short-reason.js';
import { JobReplacedError } from '../errors/job-replaced.error.js';
import { JobTimeoutError } from '../errors/job-timeout.error.js';
import type { JobDefinition, MissedTicks } from './job-definition.js';
import { LinkedSignal } from './linked-signal.js';
import { wallMs } from './schedule-environment.js';

export interface RunOutcome {
  readonly succeeded: boolean;
  /** What the handler threw, or why it was aborted; absent after a success. */
  readonly error?: unknown;
  /** One line for the record; null after a success. */
  readonly failure: string | null;
  readonly endedAt: number;
}

/** One call of a job's handler, with the signal that ends it. Never rejects. */
export class JobRun {
  readonly ended: Promise<RunOutcome>;
  private readonly linked: LinkedSignal;
  /** Why the run was told to end before its time, though its term lasts. */
  private cutShort: Error | undefined;

  constructor(
    private readonly definition: JobDefinition,
    readonly claim: ActiveRun,
    term: Term,
    missed: MissedTicks,
    private readonly clock: Clock,
  ) {
    this.linked = new LinkedSignal([term.signal]);
    const { signal } = this.linked;
    const scheduledTime = new Date(claim.scheduledTime);
    this.ended = this.call(() => definition.run({ scheduledTime, missed, term, signal }));
  }

  /** Asks the run to end, so that another may take its place. */
  replace(): void {
    this.cut(new JobReplacedError(this.definition.name));
  }

  private async call(handler: () => unknown): Promise<RunOutcome> {
    const timer = this.limit();
    try {
      await handler();
    } catch (error) {
      return { succeeded: false, error, failure: shortReason(error), endedAt: this.now() };
    } finally {
      timer?.cancel();
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
