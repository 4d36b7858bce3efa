import type { Clock, Timer } from '../core/clock.js';
import { messageOf } from '../core/thrown-value.js';
import { ignoreOutcome } from '../elector/work-in-flight.js';

/**
 * What an eligibility check answers: true, or the result of a Terminus indicator or of its `HealthCheckService.check()`.
 * An indicator counts as healthy with the status `up` or `degraded`.
 */
export type EligibilityAnswer = boolean | object;

/** Tells whether this process is fit to lead. It throws, rejects or answers false if it is not. */
export type EligibilityCheck = () => EligibilityAnswer | PromiseLike<EligibilityAnswer>;

interface ChecksSettings {
  readonly clock: Clock;
  readonly periodMs: number;
  /** A check that has not answered by then has failed. */
  readonly timeoutMs: number;
  /** Why this process is not fit to lead; undefined if it is. Called once all checks have answered, or are late. */
  readonly tell: (reason: string | undefined) => void;
}

/**
 * Calls the checks of the user again and again. They are foreign code: what they throw or answer, and whether they ever
 * do, decides about the eligibility of this process and about nothing else. A check is never called while an earlier call
 * of it is under way.
 */
export class EligibilityChecks {
  private readonly reasons = new Map<EligibilityCheck, string>();
  private readonly timers = new Set<Timer>();
  private readonly unanswered: Set<EligibilityCheck>;
  private hasClosed = false;

  constructor(
    private readonly checks: readonly EligibilityCheck[],
    private readonly settings: ChecksSettings,
  ) {
    this.unanswered = new Set(checks);
  }

  start(): void {
    this.checks.forEach((check, index) => {
      void this.repeat(check, nameOf(check) ?? `eligibility check ${index + 1}`);
    });
  }

  close(): void {
    this.hasClosed = true;
    for (const timer of this.timers) timer.cancel();
    this.timers.clear();
  }

  private async repeat(check: EligibilityCheck, name: string): Promise<void> {
    const { periodMs, timeoutMs } = this.settings;
    while (!this.hasClosed) {
      const late = this.after(timeoutMs, () =>
        this.learn(check, `${name} has not answered within ${timeoutMs} ms`),
      );
      const reason = await answerOf(check, name);
      this.cancel(late);
      this.learn(check, reason);
      // Never ends once this is closed.
      await new Promise<void>((resolve) => this.after(periodMs, resolve));
    }
  }

  private learn(check: EligibilityCheck, reason: string | undefined): void {
    if (this.hasClosed) return;
    this.unanswered.delete(check);
    if (reason === undefined) this.reasons.delete(check);
    else this.reasons.set(check, reason);
    if (this.unanswered.size > 0) return;
    const all = [...this.reasons.values()];
    this.settings.tell(all.length === 0 ? undefined : all.join('; '));
  }

  private after(delayMs: number, callback: () => void): Timer | undefined {
    if (this.hasClosed) return undefined;
    const timer = this.settings.clock.setTimer(() => {
      this.timers.delete(timer);
      callback();
    }, delayMs);
    this.timers.add(timer);
    return timer;
  }

  private cancel(timer: Timer | undefined): void {
    if (timer === undefined) return;
    timer.cancel();
    this.timers.delete(timer);
  }
}

function nameOf(check: EligibilityCheck): string | undefined {
  try {
    return check.name === '' ? undefined : String(check.name);
  } catch {
    return undefined;
  }
}

/** Why the check says that this process is not fit to lead. Never rejects, but may never settle. */
async function answerOf(check: EligibilityCheck, name: string): Promise<string | undefined> {
  try {
    const answer: unknown = await check();
    return faultIn(answer, name);
  } catch (error) {
    return faultTold(error, name) ?? `${name} failed: ${messageOf(error)}`;
  }
}

/** A health check of Terminus rejects with its result as the response, and an old indicator with it as the causes. */
function faultTold(error: unknown, name: string): string | undefined {
  try {
    if (!isObject(error)) return undefined;
    const { getResponse, causes } = error as { getResponse?: unknown; causes?: unknown };
    const result: unknown = typeof getResponse === 'function' ? getResponse.call(error) : causes;
    if (!isObject(result)) return undefined;
    ignoreOutcome(result);
    const isResult = statusesIn(result).some(([, status]) => typeof status === 'string');
    return isResult ? faultIn(result, name) : undefined;
  } catch {
    // The error itself is what is left to tell.
    return undefined;
  }
}

/** What says nothing that can be understood does not say that this process is fit. */
function faultIn(answer: unknown, name: string): string | undefined {
  if (answer === true) return undefined;
  if (answer === false) return `${name} answered false`;
  const found = typeof answer === 'object' && answer !== null ? statusesIn(answer) : [];
  if (found.length === 0) {
    return `${name} answered neither a boolean nor the result of a health indicator`;
  }
  const bad = found.filter(([, status]) => !HEALTHY.includes(status));
  if (bad.length === 0) return undefined;
  return bad.map(([key, status]) => `${key || name} is ${String(status)}`).join(', ');
}

/** Of an indicator, and of a whole health check. */
const HEALTHY: readonly unknown[] = ['up', 'degraded', 'ok'];

function statusesIn(answer: object): [key: string, status: unknown][] {
  const { status, details } = answer as { status?: unknown; details?: unknown };
  if (typeof status === 'string') {
    const isWell = HEALTHY.includes(status);
    const bad = isWell || !isObject(details) ? [] : statusesIn(details);
    const down = bad.filter(([, its]) => !HEALTHY.includes(its));
    return down.length > 0 ? down : [['', status]];
  }
  return Object.entries(answer).map(([key, value]: [string, unknown]) => [
    key,
    isObject(value) ? (value as { status?: unknown }).status : undefined,
  ]);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
