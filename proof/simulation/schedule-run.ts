import { FaultInjector } from './fault-injector.js';
import {
  judgeBeliefs,
  judgeCalm,
  judgeHandover,
  judgeLiveness,
  judgeTakeover,
  judgeTerms,
} from './judgement.js';
import { Link } from './link.js';
import { isMixed, type Scenario } from './scenario.js';
import type { SituationCounts } from './sometimes.js';
import { Trace } from './trace.js';
import { type Engine, type Violation, World } from './world.js';

export interface ScheduleResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly situations: SituationCounts;
  readonly events: number;
  readonly grants: number;
  readonly nearestMissMs: number;
  /** Longest overlap of two beliefs where the schedule breaks the promise's assumptions. */
  readonly lawlessOverlapMs: number;
  readonly digest: string | undefined;
  readonly lines: readonly string[];
}

export interface RunOptions {
  readonly trace: 'none' | 'digest' | 'lines';
  /** Proves after every event that no promise callback is left over. */
  readonly checkSettled: boolean;
}

const NEAR_MISS_MS = 100;

/** Plays one scenario and judges it. */
export async function runSchedule(
  scenario: Scenario,
  engine: Engine,
  { trace: wanted, checkSettled }: RunOptions = { trace: 'none', checkSettled: false },
): Promise<ScheduleResult> {
  const trace = wanted === 'none' ? undefined : new Trace(wanted === 'lines');
  const world = new World(scenario, engine, trace, checkSettled);
  if (isMixed(scenario.candidates)) world.count('mixed-settings');
  world.links.push(...scenario.candidates.map(() => new Link()));
  new FaultInjector(world).begin();
  await world.run();
  const lawlessOverlapMs = judgeBeliefs(world);
  judgeTerms(world);
  judgeLiveness(world);
  judgeCalm(world);
  judgeHandover(world);
  judgeTakeover(world);
  const nearestMissMs = world.beliefs.nearestMiss();
  if (nearestMissMs < NEAR_MISS_MS) world.count('near-miss');
  return {
    seed: scenario.seed,
    violations: world.violations,
    situations: world.situations,
    events: world.queue.processed,
    grants: world.situations.granted,
    nearestMissMs,
    lawlessOverlapMs,
    digest: trace?.digest,
    lines: trace?.lines ?? [],
  };
}
