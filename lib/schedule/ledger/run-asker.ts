import { withTimeLimit } from '../../core/abort-signal.js';
import { type Clock, wallMs } from '../../core/clock.js';
import type { LockRequestError } from '../../core/errors.js';
import type { JobLedger } from './job-ledger.js';
import type { TriggerAnswer } from './job-record.js';
import { isTakenBack, TriggerAsk, TriggerTakeBack } from './trigger-changes.js';

/** How long it is tried to take a request back. */
const TAKE_BACK_MS = 15_000;
const LOOK_MS = 500;
/** A leader says within a write of its claim that it has started the run, or later that it did not. */
const STARTED_WITHIN_MS = 5_000;

/**
 * What is known of a run that was asked for.
 * - `answered`: by a leader, perhaps that it has claimed the run and not more. - `not-asked`: nothing is stored.
 * - `unknown`: the fleet has no such job. - `busy`: it has been asked for another run. - `taken-back`: no leader had claimed it,
 *   and none will. - `overtaken`: the record says nothing of it, and the answer there is that to another request.
 * - `unresolved`: it is not known whether it is stored. In both cases a leader may have claimed the run, and may start it until
 *   `notAfter`.
 */
export type AskedOutcome =
  | { readonly kind: 'answered'; readonly answer: TriggerAnswer }
  | { readonly kind: 'not-asked' | 'unknown' | 'busy' | 'taken-back' }
  | { readonly kind: 'overtaken' | 'unresolved'; readonly notAfter: number };

export interface RunRequest {
  readonly job: string;
  /** Unique to this call: whatever is sent again is the same request. */
  readonly id: string;
  readonly by: string;
  /** For how long a leader may start it. */
  readonly timeoutMs: number;
}

/**
 * Asks the leader for a run by the record of the job, as any process may, and waits for its answer. A write whose outcome is
 * unknown is looked for and sent again under the same id while a leader may start the run; then the request is taken back.
 */
export class RunAsker {
  private readonly refused = new AbortController();
  private isUncertain = false;

  constructor(
    private readonly ledger: JobLedger,
    private readonly clock: Clock,
    /** Lets the leader read the record. Must not reject. */
    private readonly tellLeader: () => Promise<unknown>,
  ) {}

  /** To be called with every error of a request of the ledger. */
  failed({ reason, retryAfterMs }: LockRequestError): void {
    if (reason !== 'rejected') this.isUncertain = true;
    // What the store refuses it would refuse again: whoever has no right need not wait.
    else if (retryAfterMs === undefined) this.refused.abort();
  }

  async ask({ job, id, by, timeoutMs }: RunRequest): Promise<AskedOutcome> {
    const { clock, refused } = this;
    const at = wallMs(clock);
    const until = clock.now() + timeoutMs;
    const ask = new TriggerAsk(job, { id, at, by, notAfter: at + timeoutMs });
    if (!(await this.read(job, until, refused.signal))) return { kind: 'not-asked' };
    const options = { deadline: until, signal: refused.signal };
    const asked = await this.ledger.submit(ask, options);
    if (asked.kind === 'settled' && asked.result !== 'stored') {
      // Of a record that is gone it is not known what it said last.
      const isGone = asked.result === 'unknown' && ask.isProposed;
      const kind = isGone ? 'overtaken' : asked.result;
      return kind === 'overtaken' ? { kind, notAfter: ask.request.notAfter } : { kind };
    }
    if (asked.kind === 'settled') {
      await this.tellLeader();
      const outcome = await this.answerTo(ask, until);
      if (outcome !== undefined) return outcome;
    } else if (!ask.isProposed || !this.isUncertain) return { kind: 'not-asked' };
    return this.takeBack(ask);
  }

  /** Undefined: there is none in time. */
  private async answerTo(ask: TriggerAsk, until: number): Promise<AskedOutcome | undefined> {
    const { clock, ledger } = this;
    const { job, request } = ask;
    let claimed: { readonly answer: TriggerAnswer; readonly until: number } | undefined;
    for (;;) {
      const isRead = await this.read(job, claimed?.until ?? until);
      const record = isRead ? ledger.known(job) : undefined;
      const { triggered } = record ?? {};
      const now = clock.now();
      if (triggered?.id === request.id) {
        claimed = {
          answer: triggered,
          until: claimed?.until ?? Math.max(until, now + STARTED_WITHIN_MS),
        };
        // A leader of an older version says no more, also once the run has ended.
        const isActive = record!.active.some((run) => run.id === triggered.run);
        if (triggered.state !== 'claimed' || !isActive) {
          return { kind: 'answered', answer: triggered };
        }
      } else if (record !== undefined && !ask.isUnanswered(record)) {
        return claimed === undefined
          ? { kind: 'overtaken', notAfter: request.notAfter }
          : { kind: 'answered', answer: claimed.answer };
      }
      if (now >= (claimed?.until ?? until)) {
        return claimed && { kind: 'answered', answer: claimed.answer };
      }
      await this.pause(LOOK_MS);
    }
  }

  private async takeBack(ask: TriggerAsk): Promise<AskedOutcome> {
    const { clock, ledger } = this;
    const deadline = clock.now() + TAKE_BACK_MS;
    const back = await ledger.submit(new TriggerTakeBack(ask, wallMs(clock)), { deadline });
    const { notAfter } = ask.request;
    if (back.kind === 'unresolved') return { kind: 'unresolved', notAfter };
    const { result: answer } = back;
    if (answer === undefined) return { kind: 'overtaken', notAfter };
    return isTakenBack(answer) ? { kind: 'taken-back' } : { kind: 'answered', answer };
  }

  /** False: it could not be read by then. */
  private read(job: string, until: number, signal?: AbortSignal): Promise<boolean> {
    const { clock, ledger } = this;
    const leftMs = Math.max(0, until - clock.now());
    return withTimeLimit(clock, leftMs, (limit) => ledger.refresh(limit, job), signal);
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.setTimer(resolve, ms));
  }
}
