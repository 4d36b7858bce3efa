import { isLeader, transition } from '../../lib/core/election-machine.js';
import {
  type ElectionConfig,
  type ElectionEffect,
  type ElectionEvent,
  type ElectionState,
  INITIAL_STATE,
  type Tenure,
  type WithdrawalReason,
} from '../../lib/core/election-state.js';
import { LockRequestError } from '../../lib/core/errors.js';
import type { ReadOutcome, WriteOutcome } from '../../lib/core/resource-lock.js';
import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';

type RequestEffect = Extract<ElectionEffect, { kind: 'request' }>;

export const CONFIG: ElectionConfig = {
  role: 'role',
  identity: 'me',
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2_000,
  requestTimeoutMs: 3_000,
  drainTimeoutMs: 20_000,
  releaseOnShutdown: true,
  strict: false,
  ineligibleGraceMs: 5_000,
};

/** A record by another candidate that holds the lease. */
export function heldBy(holderIdentity: string, change: Partial<LeaseRecord> = {}): LeaseRecord {
  return {
    holderIdentity,
    leaseDurationSeconds: 15,
    acquireTimeMicros: 1,
    renewTimeMicros: 1,
    leaseTransitions: 4,
    releasedTransitions: null,
    ...change,
  };
}

export function representation(
  record: LeaseRecord,
  revision: number | bigint,
  uid = 'uid-1',
): ObservedLease {
  const { releasedTransitions: _, memberUid: _member, crowd: _crowd, ...rest } = record;
  const { successor: _s, gaveUp: _g, container: _c, coordination: _n, ...asked } = rest;
  const { request: _request, answer: _answer, address: _address, ...timed } = asked;
  return {
    record,
    uid,
    revision: BigInt(revision),
    timingKey: JSON.stringify([uid, timed]),
  };
}

export const unclear = new LockRequestError('no answer', { reason: 'unclear' });
export const unreachable = new LockRequestError('refused', { reason: 'unreachable' });
export const rejected = (retryAfterMs?: number): LockRequestError =>
  new LockRequestError('rejected', {
    reason: 'rejected',
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });

/** Runs the machine alone: says what happened and when, and looks at what it decides. */
export class MachineRun {
  state: ElectionState = INITIAL_STATE;
  now = 0;
  suspendedMs = 0;
  wallShiftMs = 0;
  random = 0;
  /** Everything decided so far but the wake-ups. */
  readonly effects: ElectionEffect[] = [];
  wakeAt = Infinity;
  private readonly config: ElectionConfig;

  constructor(change: Partial<ElectionConfig> = {}) {
    this.config = { ...CONFIG, ...change };
  }

  at(now: number): this {
    this.now = now;
    return this;
  }

  say(event: ElectionEvent): this {
    const wallMicros = 1_000_000_000_000 + (this.now + this.wallShiftMs) * 1_000;
    const at = {
      now: this.now,
      wallMicros,
      suspendedMs: this.suspendedMs,
      wallAfterMicros: wallMicros,
      random: this.random,
    };
    const { state, effects } = transition(this.state, event, at, this.config);
    this.state = state;
    for (const effect of effects) {
      if (effect.kind === 'wake') this.wakeAt = effect.at;
      else this.effects.push(effect);
    }
    return this;
  }

  start(): this {
    return this.say({ kind: 'start' });
  }

  tick(): this {
    return this.say({ kind: 'tick' });
  }

  /** Goes to the instant the machine asked to be woken at. */
  wake(): this {
    if (this.wakeAt === Infinity) throw new Error('the machine does not want to be woken');
    return this.at(Math.max(this.now, this.wakeAt)).tick();
  }

  withdraw(reason: WithdrawalReason, cooldownMs = 0): this {
    return this.say({ kind: 'withdraw', reason, cooldownMs });
  }

  watch(lease: ObservedLease | null, revision = lease?.revision ?? 0n): this {
    return this.say({ kind: 'watch-changed', lease, revision });
  }

  /** The request in flight. */
  get request(): RequestEffect {
    const { pending } = this.state;
    if (pending === null) throw new Error('no request is in flight');
    return this.effects.findLast(
      (effect): effect is RequestEffect => effect.kind === 'request' && effect.id === pending.id,
    )!;
  }

  get written(): LeaseRecord {
    const { request } = this.request;
    if (request.verb === 'read') throw new Error('a read is in flight, not a write');
    return request.record;
  }

  reads(outcome: ReadOutcome | ObservedLease | null): this {
    const answer: ReadOutcome =
      outcome === null
        ? { kind: 'absent' }
        : 'kind' in outcome
          ? outcome
          : { kind: 'found', stored: outcome };
    return this.say({ kind: 'read-done', id: this.request.id, outcome: answer });
  }

  writes(outcome: WriteOutcome): this {
    return this.say({ kind: 'write-done', id: this.request.id, outcome });
  }

  /** The store has applied the write in flight as this revision. */
  applied(revision: number, uid = 'uid-1'): this {
    return this.writes({ kind: 'applied', stored: representation(this.written, revision, uid) });
  }

  isLeader(at = this.now): boolean {
    return isLeader(this.state, at);
  }

  /** The tenure, in the stage that it must be in. */
  in<S extends Tenure['stage']>(stage: S): Extract<Tenure, { stage: S }> {
    const { tenure } = this.state;
    if (tenure?.stage === stage) return tenure as Extract<Tenure, { stage: S }>;
    throw new Error(`the stage is ${tenure?.stage ?? 'none'}, not ${stage}`);
  }

  of<K extends ElectionEffect['kind']>(kind: K): Extract<ElectionEffect, { kind: K }>[] {
    return this.effects.filter(
      (effect): effect is Extract<ElectionEffect, { kind: K }> => effect.kind === kind,
    );
  }

  /** The requests sent so far, by purpose. */
  get purposes(): string[] {
    return this.of('request').map(({ purpose }) => purpose);
  }

  /** A leader whose acquiring write was sent at 0 and is revision 10; its next renewal is due at 2,000. */
  static leading(change: Partial<ElectionConfig> = {}): MachineRun {
    return new MachineRun(change).start().reads(null).applied(10);
  }

  /** A standby that has just seen another leader's record, revision 10, and has a watch. */
  static standingBy(change: Partial<ElectionConfig> = {}, record = heldBy('other')): MachineRun {
    const run = new MachineRun(change).start().reads(representation(record, 10));
    run.say({ kind: 'watch-opened' }).reads(representation(record, 10));
    return run;
  }
}
