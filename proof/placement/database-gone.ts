import type {
  ElectionConfig,
  ElectionEvent,
  ElectionState,
} from '../../lib/core/election-state.js';
import type { transition as libraryTransition } from '../../lib/core/election-machine.js';
import { resolveElectionOptions } from '../../lib/core/election-options.js';
import { INITIAL_STATE } from '../../lib/core/election-state.js';
import type { ReadOutcome, WriteOutcome } from '../../lib/core/resource-lock.js';
import type { SourcePatch } from '../mutants/mutant-build.js';
import { EventQueue, type SimulatedEvent } from '../simulation/event-queue.js';
import { LeaseStore } from '../simulation/lease-store.js';
import { RandomStream } from '../simulation/random-stream.js';

const HOUR_MS = 3_600_000;
/** From a request to its answer; a watch tells as fast. */
const ROUND_TRIP_MS = 10;

export interface HourWithoutDatabase {
  readonly handovers: number;
  readonly ledPercent: number;
}

/** The rule that was refuted: an unfit leader hands over in every term, to whoever is Ready, and waits like all others. */
export const NAIVE_RULE: readonly SourcePatch[] = [
  {
    file: 'core/holding.ts',
    from: '  step.state.successorUid = null;',
    to: `  step.state.successorUid = null;
  step.state.eligibility = { ...step.state.eligibility, isEligible: true, since: step.now, hasHandedOver: false };`,
  },
  {
    file: 'core/eligibility.ts',
    from: "if (record?.holderIdentity === '' && record.leaseTransitions === letGoTerm) {",
    to: "if (record?.holderIdentity === 'nobody' && record.leaseTransitions === letGoTerm) {",
  },
];

/**
 * An hour in which the database is gone for all replicas, while each of their pods is Ready: every one is unfit and takes the
 * others for fit. The first has led until then.
 */
export function hourWithoutDatabase(
  replicas: number,
  ineligibleGraceMs: number,
  transition: typeof libraryTransition,
): HourWithoutDatabase {
  const queue = new EventQueue();
  const store = new LeaseStore();
  const all: Candidate[] = Array.from(
    { length: replicas },
    (_, id) => new Candidate(id, { queue, store, transition, ineligibleGraceMs, all: () => all }),
  );
  const until = (at: number): void => {
    for (let event = queue.next(at); event !== undefined; event = queue.next(at)) event.happen();
  };
  for (const candidate of all) candidate.say({ kind: 'start' });
  until(60_000);
  const before = all.map(({ ledMs }) => ledMs).reduce((sum, ms) => sum + ms);
  for (const candidate of all) {
    candidate.say({ kind: 'eligibility', isEligible: false, mayHandOver: true });
  }
  until(60_000 + HOUR_MS);
  const led = all.map(({ ledMs }) => ledMs).reduce((sum, ms) => sum + ms) - before;
  const handovers = all.reduce((sum, candidate) => sum + candidate.handovers, 0);
  return { handovers, ledPercent: Math.round((led / HOUR_MS) * 1_000) / 10 };
}

interface Surroundings {
  readonly queue: EventQueue;
  readonly store: LeaseStore;
  readonly transition: typeof libraryTransition;
  readonly ineligibleGraceMs: number;
  readonly all: () => readonly Candidate[];
}

/** The machine of one process, with a store that always answers. */
class Candidate {
  handovers = 0;
  private state: ElectionState = INITIAL_STATE;
  private readonly config: ElectionConfig;
  private readonly random: RandomStream;
  private wake: SimulatedEvent | undefined;
  private led = 0;
  private leadsSince: number | undefined;

  constructor(
    private readonly id: number,
    private readonly its: Surroundings,
  ) {
    const { ineligibleGraceMs } = its;
    const options = { role: 'role', ineligibleGraceMs };
    this.config = { ...resolveElectionOptions(options, `c${id}`), memberUid: `uid-${id}` };
    this.random = new RandomStream(id, 'database-gone');
    its.queue.after(0, null, () => this.say({ kind: 'watch-opened' }));
  }

  get ledMs(): number {
    const since = this.leadsSince;
    return this.led + (since === undefined ? 0 : this.its.queue.now - since);
  }

  say(event: ElectionEvent): void {
    const { queue, transition } = this.its;
    const { now } = queue;
    const micros = Math.floor(now * 1_000);
    const instant = {
      now,
      wallMicros: micros,
      wallAfterMicros: micros,
      suspendedMs: 0,
      random: this.random.next(),
    };
    const { state, effects } = transition(this.state, event, instant, this.config);
    this.state = state;
    for (const effect of effects) this.do(effect);
  }

  private do(effect: Effect): void {
    const { queue } = this.its;
    switch (effect.kind) {
      case 'request':
        return this.ask(effect);
      case 'wake':
        if (this.wake !== undefined) this.wake.cancelled = true;
        if (effect.at !== Infinity)
          this.wake = queue.at(effect.at, null, () => this.say({ kind: 'tick' }));
        return;
      case 'grant':
        this.leadsSince = queue.now;
        return;
      case 'revoke':
        this.led = this.ledMs;
        this.leadsSince = undefined;
        this.handovers++;
        queue.after(0, null, () => this.say({ kind: 'drained', term: effect.term }));
        return;
      default:
    }
  }

  private ask({ id, request }: Extract<Effect, { kind: 'request' }>): void {
    const { queue, store, all } = this.its;
    queue.after(ROUND_TRIP_MS / 2, null, () => {
      if (request.verb === 'read') {
        const outcome: ReadOutcome =
          store.lease === null ? { kind: 'absent' } : { kind: 'found', stored: store.lease };
        queue.after(ROUND_TRIP_MS / 2, null, () => this.say({ kind: 'read-done', id, outcome }));
        return;
      }
      const result =
        request.verb === 'create'
          ? store.create(request.record, this.id, queue.now)
          : store.replace(request.record, request.expected, this.id, queue.now);
      const lease = store.lease!;
      const outcome: WriteOutcome =
        result === 'applied' ? { kind: 'applied', stored: lease } : { kind: 'conflict' };
      queue.after(ROUND_TRIP_MS / 2, null, () => this.say({ kind: 'write-done', id, outcome }));
      if (result !== 'applied') return;
      for (const each of all()) {
        queue.after(ROUND_TRIP_MS / 2, null, () =>
          each.say({ kind: 'watch-changed', lease, revision: lease.revision }),
        );
      }
    });
  }
}

type Effect = ReturnType<typeof libraryTransition>['effects'][number];
