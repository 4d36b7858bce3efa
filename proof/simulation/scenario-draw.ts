import { resolveElectionOptions } from '../../lib/core/election-options.js';
import type { ElectionConfig } from '../../lib/core/election-state.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import { boundsOf, longestDurations, longestSteadyMs } from './bounds.js';
import { drawFaults, drawKinds } from './fault-draw.js';
import type { FaultKind } from './fault.js';
import { drawDurations, type Durations } from './option-draw.js';
import { RandomStream } from './random-stream.js';
import type { CandidateTraits, Ending, NetworkTraits, Scenario } from './scenario.js';

export interface ScenarioWishes {
  readonly seed: number;
  readonly candidates: number;
  readonly minutes: number;
  /** The kinds to choose from. */
  readonly kinds: readonly FaultKind[];
  /** In place of what the seed would draw. */
  readonly fixed?: Partial<ScenarioTraits>;
}

/** What a seed decides first; a mutant's targeted schedules fix some of it. */
export interface ScenarioTraits {
  readonly durations: Durations;
  readonly strict: boolean;
  readonly lawless: boolean;
  readonly sleeps: boolean;
  /** The platform tells how long a machine slept. */
  readonly tellsBootTime: boolean;
  readonly clones: boolean;
  /** A webhook alters writes. */
  readonly altersWrites: boolean;
  /** Releases name a successor. */
  readonly directs: boolean;
  /** The placement of the library chooses them. */
  readonly places: Scenario['places'];
  /** Locks keep one lease object, and change it. */
  readonly keepsLease: boolean;
  /** Processes are unfit to lead now and then. */
  readonly losesHealth: boolean;
  /** An operator asks leaders for something. */
  readonly asks: boolean;
  readonly restores: boolean;
  readonly sharedIdentity: boolean;
  readonly reportsDeath: boolean;
  readonly watchesPods: boolean;
  /** The lease has a strategy, and nothing coordinates. */
  readonly coordinated: boolean;
  /** Every candidate has settings of its own. Strict mode assumes one lease duration, so not there. */
  readonly mixed: boolean;
  readonly watches: boolean;
  /** How much of the clock error that the durations allow for is made use of (H3). */
  readonly clockErrorShare: number;
  /** By how much the fastest and the slowest clock are off, whatever the durations allow for. */
  readonly clockError?: number;
  readonly faultCount: number;
  /** Every one of the kinds, in place of a random choice among them. */
  readonly allKinds: boolean;
  readonly ending: Ending;
  /** Work starts by itself, and shutdown hooks take their time. */
  readonly hasJobs: boolean;
  /** How slow the server always is, as a share of what a leader can live with (R20). */
  readonly slowServer: number;
  readonly hooksMs: number;
  readonly drainTimeoutMs: number;
}

/** Lease durations without a change that follow the healing (L3). */
const CALM_LEASES = 10;

export function drawScenario(wishes: ScenarioWishes): Scenario {
  const random = new RandomStream(wishes.seed, 'scenario');
  const traits = { ...drawTraits(random), ...drawForeignTraits(wishes.seed), ...wishes.fixed };
  const candidates = drawCandidates(random, wishes, traits);
  const durations = longestDurations(candidates);
  const network = drawNetwork(random, candidates, traits);
  const bounds = boundsOf(candidates, network, traits);
  const endAt = wishes.minutes * 60_000;
  const directedMs = traits.directs ? bounds.graceMs : 0;
  const endingMs =
    traits.ending === 'stop' ? bounds.handoverMs + directedMs : bounds.afterRestoreMs + 1_000;
  const handoverAt = endAt - endingMs - 100;
  const healAt = handoverAt - bounds.settlingMs - CALM_LEASES * durations.leaseDurationMs;
  if (healAt < 1_000) throw new Error(`${wishes.minutes} minutes leave no time for faults`);
  const offered = wishes.kinds.filter((kind) => allowed(kind, traits));
  // As the other seeds mean what they meant without.
  const drawable = offered.filter((kind) => kind !== 'wrong-proof' && kind !== 'ask');
  const drawn = traits.allKinds ? drawable : drawKinds(random, drawable);
  // Where there is a webhook it is at work, whatever else is left out.
  const always = (['webhook', 'ineligible', 'wrong-proof', 'ask'] as const).filter((kind) =>
    offered.includes(kind),
  );
  const kinds = [...drawn.filter((kind) => kind !== 'ineligible'), ...always];
  const faults = drawFaults(wishes.seed, {
    kinds,
    count: traits.faultCount,
    slots: wishes.candidates,
    from: 0,
    healAt,
    durations,
  });
  return {
    seed: wishes.seed,
    candidates,
    kinds,
    faults,
    network,
    bounds,
    leftBehind: drawLeftBehind(random),
    lawless: traits.lawless,
    strict: traits.strict,
    sleeps: traits.sleeps,
    clones: traits.clones,
    restores: traits.restores,
    keepsLease: traits.keepsLease,
    sharedIdentity: traits.sharedIdentity,
    directs: traits.directs,
    places: traits.directs && !traits.clones && !traits.sharedIdentity ? traits.places : undefined,
    reportsDeath: traits.reportsDeath,
    watchesPods: traits.watchesPods && !traits.clones,
    coordinated: traits.coordinated,
    healAt,
    calmAt: handoverAt - (CALM_LEASES / 2) * durations.leaseDurationMs,
    handoverAt,
    ending: traits.ending,
    endAt,
  };
}

