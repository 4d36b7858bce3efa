import type { ActiveRun, JobRecord, TriggerAnswer, TriggerRequest } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-changes.js';
import { answerOf } from './trigger-answer.js';

/**
 * What came of asking for a run. `stored`: a leader is to start it, or has answered already. `unknown`: the fleet has no
 * such job. `busy`: it has been asked for another one, which it has not started yet. `overtaken`: a leader may have answered
 * it, as it has answered another request since this one was first sent.
 */
export type TriggerAsked = 'stored' | 'unknown' | 'busy' | 'overtaken';

/**
 * Asks the leader for one run of a job now; any process may, a command line among them. However often it is sent, there is
 * one request with its id: a claim removes the request and leaves an answer, so while the last answer is the one that was
 * there before, none has claimed it.
 */
export class TriggerAsk implements LedgerChange<TriggerAsked> {
  private answeredBefore: string | undefined;
  private wasProposed = false;

  constructor(
    readonly job: string,
    readonly request: TriggerRequest,
  ) {}

  /** False as long as no write of it can have been sent. */
  get isProposed(): boolean {
    return this.wasProposed;
  }

  /** False: a leader has answered a request since this one was first sent, and perhaps this one. */
  isUnanswered({ triggered }: JobRecord): boolean {
    return !this.wasProposed || triggered?.id === this.answeredBefore;
  }

  decide(record: JobRecord | undefined): Verdict<TriggerAsked> {
    const { request } = this;
    if (record === undefined) return { kind: 'settled', result: 'unknown' };
    const { trigger, triggered } = record;
    const isStored = trigger?.id === request.id || triggered?.id === request.id;
    if (isStored) return { kind: 'settled', result: 'stored' };
    if (!this.isUnanswered(record)) return { kind: 'settled', result: 'overtaken' };
    const isBusy = trigger !== undefined && trigger.notAfter > request.at;
    if (isBusy) return { kind: 'settled', result: 'busy' };
    if (!this.wasProposed) this.answeredBefore = triggered?.id;
    this.wasProposed = true;
    return { kind: 'write', record: { ...record, trigger: request } };
  }
}

/**
 * Takes a request back. Resolves with its answer, which is that of a leader if one was faster. Undefined: the record has
 * none, as it is gone or a leader has answered another request since; so no request is left, and a leader may have claimed
 * it.
 *
 * A request that is not found may still arrive, if the outcome of its write is unknown. So the answer is written all the same:
 * that write of the request is then one on an earlier version, and applies no more.
 */
export class TriggerTakeBack implements LedgerChange<TriggerAnswer | undefined> {
  readonly job: string;

  constructor(
    private readonly ask: TriggerAsk,
    private readonly at: number,
  ) {
    this.job = ask.job;
  }

  decide(record: JobRecord | undefined): Verdict<TriggerAnswer | undefined> {
    const { id, by } = this.ask.request;
    if (record?.triggered?.id === id) return { kind: 'settled', result: record.triggered };
    if (record === undefined) return { kind: 'settled', result: undefined };
    const { trigger, ...others } = record;
    const isStanding = trigger?.id === id;
    if (!isStanding && !this.ask.isUnanswered(record))
      return { kind: 'settled', result: undefined };
    const answer = refusal(id, { at: this.at, by, refused: TAKEN_BACK });
    return {
      kind: 'write',
      record: { ...(isStanding ? others : record), triggered: answer },
    };
  }
}

/** The answer of whoever asked, and of no leader. */
const TAKEN_BACK = 'taken back, as no leader had answered';

/** True if whoever asked has answered it. */
export function isTakenBack({ state, refused }: TriggerAnswer): boolean {
  return state === 'refused' && refused === TAKEN_BACK;
}

/**
 * Records a run that was asked for, and removes the request by the same write: so it is started once, even with two processes that both
 * believe they are leader. `gone`: another process has claimed it, or the request was taken back.
 */
export class TriggerClaim implements LedgerChange<'won' | 'gone'> {
  readonly beginning: string;

  constructor(
    readonly job: string,
    private readonly request: TriggerRequest,
    private readonly run: ActiveRun,
  ) {
    this.beginning = run.id;
  }

  decide(record: JobRecord | undefined): Verdict<'won' | 'gone'> {
    const { request, run } = this;
    if (record?.active.some(({ id }) => id === run.id)) return { kind: 'settled', result: 'won' };
    if (record?.trigger?.id !== request.id) return { kind: 'settled', result: 'gone' };
    const { trigger: _trigger, ...others } = record;
    const answer = { id: request.id, at: run.startedAt, by: run.holderIdentity };
    return {
      kind: 'write',
      record: {
        ...others,
        active: [...record.active, run],
        triggered: { ...answer, state: 'claimed', run: run.id, refused: '' },
      },
    };
  }
}

/** Says of a run that was claimed that its handler was called. Whatever is known of it later stays. */
export class TriggerStarted implements LedgerChange<void> {
  constructor(
    readonly job: string,
    private readonly run: string,
  ) {}

  decide(record: JobRecord | undefined): Verdict<void> {
    const { triggered } = record ?? {};
    if (record === undefined || triggered?.run !== this.run || triggered.state !== 'claimed') {
      return { kind: 'settled', result: undefined };
    }
    return { kind: 'write', record: { ...record, ...answerOf(record, this.run, 'started') } };
  }
}

/** Answers a request for a run that is not to start, so that whoever asked hears why. */
export class TriggerRefusal implements LedgerChange<void> {
  constructor(
    readonly job: string,
    private readonly request: TriggerRequest,
    private readonly answer: Pick<TriggerAnswer, 'at' | 'by' | 'refused'>,
  ) {}

  decide(record: JobRecord | undefined): Verdict<void> {
    const { id } = this.request;
    if (record?.trigger?.id !== id) return { kind: 'settled', result: undefined };
    const { trigger: _trigger, ...others } = record;
    return { kind: 'write', record: { ...others, triggered: refusal(id, this.answer) } };
  }
}

function refusal(
  id: string,
  { at, by, refused }: Pick<TriggerAnswer, 'at' | 'by' | 'refused'>,
): TriggerAnswer {
  return { id, at, by, state: 'refused', run: '', refused };
}
