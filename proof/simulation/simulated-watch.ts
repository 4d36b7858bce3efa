import type { ObservedLease } from '../../lib/core/lease-record.js';
import type { LeaseWatch, LeaseWatchObserver } from '../../lib/core/resource-lock.js';
import type { SimulatedEvent } from './event-queue.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

/** A watch comes back this much later, and twice as much each time that nothing was heard, up to a lease duration. */
const REOPEN_MS = 1_000;

/** One process's watch: events come in order and late, and now and then lost, repeated or out of order. */
export class SimulatedWatch implements LeaseWatch {
  isClosed = false;
  private attempt = 0;
  private attached = false;
  private isOpen = false;
  private heardAt = 0;
  private lastDeliveryAt = 0;
  private silence: SimulatedEvent | undefined;
  private openedInVain = 0;

  constructor(
    private readonly world: World,
    private readonly replica: Replica,
    private readonly observer: LeaseWatchObserver,
    private readonly options: {
      readonly silenceLimitMs: number;
      readonly delay: () => number;
      readonly asKept: (lease: ObservedLease) => ObservedLease;
    },
  ) {}

  begin(): void {
    const attempt = ++this.attempt;
    const { world, replica } = this;
    replica.does('open-watch');
    world.queue.after(this.options.delay(), null, () => {
      if (attempt !== this.attempt || this.isClosed) return;
      const { link } = replica;
      const { now } = world;
      const unreachable =
        now < world.serverDownUntil ||
        link.suffers('drop-requests', now) ||
        link.suffers('hold-requests', now) ||
        link.suffers('refuse', now);
      if (unreachable) return this.interrupt();
      this.attached = true;
      this.deliver('opening', () => {
        this.isOpen = true;
        this.observer.opened();
      });
      if (world.scenario.network.watchSendsState && world.store.lease !== null) this.changed();
    });
    this.restartSilence();
  }

  close(): void {
    this.isClosed = true;
    this.detach();
  }

  /** The connection ends; the watch opens a new one. */
  interrupt(): void {
    if (this.isClosed) return;
    this.detach();
    const attempt = ++this.attempt;
    this.world.queue.after(this.options.delay(), this.replica, () => {
      if (attempt !== this.attempt || this.isClosed) return;
      if (this.isOpen) this.observer.interrupted();
      this.isOpen = false;
      const { leaseDurationMs } = this.replica.config;
      const pauseMs = Math.min(REOPEN_MS * 2 ** this.openedInVain++, leaseDurationMs);
      this.world.queue.after(pauseMs, this.replica, () => {
        if (attempt === this.attempt && !this.isClosed) this.begin();
      });
    });
  }

  /** The store has changed. */
  changed(): void {
    const { world, replica } = this;
    if (!this.attached || this.isClosed) return;
    const { now } = world;
    const { lease, revision } = world.store;
    if (replica.link.suffers('watch-gap', now) || replica.link.suffers('drop-responses', now)) {
      return world.count('watch-gap');
    }
    this.report(lease, revision, replica.link.suffers('watch-reorder', now));
    if (replica.link.suffers('watch-replay', now)) {
      const { history } = world.store;
      const old = history[Math.floor(replica.random.next() * history.length)];
      if (old !== undefined) this.report(old.lease, old.revision, true);
    }
  }

  /** The process that wrote this timing key is gone. */
  holderDied(timingKey: string): void {
    if (!this.attached || this.isClosed) return;
    this.world.count('death-reported');
    this.deliver('change', () => this.observer.holderDied?.(timingKey));
  }

  private report(lease: ObservedLease | null, revision: bigint, outOfOrder: boolean): void {
    const copy = lease === null ? null : this.world.representation(lease);
    if (outOfOrder && revision < this.world.store.revision) this.world.count('old-watch-event');
    const tell = (): void => {
      this.replica.hears(revision);
      this.observer.changed(copy === null ? null : this.options.asKept(copy), revision);
    };
    this.deliver('change', tell, outOfOrder);
  }

  private deliver(what: 'opening' | 'change', report: () => void, outOfOrder = false): void {
    const { world, replica } = this;
    const attempt = this.attempt;
    const held = replica.link.suffers('hold-responses', world.now)
      ? replica.link.endOf('hold-responses') - world.now
      : 0;
    const delay = held + this.options.delay() + (outOfOrder ? replica.random.next() * 2_000 : 0);
    const at = outOfOrder ? world.now + delay : Math.max(this.lastDeliveryAt, world.now + delay);
    if (!outOfOrder) this.lastDeliveryAt = at;
    world.queue.at(at, replica, () => {
      if (attempt !== this.attempt || this.isClosed) return;
      this.heardAt = replica.clock.now();
      if (what === 'change') this.openedInVain = 0;
      replica.activity++;
      report();
    });
  }

  private detach(): void {
    this.attempt++;
    this.attached = false;
    if (this.silence !== undefined) this.silence.cancelled = true;
  }

  private restartSilence(): void {
    if (this.silence !== undefined) this.silence.cancelled = true;
    this.heardAt = this.replica.clock.now();
    this.awaitSilence(this.heardAt + this.options.silenceLimitMs);
  }

  private awaitSilence(until: number): void {
    const { world, replica } = this;
    const { clock } = replica;
    this.silence = world.queue.at(clock.trueTimeOf(until) + 1, replica, () => {
      const limit = this.heardAt + this.options.silenceLimitMs;
      if (clock.now() < limit) return this.awaitSilence(limit);
      this.interrupt();
    });
  }
}
