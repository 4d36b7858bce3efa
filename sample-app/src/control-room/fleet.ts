import {
  BLOCK_MS,
  type FleetAction,
  type FleetEvent,
  type FleetView,
  type ReplicaAction,
} from './fleet-view.js';
import type { Ground } from './ground.js';
import { Lane, type LaneObserver } from './lane.js';
import type { ReplicaMessage } from './messages.js';
import { TermBook } from './term-book.js';
import { ThawKeeper } from './thaw-keeper.js';
import { TickBook } from './tick-book.js';

export interface FleetPrinter {
  /** `isLeader`: as it was when the line was printed. */
  line(name: string, isLeader: boolean, line: string): void;
  leads(name: string, pid: number): void;
}

const MOST_REPLICAS = 6;
const KEPT_EVENTS = 60;
const SHOWN_TICKS_MS = 120_000;

/** All replicas, what they say, and what is done to them. */
export class Fleet implements LaneObserver {
  private readonly lanes: Lane[] = [];
  private readonly names = new Map<string, string>();
  private readonly nameOf = (holder: string): string =>
    this.names.get(holder) ?? holder.replace(/_[0-9a-f-]{36}$/, '');
  private readonly terms = new TermBook(this.nameOf);
  private readonly ticks = new TickBook(this.nameOf);
  private readonly leading = new Set<Lane>();
  private readonly events: FleetEvent[] = [];
  private readonly listeners = new Set<() => void>();
  private readonly keeper = new ThawKeeper();
  private countEvents = 0;
  private isClosing = false;

  constructor(
    private readonly ground: Ground,
    private readonly leaseDurationMs: number,
    private readonly printer: FleetPrinter,
    private readonly clock: () => number = Date.now,
  ) {}

  async add(): Promise<void> {
    const connection = await this.ground.connect();
    if (this.isClosing) return;
    const lane = new Lane(`replica-${this.lanes.length + 1}`, connection, this);
    this.lanes.push(lane);
    this.start(lane);
  }

  /** Calls it whenever the view may have changed. Returns what ends that. */
  listen(changed: () => void): () => void {
    this.listeners.add(changed);
    return () => this.listeners.delete(changed);
  }

  /** Returns why it cannot be done; undefined once it is under way. */
  async act(action: FleetAction): Promise<string | undefined> {
    if (this.isClosing) return 'The sample is stopping.';
    if (action.action === 'add') {
      if (!this.canAdd) return `There are ${MOST_REPLICAS} replicas already.`;
      await this.add();
      this.say('plain', `Added ${this.lanes.at(-1)!.name}.`);
      return undefined;
    }
    const lane = this.lanes.find(({ name }) => name === action.replica);
    if (lane === undefined) return `There is no replica ${JSON.stringify(action.replica)}.`;
    const { can, state } = lane.view;
    if (!can.includes(action.action)) return `${lane.name} is ${state}.`;
    this.perform(lane, action.action);
    return undefined;
  }

  /** Resolves when each has ended. */
  async close(): Promise<void> {
    this.isClosing = true;
    await Promise.all(this.lanes.map((lane) => lane.close()));
  }

  view(): FleetView {
    const now = this.clock();
    return {
      now,
      lock: this.ground.lock,
      leaseDurationMs: this.leaseDurationMs,
      canAdd: this.canAdd,
      replicas: this.lanes.map(({ view }) => view),
      leader: this.terms.leader,
      leaderlessSince: this.terms.leaderlessSince,
      counts: this.ticks.counts(now),
      ticks: this.ticks.view(now - SHOWN_TICKS_MS, now),
      terms: this.terms.view(),
      events: this.events,
    };
  }

  printed(lane: Lane, line: string): void {
    this.printer.line(lane.name, this.leading.has(lane), line);
  }

  heard(lane: Lane, message: ReplicaMessage): void {
    const { identity } = lane;
    switch (message.kind) {
      case 'leadership':
        this.hearLeadership(lane, message);
        break;
      case 'ran':
        this.ticks.ran(identity, message);
        break;
      case 'missed':
        this.ticks.missed(message.tick);
        break;
      case 'recorded':
        this.ticks.recorded(message);
        break;
      case 'unblocked':
        this.terms.moves(identity);
        this.say('plain', `The event loop of ${lane.name} turns again.`);
        break;
      case 'listening':
        break;
    }
    this.changed();
  }

  ended(lane: Lane, how: string, at: number): void {
    const wasLeading = this.leading.delete(lane);
    this.printer.line(lane.name, wasLeading, `has ended (${how})`);
    this.terms.ended(lane.identity, at, how);
    const isOrderly = how === 'SIGTERM' || how === 'exit code 0';
    this.say(isOrderly ? 'plain' : 'bad', `${lane.name} has ended (${how}).`);
  }

  private hearLeadership(
    lane: Lane,
    { at, term, reason }: Extract<ReplicaMessage, { kind: 'leadership' }>,
  ): void {
    if (term === null) {
      if (this.leading.delete(lane)) {
        this.terms.revoked(lane.identity, at, reason ?? '');
        this.say('warning', `${lane.name} no longer leads: ${reason}.`);
      }
      return;
    }
    if (this.leading.has(lane)) return;
    this.leading.add(lane);
    this.printer.leads(lane.name, lane.pid!);
    this.terms.granted(lane.identity, term, at);
    const gapMs = this.terms.view().at(-1)!.gapMs;
    const after = gapMs === null ? '' : ` after ${Math.round(gapMs)} ms without a leader`;
    this.say('good', `${lane.name} became leader (term ${term})${after}.`);
  }

  private perform(lane: Lane, action: ReplicaAction): void {
    const { name, identity, pid } = lane;
    switch (action) {
      case 'kill':
        this.say('bad', `kill -9 ${pid}: ${name} ends at once.`);
        return lane.kill();
      case 'stop':
        this.say('plain', `kill ${pid}: ${name} ends its work, releases the lease and stops.`);
        return lane.stop();
      case 'freeze':
        lane.freeze();
        this.terms.stoodStill(identity, this.clock());
        return this.say('warning', `kill -STOP ${pid}: ${name} stands still.`);
      case 'thaw':
        lane.thaw();
        if (lane.view.state !== 'blocked') this.terms.moves(identity);
        return this.say('plain', `kill -CONT ${pid}: ${name} continues.`);
      case 'cut':
        lane.cut();
        return this.say('warning', `The network of ${name} is cut: nothing reaches the lock.`);
      case 'heal':
        lane.heal();
        return this.say('plain', `The network of ${name} works again.`);
      case 'block':
        lane.block(BLOCK_MS);
        this.terms.stoodStill(identity, this.clock());
        return this.say(
          'warning',
          `The event loop of ${name} is blocked for ${BLOCK_MS / 1_000} s.`,
        );
      case 'start':
        this.start(lane);
        return this.say('plain', `Started ${name} again.`);
    }
  }

  private start(lane: Lane): void {
    lane.start();
    this.keeper.keep(lane.pid);
    this.names.set(lane.identity, lane.name);
    this.changed();
  }

  private get canAdd(): boolean {
    return this.lanes.length < MOST_REPLICAS;
  }

  private say(tone: FleetEvent['tone'], text: string): void {
    this.events.push({ id: ++this.countEvents, at: this.clock(), tone, text });
    if (this.events.length > KEPT_EVENTS) this.events.shift();
    this.changed();
  }

  private changed(): void {
    for (const changed of this.listeners) changed();
  }
}
