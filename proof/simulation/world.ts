import type { ObservedLease } from '../../lib/core/lease-record.js';
import type { LeaderElector } from '../../lib/elector/leader-elector.js';
import type { RolePlacement } from '../../lib/nest/role-placement.js';
import { copyOfLease } from '../../lib/elector/lock-requests.js';
import { BeliefHistory } from './belief-history.js';
import { EventQueue } from './event-queue.js';
import type { Hindrance } from './fault.js';
import { LeaseStore } from './lease-store.js';
import type { Link } from './link.js';
import { RandomStream } from './random-stream.js';
import type { Replica } from './replica.js';
import { RequestCheck } from './request-check.js';
import type { Scenario } from './scenario.js';
import { SimulatedKubelet } from './simulated-kubelet.js';
import { ObserverFault } from './simulated-application.js';
import { SuccessionCheck } from './succession-check.js';
import { noSituations, type Situation, type SituationCounts } from './sometimes.js';
import type { Trace } from './trace.js';

/** The rules of the judge, by name. Each is shown to bite by a mutant (`npm run simulate:mutants`). */
export const RULES = [
  'disjoint-beliefs',
  'token-order',
  'event-alternation',
  'belief-within-validity',
  'needless-revocation',
  'foreign-lease-respected',
  'coordinator-first',
  'release-after-drain',
  'drain-keeps-lease',
  'drain-ends',
  'needless-loss',
  'wall-flapping',
  'request-budget',
  'conflict-remembered',
  'repetition-slows-down',
  'handover-after-grace',
  'one-handover-an-episode',
  'handover-to-fit',
  'ineligible-lets-go',
  'ineligible-waits',
  'grant-in-time',
  'copies-told-apart',
  'renew-time-grows',
  'watch-budget',
  'nothing-after-stop',
  'stop-ends',
  'one-leader-after-healing',
  'calm-after-healing',
  'quiet-calm',
  'quick-handover',
  'quick-takeover',
  'takeover-by-proof',
  'quiet-takeover',
  'name-on-release-only',
  'grace-respected',
  'grace-ends',
  'named-first',
  'vain-name-repeated',
  'stale-name-ignored',
  'rest-respected',
  'move-is-due',
  'request-of-its-term',
  'request-once',
  'request-answered',
  'no-exception',
] as const;

export type Rule = (typeof RULES)[number];

export interface Violation {
  readonly rule: Rule;
  readonly at: number;
  readonly detail: string;
}

/** The code under test: production's, or a mutant of it. */
export interface Engine {
  readonly LeaderElector: typeof LeaderElector;
  readonly RolePlacement: typeof RolePlacement;
  /** What a mutant changes outside `lib/core`: in the lock or in the world. */
  readonly sabotage: Sabotage;
}

export interface Sabotage {
  /** Writes carry no `metadata.uid`. */
  readonly omitsUid?: true;
  /** Representations are told apart by whole seconds only. */
  readonly coarseTimingKey?: true;
}

/** What two copies of one process break that happened to draw the same digits for one write (R19). */
const TOLD_APART: readonly Rule[] = [
  'disjoint-beliefs',
  'belief-within-validity',
  'foreign-lease-respected',
];

const SETTLED = Promise.resolve();

/** Promise callbacks that one event may set off run within this many turns; `checkSettled` proves it. */
const TURNS = { answer: 1, lifecycle: 24 } as const;

/** One schedule's true time, store, network and processes, and what was found out about them. */
export class World {
  readonly queue = new EventQueue();
  readonly store = new LeaseStore();
  readonly beliefs = new BeliefHistory();
  readonly succession = new SuccessionCheck(this);
  readonly requests = new RequestCheck(this);
  readonly situations: SituationCounts = noSituations();
  readonly violations: Violation[] = [];
  readonly replicas: Replica[] = [];
  readonly links: Link[] = [];
  readonly kubelet: SimulatedKubelet;
  readonly placementCooldownMs: number;
  serverDownUntil = 0;
  /** For each candidate, until when something keeps it from renewing. */
  private readonly hindered: Record<Exclude<Hindrance, 'none'>, number>[] = [];
  /** The leader that was killed after the calm, if that is how the schedule ends. */
  crashed: Replica | undefined;
  /** The store was restored when it was killed. */
  restored = false;
  /** What it had sent was applied after its death. */
  ghostOfCrashed = false;
  /** Two copies of one process have sent the same bytes: one in a thousand pairs of writes of one millisecond does. */
  copiesAlike = false;
  timesAlike = 0;
  private turns = 0;

