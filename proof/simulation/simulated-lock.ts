import type { LockRequest } from '../../lib/core/election-state.js';
import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';
import type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  WriteOutcome,
} from '../../lib/core/resource-lock.js';
import { type Flight, type Network, type Outcome, silence } from './network.js';
import type { Replica } from './replica.js';
import { SimulatedWatch } from './simulated-watch.js';
import type { World } from './world.js';

/** Of a request whose answer the broken lock keeps to itself. */
const UNHEARD = AbortSignal.abort();

const NONSENSE: readonly unknown[] = [
  undefined,
  null,
  'applied',
  {},
  { kind: 'done' },
  { kind: 'applied' },
  { kind: 'applied', stored: null },
  { kind: 'found', stored: {} },
  { kind: 'found', stored: { record: { holderIdentity: 7 }, revision: 3 } },
  { kind: 'failed' },
  { kind: 'unknown' },
  { kind: 'not-applied', error: 'no' },
];

/** The Lease lock of one process: bounds its requests, and leaves the rest to the network. */
export class SimulatedLock implements ResourceLock {
  readonly watch?: (
    observer: LeaseWatchObserver,
    options: { readonly silenceLimitMs: number },
  ) => LeaseWatch;
  private kept: ObservedLease | undefined;

  constructor(
    private readonly world: World,
    private readonly replica: Replica,
    private readonly network: Network,
  ) {
    if (!replica.traits.watches) return;
    this.watch = (observer, { silenceLimitMs }) => {
      const watch = new SimulatedWatch(world, replica, observer, {
        silenceLimitMs,
        delay: () => network.delay(),
        asKept: (lease) => this.asKept(lease),
      });
      replica.watch = watch;
      watch.begin();
      return watch;
    };
  }

  read(options: LockRequestOptions): Promise<ReadOutcome> {
    return this.send({ verb: 'read' }, options) as Promise<ReadOutcome>;
  }

  create(record: LeaseRecord, options: LockRequestOptions): Promise<WriteOutcome> {
    return this.send({ verb: 'create', record }, options) as Promise<WriteOutcome>;
  }

  replace(
    record: LeaseRecord,
    expected: ObservedLease,
    options: LockRequestOptions,
  ): Promise<WriteOutcome> {
    return this.send({ verb: 'replace', record, expected }, options) as Promise<WriteOutcome>;
  }

  describe(): string {
    return 'the simulated lease';
  }

  /** A lock of somebody else's may keep one object and change it. */
  private asKept(lease: ObservedLease): ObservedLease {
    const { kept } = this;
    if (!this.world.scenario.keepsLease) return lease;
    if (kept === undefined) {
      this.kept = lease;
      return lease;
    }
    if (kept.revision !== lease.revision) this.world.count('kept-lease');
    Object.assign(kept.record, lease.record);
    const { record } = kept;
    return Object.assign(kept, lease, { record });
  }

  private send(request: LockRequest, options: LockRequestOptions): Promise<Outcome> {
    const { world, replica } = this;
    replica.onRequest(request);
    if (!replica.link.suffers('broken-lock', world.now)) return this.carry(request, options);
    return this.breakDown(request, options);
  }

  /** A lock of somebody else's that is wrong: it throws, never settles or answers nonsense, whether it sends or not. */
  private breakDown(request: LockRequest, options: LockRequestOptions): Promise<Outcome> {
    const { world, replica } = this;
    const { random } = replica;
    world.count('broken-lock');
    if (random.chance(0.5)) void this.carry(request, { ...options, signal: UNHEARD });
    // What it answers at once is followed by the next request in the same event, and so on.
    world.promisesMove('lifecycle');
    const how = random.pick(['throws', 'rejects', 'hangs', 'nonsense'] as const);
    if (how === 'throws') throw new Error('the lock is broken');
    if (how === 'rejects') return Promise.reject(new Error('the lock is broken'));
    if (how === 'nonsense') return Promise.resolve(random.pick(NONSENSE) as Outcome);
    return new Promise<Outcome>(() => {});
  }

  private carry(request: LockRequest, { timeoutMs, signal }: LockRequestOptions): Promise<Outcome> {
    const { world, replica } = this;
    return new Promise<Outcome>((resolve) => {
      const sentAt = replica.clock.now();
      let answered = false;
      const flight: Flight = {
        replica,
        request,
        sentAt,
        givenUp: false,
        webhook: undefined,
        answer: (outcome) => {
          // The library has given it up: the connection is closed, and nobody listens.
          if (answered || flight.givenUp || signal.aborted) return;
          answered = true;
          flight.givenUp = outcome.kind === 'unknown' || outcome.kind === 'failed';
          bound.cancelled = true;
          replica.onAnswer(request, outcome, sentAt);
          world.promisesMove('answer');
          resolve(
            'stored' in outcome ? { ...outcome, stored: this.asKept(outcome.stored) } : outcome,
          );
        },
      };
      const limit = replica.traits.unboundedLock ? 60_000 : timeoutMs;
      const { clock } = replica;
      const bound = world.queue.at(clock.trueTimeOf(sentAt + limit), replica, () => {
        flight.answer(silence(request));
        flight.givenUp = true;
      });
      this.network.send(flight);
    });
  }
}
