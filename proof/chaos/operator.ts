import { setTimeout as delay } from 'node:timers/promises';
import type { LeaderRequest } from '../../lib/core/lease-record.js';
import type { ResourceLock } from '../../lib/core/resource-lock.js';
import { FleetError } from '../../lib/fleet/fleet-error.js';
import { askLeader, requestOptions, untilAnswered } from '../../lib/fleet/leader-requests.js';
import type { HistoryRecorder } from './history-recorder.js';

/** For the request to be written. */
const WRITING_LIMIT_MS = 10_000;
/** From then on: a leader that cannot write it loses its lease long before. */
const ANSWER_LIMIT_MS = 30_000;
const PAUSE_MS = 200;

/** How a request ended for whoever made it. `not-made`: no process led, or it is not known whether it was written. */
export type RequestOutcome = 'done' | 'refused' | 'void' | 'unanswered' | 'not-made';

/** Asks whoever leads to step down, as `nestjs-leader-election step-down` does, and writes down what comes of it. */
export class Operator {
  /** Of those that were written. */
  private readonly made: LeaderRequest[] = [];
  private readonly lock: ResourceLock;
  private number = 0;

  constructor(
    lock: ResourceLock,
    private readonly events: HistoryRecorder,
  ) {
    this.lock = recordingRequests(lock, events);
  }

  async ask(successor: string | undefined): Promise<void> {
    const by = `operator ${++this.number}`;
    const outcome = await this.outcomeOf(by, successor);
    this.events.requestEnded(by, outcome);
  }

  /** Writes an earlier request once more, as a client does that keeps what it does not know. Answers whether it could. */
  async askAgain(which: number): Promise<boolean> {
    const earlier = this.made[Math.floor(which * this.made.length)];
    if (earlier === undefined) return false;
    const read = await this.lock.read(requestOptions());
    // One that stands is not lost by this.
    if (read.kind !== 'found' || read.stored.record.request !== undefined) return false;
    const record = { ...read.stored.record, request: earlier };
    const outcome = await this.lock.replace(record, read.stored, requestOptions());
    return outcome.kind === 'applied';
  }

  async close(): Promise<void> {
    await this.lock.close?.();
  }

  private async outcomeOf(by: string, successor: string | undefined): Promise<RequestOutcome> {
    let request: LeaderRequest;
    try {
      request = await askLeader(this.lock, { by, successor }, Date.now() + WRITING_LIMIT_MS);
    } catch (error) {
      if (error instanceof FleetError) return 'not-made';
      throw error;
    }
    this.made.push(request);
    const until = Date.now() + ANSWER_LIMIT_MS;
    for (;;) {
      try {
        const { kind } = await untilAnswered(this.lock, request, until);
        return kind === 'silent' ? 'unanswered' : kind;
      } catch (error) {
        // The servers are away for everyone.
        if (!(error instanceof FleetError)) throw error;
        if (Date.now() >= until) return 'unanswered';
        await delay(PAUSE_MS);
      }
    }
  }
}

/** Whatever becomes of a write, a leader may hear of it from then on. */
function recordingRequests(lock: ResourceLock, events: HistoryRecorder): ResourceLock {
  const replace: ResourceLock['replace'] = (record, ...rest) => {
    if (record.request !== undefined) events.requested(record.request);
    return lock.replace(record, ...rest);
  };
  return Object.assign(Object.create(lock) as ResourceLock, { replace });
}
