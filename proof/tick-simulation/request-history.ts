import type {
  JobRecord,
  TriggerAnswer,
  TriggerRequest,
} from '../../lib/schedule/ledger/job-record.js';
import type { AskedOutcome } from '../../lib/schedule/ledger/run-asker.js';
import type { CancellableRun } from './cancellable-run.js';

export interface RequestVerdict {
  /** Requests of which more than one run was started. */
  readonly repeated: readonly string[];
  /** Runs that were started after the time of their request, by the clock of their process. */
  readonly expired: readonly string[];
  /** Answers in the record that are not what became of the run. */
  readonly untrue: readonly string[];
  /** Requests that a healthy fleet has heard of and not answered, or that were removed without an answer. */
  readonly unanswered: readonly string[];
  /** What whoever asked was told is not what became of the run, or nothing was told. */
  readonly misinformed: readonly string[];
}

interface StartedRun {
  readonly run: CancellableRun;
  readonly by: string;
}

/** One call of the command line. */
interface Ask {
  readonly askedAt: number;
  readonly isCalm: boolean;
  readonly isOrphaned: () => boolean;
  told?: AskedOutcome;
}

/** Until then every call has ended: the longest request, taking it back, and a write that was under way. */
const ENDED_WITHIN_MS = 60_000;

interface RequestTraits {
  readonly mayBeCancelled: boolean;
}

/** What became of the runs of one job that were asked for by its record. */
export class RequestHistory {
  private readonly requests = new Map<string, TriggerRequest>();
  private readonly asks = new Map<string, Ask>();
  /** The request of each run that was claimed for one. */
  private readonly claims = new Map<string, string>();
  private readonly started = new Map<string, StartedRun[]>();
  private readonly answers: TriggerAnswer[] = [];
  private readonly expired: string[] = [];
  private readonly untrue: string[] = [];
  private readonly unanswered: string[] = [];

  constructor(private readonly traits: RequestTraits) {}

  asked(id: string, ask: Ask): void {
    this.asks.set(id, ask);
  }

  told(id: string, outcome: AskedOutcome): void {
    this.asks.get(id)!.told = outcome;
    if (outcome.kind === 'answered') this.checkAnswer(outcome.answer, 'told');
  }

  /** False if it is a run of no request. `wallMs`: by the clock of its process. */
  begun(run: CancellableRun, by: string, wallMs: number): boolean {
    const id = this.claims.get(run.id);
    if (id === undefined) return false;
    this.started.set(id, [...(this.started.get(id) ?? []), { run, by }]);
    const lateMs = wallMs - this.requests.get(id)!.notAfter;
    if (lateMs > 0) this.expired.push(`${id} by ${Math.round(lateMs)} ms`);
    return true;
  }

  /** Every step of the stored record. */
  written(before: JobRecord | undefined, after: JobRecord | undefined): void {
    const { trigger: asked } = before ?? {};
    const { trigger, triggered, active = [] } = after ?? {};
    if (trigger !== undefined) this.requests.set(trigger.id, trigger);
    if (after !== undefined && asked !== undefined && trigger?.id !== asked.id) {
      const isReplaced = trigger !== undefined && trigger.at >= asked.notAfter;
      if (triggered?.id !== asked.id && !isReplaced) this.unanswered.push(`${asked.id} is removed`);
    }
    if (triggered === undefined) return;
    const isOpen = triggered.state === 'claimed' || triggered.state === 'started';
    if (isOpen && !active.some(({ id }) => id === triggered.run)) {
      this.untrue.push(`${triggered.id} is ${triggered.state}, and not active`);
    }
    if (isSame(before?.triggered, triggered)) return;
    if (triggered.run !== '') this.claims.set(triggered.run, triggered.id);
    this.checkAnswer(triggered, 'recorded');
    this.answers.push(triggered);
  }

  /** `isRestored`: a store that went back asks once more for what was started. */
  verdict(endMs: number, isRestored: boolean): RequestVerdict {
    const repeated = [...this.started].filter(([, runs]) => {
      const by = isRestored ? new Set(runs.map((run) => run.by)).size : 1;
      return runs.length > by;
    });
    const never = this.answers.filter(
      (answer) => isNoRun(answer) && this.started.has(answer.id) && !isRestored,
    );
    return {
      repeated: repeated.map(([id, runs]) => `${id}: ${runs.length}`),
      expired: this.expired,
      untrue: isRestored
        ? []
        : [...this.untrue, ...never.map(({ id, state }) => `${id} is ${state}, and was started`)],
      unanswered: isRestored ? [] : [...this.unanswered, ...this.unheard(endMs)],
      misinformed: isRestored ? [] : this.misinformed(endMs),
    };
  }

  /** At a time when nothing fails and every process that leads is told, a leader answers. */
  private unheard(endMs: number): string[] {
    return [...this.asks].flatMap(([id, { isCalm, told, askedAt, isOrphaned }]) => {
      if (!isCalm || isOrphaned() || askedAt > endMs - ENDED_WITHIN_MS) return [];
      const isAnswered = told?.kind === 'answered' && told.answer.state !== 'claimed';
      return isAnswered ? [] : [`${id}: ${describe(told)}`];
    });
  }

  private misinformed(endMs: number): string[] {
    return [...this.asks].flatMap(([id, { told, askedAt, isOrphaned }]) => {
      if (told === undefined) {
        return isOrphaned() || askedAt > endMs - ENDED_WITHIN_MS ? [] : [`${id}: nothing`];
      }
      const isWrong = promisesNoRun(told) && this.started.has(id);
      return isWrong ? [`${id}: ${describe(told)}, and a run was started`] : [];
    });
  }

  private checkAnswer(answer: TriggerAnswer, how: string): void {
    const runs = this.started.get(answer.id) ?? [];
    const run = runs.find((each) => each.run.id === answer.run)?.run;
    if (!this.isTrueOf(run, answer)) {
      this.untrue.push(`${answer.id} is ${how} as ${answer.state}, was ${run?.became}`);
    }
  }

  private isTrueOf(run: CancellableRun | undefined, { state }: TriggerAnswer): boolean {
    switch (state) {
      case 'started':
        return run !== undefined;
      case 'succeeded':
        return run?.became === 'succeeded';
      case 'failed':
        // One that was asked to make way has failed, whatever its handler says.
        return run !== undefined && (run.became === 'failed' || run.abortedAt !== undefined);
      case 'cancelled':
        return this.traits.mayBeCancelled;
      case 'not-started':
        return run === undefined;
      default:
        return true;
    }
  }
}

function isNoRun({ state }: TriggerAnswer): boolean {
  return state === 'refused' || state === 'not-started';
}

function promisesNoRun(outcome: AskedOutcome): boolean {
  if (outcome.kind === 'answered') return isNoRun(outcome.answer);
  return outcome.kind !== 'unresolved' && outcome.kind !== 'overtaken';
}

function isSame(one: TriggerAnswer | undefined, other: TriggerAnswer): boolean {
  return one?.id === other.id && one.state === other.state && one.run === other.run;
}

function describe(outcome: AskedOutcome | undefined): string {
  if (outcome === undefined) return 'nothing';
  return outcome.kind === 'answered' ? outcome.answer.state : outcome.kind;
}