type ForeignTraits = Pick<
  ScenarioTraits,
  | 'altersWrites'
  | 'asks'
  | 'keepsLease'
  | 'losesHealth'
  | 'directs'
  | 'places'
  | 'watchesPods'
  | 'coordinated'
>;

/** From a stream of its own: the other seeds mean what they meant without. */
function drawForeignTraits(seed: number): ForeignTraits {
  const random = new RandomStream(seed, 'webhook');
  return {
    altersWrites: random.chance(0.2),
    asks: new RandomStream(seed, 'requests').chance(0.2),
    keepsLease: random.chance(0.1),
    losesHealth: new RandomStream(seed, 'eligibility').chance(0.2),
    directs: new RandomStream(seed, 'successors').chance(0.4),
    places: new RandomStream(seed, 'placement').pick([undefined, 'newest', 'spread', 'spread']),
    watchesPods: new RandomStream(seed, 'containers').chance(0.2),
    coordinated: new RandomStream(seed, 'coordination').chance(0.05),
  };
}

function drawTraits(random: RandomStream): Omit<ScenarioTraits, keyof ForeignTraits> {
  const lawful = random.chance(0.6);
  const strict = random.chance(lawful ? 0.2 : 0.6);
  return {
    durations: drawDurations(random),
    strict,
    lawless: !lawful && random.chance(0.8),
    sleeps: !lawful && !strict && random.chance(0.3),
    restores: !lawful && !strict && random.chance(0.2),
    sharedIdentity: random.chance(0.06),
    reportsDeath: random.chance(0.15),
    mixed: !strict && random.chance(0.2),
    watches: random.chance(0.75),
    clockErrorShare: random.chance(0.4) ? 0.999 : random.next() ** 3,
    faultCount: random.whole(4, 40),
    allKinds: false,
    tellsBootTime: random.chance(0.6),
    clones: !lawful && random.chance(0.2),
    ending: random.pick(['stop', 'stop', 'stop', 'crash', 'crash', 'restore']),
    hasJobs: random.chance(0.3),
    drainTimeoutMs: random.pick([0, 500, 5_000, 20_000]),
    slowServer: random.chance(0.12) ? random.next() : 0,
    hooksMs: random.chance(0.3) ? random.next() ** 2 * 60_000 : 0,
  };
}

/** The largest error for which R / (1 - error) <= D / (1 + error); more than 30 % is not worth a try. */
function toleratedClockError({ leaseDurationMs, renewDeadlineMs }: Durations): number {
  const slack = leaseDurationMs - renewDeadlineMs;
  return Math.min(0.3, slack / (leaseDurationMs + renewDeadlineMs));
}

