import type { ElectionEffect, LockRequest } from '../core/election-state.js';
import type { ReadOutcome, WriteOutcome } from '../core/lock-outcome.js';
import type { LockRequestOptions, ResourceLock } from '../locks/resource-lock.js';
import type { Clock, Timer } from './clock.js';
import { checkedOutcome, failedOutcome } from './lock-answers.js';

export type RequestAnswer =
  | { readonly kind: 'read-done'; readonly id: number; readonly outcome: ReadOutcome }
  | { readonly kind: 'write-done'; readonly id: number; readonly outcome: WriteOutcome };

type RequestEffect = Extract<ElectionEffect, { kind: 'request' }>;

/** A lock bounds its own requests; this much later the election stops believing that it does. */
const OVERRUN_MS = 100;

/** Sends requests to the lock and sees to it that each is answered exactly once, whatever the lock does. */
export class LockRequests {
  private pending:
    { readonly id: number; readonly abort: AbortController; readonly overrun: Timer } | undefined;

  constructor(
    private readonly lock: ResourceLock,
    private readonly clock: Clock,
    private readonly answer: (answer: RequestAnswer) => void,
  ) {}

  send({ id, request, timeoutMs }: RequestEffect): void {
    const abort = new AbortController();
    const finish = (outcome: ReadOutcome | WriteOutcome): void => {
      if (this.pending?.id !== id) return;
      this.pending.overrun.cancel();
      this.pending = undefined;
      this.answer(answerOf(id, request, outcome));
    };
    const overrun = this.clock.setTimer(() => {
      abort.abort();
      finish(failedOutcome(this.lock, request.verb, `it gave no outcome within ${timeoutMs} ms`));
    }, timeoutMs + OVERRUN_MS);
    this.pending = { id, abort, overrun };
    this.perform(request, { timeoutMs, signal: abort.signal }).then(
      (answer) => finish(checkedOutcome(this.lock, request.verb, answer)),
      (cause: unknown) => finish(failedOutcome(this.lock, request.verb, cause)),
    );
  }

  /** Gives the request up; nothing is answered any more. */
  abandon(id: number): void {
    if (this.pending?.id !== id) return;
    this.pending.overrun.cancel();
    this.pending.abort.abort();
    this.pending = undefined;
  }

  /** A lock of somebody else's may throw where it should reject: that is an outcome all the same. */
  private perform(request: LockRequest, options: LockRequestOptions): Promise<unknown> {
    try {
      return Promise.resolve(this.call(request, options));
    } catch (cause) {
      return Promise.reject(cause as Error);
    }
  }

  private call(
    request: LockRequest,
    options: LockRequestOptions,
  ): Promise<ReadOutcome | WriteOutcome> {
    switch (request.verb) {
      case 'read':
        return this.lock.read(options);
      case 'create':
        return this.lock.create(request.record, options);
      case 'replace':
        return this.lock.replace(request.record, request.expected, options);
    }
  }
}

function answerOf(
  id: number,
  { verb }: LockRequest,
  outcome: ReadOutcome | WriteOutcome,
): RequestAnswer {
  return verb === 'read'
    ? { kind: 'read-done', id, outcome: outcome as ReadOutcome }
    : { kind: 'write-done', id, outcome: outcome as WriteOutcome };
}
