import type { ActiveRun, JobRecord, PendingRetry } from '../../lib/schedule/ledger/job-record.js';
import type { InterruptedRunPolicy } from '../../lib/schedule/runner/job-definition.js';
import type { RetryPolicy } from '../../lib/schedule/tick/back-off.js';

/** So many attempts a tick has at most where interrupted runs are run again. */
const MOST_ATTEMPTS_OF_RERUNS = 4;

/** An attempt whose time has come so long before the end has been started, or given up. */
const STRANDED_MS = 40_000;

export interface AttemptTraits {
  readonly retries: RetryPolicy;
  readonly onInterrupted: InterruptedRunPolicy;
  readonly isReplacing: boolean;
  /** Largest difference of a wall clock from true time, in milliseconds. */
  readonly skewMs: number;
}

/** What backups did to the objects of a role. */
export interface Backups {
  readonly isRestored: boolean;
  /** The first object went back to before the mark of the job. */
  readonly isUnmarked: boolean;
}

export interface AttemptVerdict {
  /** Attempts that were started beyond the limit, or after one that had not failed. */
  readonly unlimited: readonly string[];
  /** Steps of the record after which a tick has two attempts at once, or one that is not the next. */
  readonly unfounded: readonly string[];
  /** Ticks that the record forgets while an attempt of them is outstanding. */
  readonly forsaken: readonly string[];
}

/** A tick that is under way, as the record has it: an active run, or an attempt that is to start. */
interface Token {
  readonly tick: number;
  readonly attempt: number;
  readonly run: ActiveRun | undefined;
  readonly retry: PendingRetry | undefined;
}

/** What became of the attempts of one job's ticks. */
export class AttemptHistory {
  private readonly unlimited: string[] = [];
  private readonly unfounded: string[] = [];
  private readonly forsaken: { readonly token: Token; readonly trueMs: number }[] = [];
  private readonly cancelled = new Set<string>();
  private readonly failures = new Map<string, number>();
  private readonly ended = new Set<string>();
  private readonly begun = new Set<string>();
  private readonly planned = new Map<string, PendingRetry>();
  private outstanding: readonly PendingRetry[] = [];

  constructor(
    private readonly traits: AttemptTraits,
    /** A cancel whose caller heard nothing may have dropped an attempt at this true time. */
    private readonly mayBeCancelledAt: (trueMs: number) => boolean,
  ) {}

  /** False if a later attempt than the first waits for no deadline, as the one before it was interrupted. */
  isBounded(tick: number, attempt: number): boolean {
    return this.planned.get(nameOf(tick, attempt))?.isRerun !== true;
  }

  /** By how much it is too early, by the clock of its process; not positive if it is not. */
  earlyMs(tick: number, attempt: number, wallMs: number): number {
    const failedAt = this.failures.get(nameOf(tick, attempt - 1));
    if (failedAt === undefined || !this.isBounded(tick, attempt)) return 0;
    return failedAt + this.traits.retries.backoffMs * 2 ** (attempt - 2) - wallMs;
  }

  started(tick: number, attempt: number): void {
    this.begun.add(nameOf(tick, attempt));
    const { retries, onInterrupted } = this.traits;
    const limit = retries.limit + 1;
    const most = onInterrupted === 'rerun' ? Math.max(MOST_ATTEMPTS_OF_RERUNS, limit) : limit;
    if (attempt > most) this.unlimited.push(`${printed(tick)}: ${attempt} of ${most}`);
    if (attempt === 1) return;
    const hasFailed = this.failures.has(nameOf(tick, attempt - 1));
    if (!hasFailed && this.isBounded(tick, attempt)) {
      this.unlimited.push(`${printed(tick)}: ${attempt} and ${attempt - 1} has not failed`);
    }
  }

  /** `wallMs`: by the clock of its process. */
  endedIn(by: string, tick: number, attempt: number): void {
    this.ended.add(`${nameOf(tick, attempt)} ${by}`);
  }

  /** After a restore the same attempt may fail again later, elsewhere: the next may follow the first failure. */
  failed(tick: number, attempt: number, wallMs: number): void {
    const name = nameOf(tick, attempt);
    if (!this.failures.has(name)) this.failures.set(name, wallMs);
  }

  /** The caller of a cancel is told that the attempt is no longer to start. */
  dropped(tick: number, attempt: number): void {
    this.cancelled.add(nameOf(tick, attempt));
  }

