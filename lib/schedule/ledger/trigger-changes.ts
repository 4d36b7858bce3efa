import type { ActiveRun, JobRecord, TriggerRequest } from './job-record.js';
import type { LedgerChange, Verdict } from './ledger-changes.js';

/**
 * What came of asking for a run. `stored`: the leader is to start it. `unknown`: the fleet has no such job. `busy`: it has
 * been asked for another one, which it has not started yet.
 */
export type TriggerAsked = 'stored' | 'unknown' | 'busy';

/** Asks the leader for one run of a job now; any process may, a command line among them. */
export class TriggerAsk implements LedgerChange<TriggerAsked> {
  constructor(
    readonly job: string,
    private readonly request: TriggerRequest,
  ) {}

  decide(record: JobRecord | undefined): Verdict<TriggerAsked> {
    const { request } = this;
    if (record === undefined) return { kind: 'settled', result: 'unknown' };
    const { trigger, triggered } = record;
    const isStored = trigger?.id === request.id || triggered?.id === request.id;
    if (isStored) return { kind: 'settled', result: 'stored' };
    const isBusy = trigger !== undefined && trigger.notAfter > request.at;
    if (isBusy) return { kind: 'settled', result: 'busy' };
    return { kind: 'write', record: { ...record, trigger: request } };
  }
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
        triggered: { ...answer, run: run.id, refused: '' },
      },
    };
  }
}

/** Answers a request for a run that is not to start, so that whoever asked hears why. */
export class TriggerRefusal implements LedgerChange<void> {
  constructor(
    readonly job: string,
    private readonly request: TriggerRequest,
    private readonly answer: {
      readonly at: number;
      readonly by: string;
      readonly refused: string;
    },
  ) {}

  decide(record: JobRecord | undefined): Verdict<void> {
    const { id } = this.request;
    if (record?.trigger?.id !== id) return { kind: 'settled', result: undefined };
    const { trigger: _trigger, ...others } = record;
    return {
      kind: 'write',
      record: { ...others, triggered: { ...this.answer, id, run: '' } },
    };
  }
}
