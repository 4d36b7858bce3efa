import { resolveElectionOptions } from '../../lib/core/election-options.js';
import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';
import type { ResourceLock, WriteOutcome } from '../../lib/core/resource-lock.js';
import type { ElectorDependencies } from '../../lib/elector/leader-elector.js';
import { Link } from './link.js';
import { Replica } from './replica.js';
import type { CandidateTraits, Scenario } from './scenario.js';
import { type Engine, World } from './world.js';

export interface CrowdWishes {
  readonly seed: number;
  readonly candidates: number;
  readonly handovers: number;
  /** From sending a request to its answer, on average. */
  readonly roundTripMs: number;
  /** Each release names a member. */
  readonly directed: boolean;
  /** The candidates know how many they are. */
  readonly membersKnown: boolean;
}

/** What one handover has cost all candidates together. */
export interface CrowdHandover {
  /** Acquisitions that conflicted. */
  wastedWrites: number;
  reads: number;
  /** From the release in the store to the grant; undefined if nobody followed. */
  latencyMs: number | undefined;
  /** Whom the release named did acquire; undefined where it named nobody. */
  cameAsNamed: boolean | undefined;
}

export interface CrowdResult {
  /** All start at the same instant and there is no lease. */
  readonly creation: CrowdHandover;
  readonly handovers: readonly CrowdHandover[];
  readonly violations: readonly string[];
}

const EVERY_MS = 4_000;
const COOLDOWN_MS = 1_000;

/** Candidates that all have a watch and nothing in their way; the leader steps down again and again. */
export async function runCrowd(wishes: CrowdWishes, engine: Engine): Promise<CrowdResult> {
  const { candidates, handovers, membersKnown } = wishes;
  const costs: CrowdHandover[] = [newHandover()];
  const counting = countingEngine(
    engine,
    () => costs.at(-1)!,
    () => world,
  );
  const world: World = new World(scenarioOf(wishes), counting, undefined, false);
  const { queue, scenario, replicas } = world;
  // The lock that counts has promises of its own.
  const moves = world.promisesMove.bind(world);
  world.promisesMove = () => moves('lifecycle');
  world.links.push(...scenario.candidates.map(() => new Link()));
  scenario.candidates.forEach((traits, slot) => {
    const replica = new Replica(world, slot, traits, 1);
    replicas.push(replica);
    queue.at(0, replica, () => {
      replica.start();
      if (membersKnown) replica.elector.setCrowd(candidates);
    });
  });
  const dice = world.stream('handovers');
  for (let index = 1; index <= handovers; index++) {
    queue.at(index * EVERY_MS, null, () => {
      costs.push(newHandover());
      const leader = replicas.find(({ believes }) => believes);
      if (leader === undefined) return;
      queue.at(world.now, leader, () => {
        world.promisesMove('lifecycle');
        const others = replicas.filter((replica) => replica !== leader);
        const named = wishes.directed ? dice.pick(others) : undefined;
        if (named !== undefined) leader.elector.nominate(named.config.memberUid!);
        costs.at(-1)!.cameAsNamed = named === undefined ? undefined : false;
        if (named !== undefined) expected.set(named.name, index);
        leader.stepDown(COOLDOWN_MS, 'stepped-down');
      });
    });
  }
  const expected = new Map<string, number>();
  const granted = (name: string): void => {
    if (expected.get(name) === costs.length - 1) costs.at(-1)!.cameAsNamed = true;
  };
  for (const { application, name } of replicas) {
    const begin = application.onGranted.bind(application);
    application.onGranted = (term) => {
      granted(name);
      return begin(term);
    };
  }
  await world.run();
  const violations = world.violations.map(({ rule, detail }) => `${rule}: ${detail}`);
  return { creation: costs[0]!, handovers: costs.slice(1), violations };
}

function newHandover(): CrowdHandover {
  return { wastedWrites: 0, reads: 0, latencyMs: undefined, cameAsNamed: undefined };
}

/** The elector with a lock that counts; the engine may be one from before a change. */
function countingEngine(engine: Engine, current: () => CrowdHandover, world: () => World): Engine {
  const { LeaderElector } = engine;
  class CountingElector extends LeaderElector {
    constructor(config: LeaderElector['config'], dependencies: ElectorDependencies) {
      super(config, { ...dependencies, lock: countingLock(dependencies.lock, current, world) });
    }
  }
  return { ...engine, LeaderElector: CountingElector };
}

type LeaderElector = InstanceType<Engine['LeaderElector']>;

function countingLock(
  lock: ResourceLock,
  current: () => CrowdHandover,
  world: () => World,
): ResourceLock {
  const attempt = async (
    record: LeaseRecord,
    send: () => Promise<WriteOutcome>,
  ): Promise<WriteOutcome> => {
    const { store } = world();
    const isAttempt = record.acquireTimeMicros === record.renewTimeMicros;
    const isAcquisition = isAttempt && record.holderIdentity !== '';
    const freeSince = store.lease?.record.holderIdentity ? undefined : store.writtenAt;
    const outcome = await send();
    if (!isAcquisition) return outcome;
    if (outcome.kind === 'applied') current().latencyMs ??= world().now - (freeSince ?? Infinity);
    else current().wastedWrites++;
    return outcome;
  };
  return {
    read(options) {
      current().reads++;
      return lock.read(options);
    },
    create: (record, options) => attempt(record, () => lock.create(record, options)),
    replace: (record, expected: ObservedLease, options) =>
      attempt(record, () => lock.replace(record, expected, options)),
    describe: () => lock.describe(),
    watch: (observer, options) => lock.watch!(observer, options),
  };
}

function scenarioOf({ seed, candidates, handovers, roundTripMs, directed }: CrowdWishes): Scenario {
  const endAt = (handovers + 1) * EVERY_MS;
  const traits = (slot: number): CandidateTraits => {
    const identity = `c${slot}`;
    const config = resolveElectionOptions({ role: 'role', identity }, identity);
    return {
      config: directed ? { ...config, memberUid: `uid-${slot}` } : config,
      startsAt: 0,
      clock: { rate: 1, wallStartMs: 1_767_225_600_000, tellsBootTime: true },
      watches: true,
      slowWorkShare: 0,
      unboundedLock: false,
      hooksMs: 0,
      jobEveryMs: undefined,
    };
  };
  return {
    seed,
    candidates: Array.from({ length: candidates }, (_, slot) => traits(slot)),
    kinds: [],
    faults: [],
    network: {
      leastDelayMs: roundTripMs / 3,
      mostDelayMs: (roundTripMs * 2) / 3,
      steadyMs: 0,
      latestTimerMs: 1,
      watchSendsState: true,
      tellsAbsent: false,
    },
    bounds: {
      settlingMs: endAt,
      handoverMs: endAt,
      takeoverMs: endAt,
      afterRestoreMs: endAt,
      graceMs: endAt,
    },
    leftBehind: null,
    lawless: false,
    watchesPods: false,
    coordinated: false,
    strict: false,
    sleeps: false,
    clones: false,
    restores: false,
    keepsLease: false,
    sharedIdentity: false,
    directs: false,
    places: undefined,
    reportsDeath: false,
    healAt: 0,
    calmAt: endAt,
    handoverAt: endAt,
    ending: 'stop',
    endAt,
  };
}