  constructor(
    readonly scenario: Scenario,
    readonly engine: Engine,
    readonly trace: Trace | undefined,
    private readonly checkSettled: boolean,
  ) {
    this.kubelet = new SimulatedKubelet(this);
    this.placementCooldownMs = this.stream('cool-downs').pick([1_000, 5_000, 30_000]);
  }

  get now(): number {
    return this.queue.now;
  }

  get healed(): boolean {
    return this.now >= this.scenario.healAt;
  }

  stream(name: string): RandomStream {
    return new RandomStream(this.scenario.seed, name);
  }

  count(situation: Situation): void {
    this.situations[situation]++;
  }

  violate(rule: Rule, detail: string, at = this.now): void {
    if (this.copiesAlike && TOLD_APART.includes(rule)) return;
    this.violations.push({ rule, at, detail });
    this.trace?.add(at, '!', `${rule}: ${detail}`);
  }

  /** Something keeps this candidate from renewing; without a slot, every one. */
  hinder(how: Hindrance, slot: number | undefined, until: number): void {
    if (how === 'none') return;
    for (let each = 0; each < this.scenario.candidates.length; each++) {
      if (slot !== undefined && slot !== each) continue;
      const known = (this.hindered[each] ??= {
        refusal: -Infinity,
        wall: -Infinity,
        any: -Infinity,
      });
      known[how] = Math.max(known[how], until);
    }
  }

  hinderedUntil(how: Exclude<Hindrance, 'none'>, slot: number): number {
    return this.hindered[slot]?.[how] ?? -Infinity;
  }

  /** Whoever resolves a promise that the elector may be waiting for says so. */
  promisesMove(where: keyof typeof TURNS): void {
    this.turns = Math.max(this.turns, TURNS[where]);
  }

  /** As a lock parses it: anew each time, so that nothing may depend on two of them being one object. */
  representation(lease: ObservedLease): ObservedLease {
    const copy = copyOfLease(this.scenario.coordinated ? withStrategy(lease) : lease);
    if (!this.engine.sabotage.coarseTimingKey) return copy;
    const { holderIdentity, renewTimeMicros, leaseTransitions } = lease.record;
    const seconds = Math.floor((renewTimeMicros ?? 0) / 1_000_000);
    return { ...copy, timingKey: `${lease.uid}|${holderIdentity}|${seconds}|${leaseTransitions}` };
  }

  /** Tells all watches that the store has changed. */
  announce(): void {
    for (const { alive, watch } of this.replicas) if (alive) watch?.changed();
  }

  async run(): Promise<void> {
    const { queue } = this;
    const { endAt } = this.scenario;
    for (let event = queue.next(endAt); event !== undefined; event = queue.next(endAt)) {
      const { owner } = event;
      if (owner !== null && !owner.accepts(event)) continue;
      try {
        event.happen();
      } catch (error) {
        if (error instanceof ObserverFault) error.thrown();
        else this.violate('no-exception', String((error as Error).stack ?? error));
      }
      for (; this.turns > 0; this.turns--) await SETTLED;
      if (this.checkSettled) await this.proveSettled();
      owner?.settled();
    }
    this.beliefs.endAll(endAt);
  }

  private async proveSettled(): Promise<void> {
    const before = this.activity();
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.activity() !== before) throw new Error('promises had not settled; raise the turns');
  }

  private activity(): number {
    return this.replicas.reduce((sum, { activity }) => sum + activity, 0);
  }
}

function withStrategy(lease: ObservedLease): ObservedLease {
  return { ...lease, record: { ...lease.record, coordination: { strategy: 'S' } } };
}
