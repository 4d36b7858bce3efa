import { type LeaseRecord, nextTransitions } from '../../lib/core/lease-record.js';
import type { ApplyResult } from './lease-store.js';
import { longest } from './scenario.js';
import type { World } from './world.js';

/** How it leaves: by no release, by client-go's, or with the mark of an older version of this library (R13). */
export type Departure = 'none' | 'released' | 'marked';

/**
 * Another client of the same lease, with the rules and the shapes of client-go: it waits a lease out before it takes
 * it, counts a transition when the holder changes, releases by a record of one second, and writes back what it does not
 * understand. Its requests take no time, so its belief begins and ends exactly with its writes.
 */
export class Stranger {
  private readonly leaseDurationMs: number;
  private readonly renewDeadlineMs: number;
  private readonly retryPeriodMs: number;
  private readonly identity: string;
  private observed: { readonly timingKey: string; readonly since: number } | undefined;
  private validUntil = 0;
  private held: { readonly number: number; readonly fencingToken: bigint } | undefined;

  constructor(
    private readonly world: World,
    /** Below zero: no replica. */
    private readonly process: number,
    private readonly until: number,
    private readonly departure: Departure,
  ) {
    const { candidates } = world.scenario;
    this.identity = `stranger ${-process}`;
    this.leaseDurationMs = longest(candidates, 'leaseDurationMs');
    this.renewDeadlineMs = longest(candidates, 'renewDeadlineMs');
    this.retryPeriodMs = longest(candidates, 'retryPeriodMs');
  }

  poll(): void {
    const { world } = this;
    if (world.now >= this.until) return this.end();
    // Its process ends when its renew deadline has passed.
    if (this.held !== undefined && world.now >= this.validUntil) return this.lose();
    if (world.now >= world.serverDownUntil) this.renewOrTake();
    const next = Math.min(world.now + this.retryPeriodMs, this.until);
    world.queue.at(next, null, () => this.poll());
  }

  private renewOrTake(): void {
    const record = this.world.store.lease?.record;
    const isHolder = record?.holderIdentity === this.identity;
    if (!isHolder) this.lose();
    if (this.held !== undefined) return this.write(this.held.number, record!.acquireTimeMicros);
    if (!this.mayTake()) return;
    this.write(nextTransitions(record?.leaseTransitions ?? 0), null);
  }

  private mayTake(): boolean {
    const { lease } = this.world.store;
    if (lease === null || lease.record.holderIdentity === '') return true;
    if (this.observed?.timingKey !== lease.timingKey) {
      this.observed = { timingKey: lease.timingKey, since: this.world.now };
    }
    const promisedMs = (lease.record.leaseDurationSeconds ?? 0) * 1_000;
    const waitsMs = Math.max(this.leaseDurationMs, promisedMs);
    return this.world.now >= this.observed.since + waitsMs;
  }

  private write(leaseTransitions: number, acquiredMicros: number | null): void {
    const { world } = this;
    const nowMicros = this.nowMicros();
    const result = this.put({
      holderIdentity: this.identity,
      leaseDurationSeconds: this.leaseDurationMs / 1_000,
      acquireTimeMicros: acquiredMicros ?? nowMicros,
      renewTimeMicros: nowMicros,
      leaseTransitions,
      releasedTransitions: null,
    });
    if (result !== 'applied') return;
    if (this.held === undefined) world.count('stranger-led');
    this.held ??= { number: leaseTransitions, fencingToken: world.store.revision };
    this.validUntil = world.now + this.renewDeadlineMs;
    world.beliefs.holds(this.process, world.now, this.validUntil, this.held);
  }

  private end(): void {
    const { held } = this;
    const isHolder = this.world.store.lease?.record.holderIdentity === this.identity;
    this.lose();
    if (held === undefined || !isHolder || this.departure === 'none') return;
    const nowMicros = this.nowMicros();
    this.put({
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTimeMicros: nowMicros,
      renewTimeMicros: nowMicros,
      leaseTransitions: held.number,
      releasedTransitions: this.departure === 'marked' ? held.number : null,
    });
  }

  private lose(): void {
    this.held = undefined;
    this.world.beliefs.ends(this.process, this.world.now);
  }

  private put(own: LeaseRecord): ApplyResult {
    const { store, now, trace, succession } = this.world;
    const { lease } = store;
    const { crowd, successor, gaveUp, container, request, answer } = lease?.record ?? {};
    const record = { ...own, crowd, successor, gaveUp, container, request, answer };
    const result =
      lease === null
        ? store.create(record, null, now)
        : store.replace(record, { uid: lease.uid, revision: lease.revision }, null, now);
    trace?.add(now, 'store', `${this.identity} writes "${record.holderIdentity}": ${result}`);
    if (result === 'applied') {
      succession.noteFollowed(lease?.record);
      this.world.announce();
    }
    return result;
  }

  private nowMicros(): number {
    return 1_767_225_600_000_000 + Math.floor(this.world.now * 1_000);
  }
}
