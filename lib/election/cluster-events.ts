import type { Clock } from '../core/clock.js';
import type { LockRequestError } from '../core/errors.js';
import type { ResourceLock } from '../core/resource-lock.js';
import type { RevocationReason, Term } from '../core/term.js';
import { atHome } from '../elector/system-clock.js';
import { within } from '../elector/work-in-flight.js';
import type { EventRecorder } from '../kubernetes/event-recorder.js';
import { ClusterLock } from '../locks/kubernetes/cluster-lock.js';
import type { ElectionActivity } from './election-activity.js';
import { ON_PURPOSE } from './election-logger.js';

export interface ClusterEventsOptions {
  readonly events: boolean;
  readonly leaseName: string;
  readonly identity: string;
  readonly requestTimeoutMs: number;
}

/** Ticks of one job that were missed for one reason. */
interface MissedTicksOfJob {
  readonly job: string;
  readonly reason: string;
  readonly count: number;
}

/** What the end of the process waits for the last events, at most. */
const LAST_EVENT_MS = 1_000;

/** The option `events`: what an election does, for those who look at its Lease with kubectl. */
export class ClusterEvents {
  private constructor(
    private readonly recorder: EventRecorder,
    private readonly options: ClusterEventsOptions,
    private readonly clock: Clock,
  ) {}

  /** Undefined where there is no Lease: with another lock, on a laptop, under a test runner. */
  static of(
    options: ClusterEventsOptions,
    lock: ResourceLock,
    clock: Clock,
    report: (error: LockRequestError) => void,
  ): ClusterEvents | undefined {
    if (!options.events || !(lock instanceof ClusterLock)) return undefined;
    const { identity: instance, requestTimeoutMs } = options;
    const recorder = atHome(() =>
      lock.eventRecorder({ instance, clock, requestTimeoutMs, report }),
    );
    return recorder === undefined ? undefined : new ClusterEvents(recorder, options, clock);
  }

  follow(activity: ElectionActivity): void {
    activity.subscribe({
      ignoresCalls: true,
      hear: (event) => {
        if (event.kind === 'granted') this.granted(event.term);
        if (event.kind === 'revoked') this.revoked(event.term, event.reason);
      },
    });
  }

  /**
   * Of a job of `@LeaderCron()`, on the object beside the Lease that has its record. Without the times, which the log and the
   * record have: an event that differs each time is never counted.
   */
  missed({ job, reason: why, count }: MissedTicksOfJob, suffix: string): void {
    const { leaseName } = this.options;
    const message = `job "${job}" missed ${count === 1 ? 'a tick' : 'ticks'} (${why})`;
    const lease = `${leaseName}-${suffix}`;
    this.recorder.record({ type: 'Warning', reason: 'MissedTick', message, lease });
  }

  /** After the release. Bounded: whoever ends does not wait for a server that does not answer. */
  async close(): Promise<void> {
    await within(this.clock, LAST_EVENT_MS, this.recorder.close(), () => undefined);
    this.recorder.abandon();
  }

  /** The reason and the first words are those of client-go. */
  private granted({ number }: Term): void {
    const { leaseName: lease, identity } = this.options;
    const message = `${identity} became leader (term ${number})`;
    this.recorder.record({ type: 'Normal', reason: 'LeaderElection', message, lease });
  }

  private revoked({ number }: Term, reason: RevocationReason): void {
    const { leaseName: lease, identity } = this.options;
    const type = ON_PURPOSE.includes(reason) ? 'Normal' : 'Warning';
    const message = `${identity} stopped leading (term ${number}): ${reason}`;
    this.recorder.record({ type, reason: 'LeaderElection', message, lease });
  }
}