function allowed(kind: FaultKind, traits: ScenarioTraits): boolean {
  if (kind === 'delete' || kind === 'edit') return traits.lawless;
  if (kind === 'sleep') return traits.sleeps;
  if (kind === 'clone') return traits.clones;
  if (kind === 'webhook') return traits.altersWrites;
  if (kind === 'ineligible') return traits.losesHealth;
  if (kind === 'ask') return traits.asks;
  if (kind === 'wrong-proof') return traits.watchesPods && !traits.clones;
  // Where nothing else tells of a stopped or restored clock, the wall clock has to be right (R19).
  if (kind === 'clock-restore') return traits.sleeps && !traits.tellsBootTime;
  if (kind === 'wall-jump') return !traits.sleeps || traits.tellsBootTime;
  if (kind === 'wall-drift') return !traits.sleeps;
  if (kind === 'restore') return traits.restores;
  // It does not settle after a hand edit, and its own watch is not simulated: what the law excludes it does not survive.
  if (kind === 'stranger') return !traits.lawless && !traits.restores;
  return true;
}

function drawCandidates(
  random: RandomStream,
  wishes: ScenarioWishes,
  traits: ScenarioTraits,
): CandidateTraits[] {
  const settings = Array.from({ length: wishes.candidates }, () =>
    traits.mixed && !traits.strict && wishes.fixed?.durations === undefined
      ? drawDurations(random)
      : traits.durations,
  );
  const tolerated = Math.min(...settings.map(toleratedClockError));
  const clockError = traits.clockError ?? traits.clockErrorShare * tolerated;
  const unboundedLock = random.chance(0.1);
  const releaseOnShutdown = random.chance(0.85);
  return settings.map((durations, slot) => {
    const sign = random.chance(0.6) ? (slot % 2 === 0 ? -1 : 1) : random.between(-1, 1);
    return {
      config: resolved(`c${slot}`, durations, {
        strict: traits.strict,
        releaseOnShutdown,
        drainTimeoutMs: traits.drainTimeoutMs,
      }),
      startsAt: random.between(0, 3_000),
      clock: {
        rate: 1 + sign * clockError,
        wallStartMs: 1_767_225_600_000 + (random.chance(0.5) ? random.between(-3.6e6, 3.6e6) : 0),
        tellsBootTime: traits.tellsBootTime,
      },
      watches: traits.watches && random.chance(0.9),
      slowWorkShare: random.chance(0.5) ? 0 : random.next(),
      unboundedLock,
      hooksMs: traits.hooksMs,
      jobEveryMs: traits.hasJobs ? random.between(2_000, 30_000) : undefined,
    };
  });
}

function resolved(
  identity: string,
  durations: Durations,
  others: Partial<ElectionConfig>,
): ElectionConfig {
  const options = { role: 'role', identity, ...durations, ...others };
  if (durations.unchecked !== true) return resolveElectionOptions(options, identity);
  const { unchecked: _, ...rest } = options;
  return { ...resolveElectionOptions({ role: 'role' }, identity), ...rest };
}

function drawNetwork(
  random: RandomStream,
  candidates: readonly CandidateTraits[],
  { slowServer }: ScenarioTraits,
): NetworkTraits {
  const shortest = Math.min(...candidates.map(({ config }) => config.requestTimeoutMs));
  const most = Math.min(shortest / 8, random.pick([2, 20, 200]));
  return {
    leastDelayMs: most / 10,
    mostDelayMs: most,
    steadyMs: slowServer * longestSteadyMs(candidates),
    latestTimerMs: random.chance(0.5) ? 0 : random.pick([1, 5, 20]),
    watchSendsState: random.chance(0.5),
    tellsAbsent: random.chance(0.3),
  };
}

function drawLeftBehind(random: RandomStream): LeaseRecord | null {
  if (random.chance(0.4)) return null;
  const micros = 1_767_225_500_000_000;
  const released = random.chance(0.3);
  return {
    holderIdentity: released || random.chance(0.2) ? '' : 'left-behind',
    leaseDurationSeconds: released ? 1 : random.pick([null, 0, 1, 15, 40]),
    acquireTimeMicros: random.chance(0.2) ? null : micros,
    renewTimeMicros: random.chance(0.2) ? null : micros,
    leaseTransitions: random.pick([0, 3, 2_147_483_646, 2_147_483_647]),
    releasedTransitions: random.pick([null, 3]),
  };
}