  /** Every step of the stored record. Returns how many interrupted runs it is to run again. */
  written(before: JobRecord | undefined, after: JobRecord | undefined, trueMs: number): number {
    this.outstanding = after?.retries ?? [];
    if (after === undefined) return 0;
    const [earlier, later] = [tokensOf(before), tokensOf(after)];
    for (const token of later) this.checkOrigin(token, earlier, later);
    for (const token of earlier) {
      if (later.some(({ tick }) => tick === token.tick)) continue;
      if (!this.isSettled(token, before!, after, trueMs)) this.forsaken.push({ token, trueMs });
    }
    const reruns = this.outstanding.filter(
      ({ scheduledTime, attempt, isRerun }) =>
        isRerun && !this.planned.has(nameOf(scheduledTime, attempt)),
    );
    for (const retry of this.outstanding) {
      this.planned.set(nameOf(retry.scheduledTime, retry.attempt), retry);
    }
    return reruns.length;
  }

  /** `isReported`: the tick was reported at some time, as it is where the report is stored no more. */
  verdict(
    endMs: number,
    { isRestored, isUnmarked }: Backups,
    isReported: (tick: number) => boolean,
  ): AttemptVerdict {
    const { unlimited, unfounded, outstanding } = this;
    const forsaken = this.forsaken
      .filter(({ token, trueMs }) => !isReported(token.tick) && !this.isCancelled(token, trueMs))
      .map(({ token }) => describe(token));
    const stranded = outstanding
      .filter(({ notBefore }) => notBefore < endMs - STRANDED_MS)
      .map(({ scheduledTime, attempt }) => `${printed(scheduledTime)}: ${attempt} never starts`);
    return {
      unlimited: isRestored ? [] : unlimited,
      // Of several objects one may go back to before its mark, and the job then be in two of them.
      unfounded: isRestored ? [] : unfounded,
      forsaken: [...(isRestored ? [] : forsaken), ...(isUnmarked ? [] : stranded)],
    };
  }

  /** Also one that was claimed, handed back and dropped in one write. */
  private isCancelled({ tick, attempt }: Token, trueMs: number): boolean {
    return this.cancelled.has(nameOf(tick, attempt)) || this.mayBeCancelledAt(trueMs);
  }

  private checkOrigin(token: Token, earlier: readonly Token[], later: readonly Token[]): void {
    const isSame = ({ tick }: Token): boolean => tick === token.tick;
    if (later.filter(isSame).length > 1) this.unfounded.push(`${describe(token)}, twice`);
    if (token.attempt === 1) return;
    const origin = earlier.find(isSame);
    if (origin === undefined) this.unfounded.push(`${describe(token)}, from nowhere`);
    else if (origin.run?.cancellation !== undefined && token.run?.id !== origin.run.id) {
      this.unfounded.push(`${describe(token)}, from one that was cancelled`);
    } else if (origin.attempt !== token.attempt && origin.attempt !== token.attempt - 1) {
      this.unfounded.push(`${describe(token)}, from ${origin.attempt}`);
    }
  }

  /** Ended, reported, handed back as a tick, or given up by the rules. */
  private isSettled(
    { tick, attempt, run, retry }: Token,
    before: JobRecord,
    after: JobRecord,
    trueMs: number,
  ): boolean {
    const known = new Set(before.untold.map(({ id }) => id));
    const isReported = after.untold.some(({ id, times }) => !known.has(id) && times.includes(tick));
    const isReturned = after.accountedThrough < before.accountedThrough;
    if (isReported || (isReturned && run?.cancellation === undefined)) return true;
    if (run !== undefined) {
      const name = nameOf(tick, attempt);
      if (run.cancellation !== undefined || this.ended.has(`${name} ${run.holderIdentity}`))
        return true;
      // Its claimant has given it up before it began, and the attempt is open again and too late in the same write.
      return !this.begun.has(name) && this.isTooLate(this.planned.get(name), trueMs);
    }
    if (retry!.isRerun) return false;
    const isReplaced = this.traits.isReplacing && after.accountedThrough > before.accountedThrough;
    return isReplaced || this.isTooLate(retry, trueMs);
  }

  private isTooLate(retry: PendingRetry | undefined, trueMs: number): boolean {
    return trueMs + this.traits.skewMs > (retry?.notAfter ?? Infinity);
  }
}

function tokensOf(record: JobRecord | undefined): Token[] {
  const { active = [], retries = [] } = record ?? {};
  return [
    ...active
      .filter(({ isTriggered }) => isTriggered !== true)
      .map((run) => ({
        tick: run.scheduledTime,
        attempt: run.attempt ?? 1,
        run,
        retry: undefined,
      })),
    ...retries.map((retry) => {
      const { scheduledTime: tick, attempt } = retry;
      return { tick, attempt, run: undefined, retry };
    }),
  ];
}

function nameOf(tick: number, attempt: number): string {
  return `${tick} ${attempt}`;
}

function describe({ tick, attempt, run }: Token): string {
  return `${printed(tick)}: ${attempt} ${run === undefined ? 'to start' : 'active'}`;
}

function printed(time: number): string {
  return new Date(time).toISOString();
}
