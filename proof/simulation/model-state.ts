import type { ElectionConfig, ElectionState, LockRequest } from '../../lib/core/election-state.js';
import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';
import type { ReadOutcome, WriteOutcome } from '../../lib/core/resource-lock.js';

/** How much may happen in the model. Everything within these bounds does, in every order. */
export interface ModelBounds {
  readonly steps: number;
  /** Requests per candidate that reach the network; later ones are lost. */
  readonly requests: number;
  readonly duplicates: number;
  readonly losses: number;
  readonly stepDowns: number;
  /** Steps by which timers may be late, all in all. */
  readonly late: number;
  readonly watching: boolean;
  /** Milliseconds by which the clock of each candidate moves on in one step of true time. */
  readonly clocks: readonly [number, number];
  readonly durations: Pick<
    ElectionConfig,
    'leaseDurationMs' | 'renewDeadlineMs' | 'retryPeriodMs' | 'requestTimeoutMs'
  >;
}

export interface Flight {
  readonly node: number;
  readonly id: number;
  readonly request: LockRequest;
}

export interface Answer {
  readonly node: number;
  readonly id: number;
  readonly outcome: ReadOutcome | WriteOutcome;
  readonly verb: LockRequest['verb'];
}

export interface ModelNode {
  readonly state: ElectionState;
  readonly wakeAt: number;
  readonly sent: number;
}

export interface ModelState {
  readonly step: number;
  readonly nodes: readonly ModelNode[];
  readonly lease: ObservedLease | null;
  readonly history: readonly ObservedLease[];
  readonly flights: readonly Flight[];
  readonly answers: readonly Answer[];
  readonly duplicates: number;
  readonly losses: number;
  readonly stepDowns: number;
  readonly late: number;
  /** What was done to get here, last first. */
  readonly path: Path | null;
}

interface Path {
  readonly action: string;
  readonly before: Path | null;
}

export function done(state: ModelState, action: string): ModelState {
  return { ...state, path: { action, before: state.path } };
}

export function without<T>(items: readonly T[], one: T): T[] {
  return items.filter((item) => item !== one);
}

export function perform(
  state: ModelState,
  request: LockRequest,
): [ModelState, ReadOutcome | WriteOutcome] {
  const { lease } = state;
  if (request.verb === 'read') {
    return [state, lease === null ? { kind: 'absent' } : { kind: 'found', stored: lease }];
  }
  const expected = request.verb === 'create' ? undefined : request.expected.revision;
  if (lease?.revision !== expected) return [state, { kind: 'conflict' }];
  const next = stored(request.record, (lease?.revision ?? 0n) + 1n);
  const history = [...state.history, next];
  return [
    { ...state, lease: next, history },
    { kind: 'applied', stored: next },
  ];
}

function stored(record: LeaseRecord, revision: bigint): ObservedLease {
  const { holderIdentity, renewTimeMicros, leaseTransitions } = record;
  const timingKey = `${holderIdentity}|${renewTimeMicros}|${leaseTransitions}`;
  return { record, uid: 'uid', revision, timingKey };
}
