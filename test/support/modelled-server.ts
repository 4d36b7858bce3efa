import type { ElectionConfig, LockRequest } from '../../lib/core/election-state.js';
import type { ReadOutcome, WriteOutcome } from '../../lib/core/resource-lock.js';
import type { ObservedLease } from '../../lib/core/lease-record.js';
import { MachineRun, representation, unclear, unreachable } from './machine-run.js';

/** How the server treats the request that comes at this time; its number counts from 0. */
export type Treatment = (at: number, number: number) => Fate;

type Fate =
  /** Carried out and answered after so many milliseconds, whether somebody still waits for it or not. */
  | number
  /** Neither carried out nor answered. */
  | 'lost'
  /** No connection comes about; the client notices after a second. */
  | 'no-connection';

const CONNECT_LIMIT_MS = 1_000;

interface Flight {
  readonly id: number;
  readonly request: LockRequest;
  readonly carriedOutAt: number;
  readonly cutAt: number;
  readonly connects: boolean;
}

interface Reign {
  readonly from: number;
  readonly to: number;
}

/** One candidate on the production machine, and a server whose only trait is how long it takes; virtual time. */
export class ModelledServer {
  readonly run: MachineRun;
  lease: ObservedLease | null = null;
  readonly sentAt: number[] = [];
  private readonly reigns: Reign[] = [];
  private grantedAt: number | undefined;
  private flight: Flight | undefined;
  /** Carried out though its sender no longer waits. */
  private ghosts: Flight[] = [];
  private told = 0;
  private revision = 100;

  constructor(
    private readonly treatment: Treatment,
    change: Partial<ElectionConfig> = {},
  ) {
    this.run = new MachineRun(change);
    this.run.random = 0.5;
  }

  start(): this {
    this.run.start();
    this.heed();
    return this;
  }

  get now(): number {
    return this.run.now;
  }

  get isLeader(): boolean {
    return this.run.isLeader();
  }

  get terms(): number {
    return this.run.of('grant').length;
  }

  /** Terms that ended though nobody wanted them to. */
  get lost(): number {
    return this.run.of('revoke').length;
  }

  /** The share of this time in which somebody led, in percent. */
  led(from: number, to = this.now): number {
    let ms = 0;
    const current = this.grantedAt === undefined ? [] : [{ from: this.grantedAt, to }];
    for (const reign of [...this.reigns, ...current]) {
      ms += Math.max(0, Math.min(reign.to, to) - Math.max(reign.from, from));
    }
    return (100 * ms) / (to - from);
  }

  /** When a term next began, at or after this time. */
  ledFrom(time: number): number {
    const next = [...this.reigns.map(({ from }) => from), this.grantedAt ?? Infinity];
    return next.find((from) => from >= time) ?? Infinity;
  }

  until(end: number): this {
    for (let at = this.next(); at <= end; at = this.next()) this.step(at);
    this.run.at(end);
    return this;
  }

  say(event: Parameters<MachineRun['say']>[0]): this {
    this.run.say(event);
    this.heed();
    return this;
  }

  private next(): number {
    const { flight, ghosts, run } = this;
    const answered = flight === undefined ? Infinity : Math.min(flight.carriedOutAt, flight.cutAt);
    const haunted = Math.min(...ghosts.map(({ carriedOutAt }) => carriedOutAt));
    return Math.max(run.now, Math.min(answered, haunted, run.wakeAt));
  }

  private step(at: number): void {
    const { flight, run } = this;
    run.at(at);
    const ghost = this.ghosts.find(({ carriedOutAt }) => carriedOutAt <= at);
    if (ghost !== undefined) {
      this.ghosts = this.ghosts.filter((other) => other !== ghost);
      this.perform(ghost.request);
      return;
    }
    if (flight !== undefined && flight.carriedOutAt <= at) {
      this.flight = undefined;
      this.answer(flight, this.perform(flight.request));
    } else if (flight !== undefined && flight.cutAt <= at) {
      this.giveUp(flight);
      this.answer(flight, this.silence(flight));
    } else run.tick();
    this.heed();
  }

  private giveUp(flight: Flight): void {
    this.flight = undefined;
    if (flight.carriedOutAt < Infinity) this.ghosts.push(flight);
  }

  /** Does what the machine has decided since the last time. */
  private heed(): void {
    const { run } = this;
    for (; this.told < run.effects.length; this.told++) {
      const effect = run.effects[this.told]!;
      if (effect.kind === 'abandon-request' && this.flight?.id === effect.id) {
        this.giveUp(this.flight);
      }
      if (effect.kind === 'request') this.send(effect.id, effect.request, effect.timeoutMs);
      if (effect.kind === 'grant') this.grantedAt = run.now;
      if (effect.kind === 'revoke') {
        this.reigns.push({ from: this.grantedAt!, to: run.now });
        this.grantedAt = undefined;
        if (effect.reason === 'renew-deadline') run.say({ kind: 'drained', term: effect.term });
      }
    }
  }

  private send(id: number, request: LockRequest, timeoutMs: number): void {
    const { now } = this.run;
    const fate = this.treatment(now, this.sentAt.length);
    this.sentAt.push(now);
    this.flight = {
      id,
      request,
      carriedOutAt: typeof fate === 'number' ? now + fate : Infinity,
      cutAt: now + (fate === 'no-connection' ? Math.min(CONNECT_LIMIT_MS, timeoutMs) : timeoutMs),
      connects: fate !== 'no-connection',
    };
  }

  private answer({ id, request }: Flight, outcome: ReadOutcome | WriteOutcome): void {
    this.run.say(
      request.verb === 'read'
        ? { kind: 'read-done', id, outcome: outcome as ReadOutcome }
        : { kind: 'write-done', id, outcome: outcome as WriteOutcome },
    );
  }

  private silence({ request, connects }: Flight): ReadOutcome | WriteOutcome {
    if (request.verb === 'read') return { kind: 'failed', error: connects ? unclear : unreachable };
    return connects
      ? { kind: 'unknown', error: unclear }
      : { kind: 'not-applied', error: unreachable };
  }

  private perform(request: LockRequest): ReadOutcome | WriteOutcome {
    const { lease } = this;
    if (request.verb === 'read')
      return lease === null ? { kind: 'absent' } : { kind: 'found', stored: lease };
    const expected = request.verb === 'replace' ? request.expected.revision : undefined;
    if (lease?.revision !== expected) return { kind: 'conflict' };
    this.revision += 1;
    this.lease = representation(request.record, this.revision);
    return { kind: 'applied', stored: this.lease };
  }
}
