import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { RolePlacement } from '../../lib/nest/role-placement.js';
import type { FaultKind } from './fault.js';
import { withLightAborts } from './light-abort-controller.js';
import { drawScenario } from './scenario-draw.js';
import { runSchedule, type ScheduleResult } from './schedule-run.js';
import { addSituations, noSituations, type SituationCounts } from './sometimes.js';
import type { Engine, Rule } from './world.js';

export const PRODUCTION: Engine = { LeaderElector, RolePlacement, sabotage: {} };

/** A run of consecutive seeds. */
export interface Batch {
  readonly seed: number;
  readonly schedules: number;
  readonly candidates: number;
  readonly minutes: number;
  readonly kinds: readonly FaultKind[];
}

interface FailedSchedule {
  readonly seed: number;
  readonly rule: Rule;
  readonly at: number;
  readonly detail: string;
}

export interface BatchResult {
  schedules: number;
  events: number;
  /** Schedules that were run again with the platform's own parts and a full settling after every event. */
  rechecked: number;
  nearestMissMs: number;
  longestLawlessOverlapMs: number;
  /** Seeds of the smallest distances between two beliefs: where to look closer. */
  readonly nearSeeds: number[];
  readonly situations: SituationCounts;
  readonly failures: FailedSchedule[];
}

/** One in so many schedules is rechecked. */
const RECHECK_EVERY = 500;
const NEAR_MS = 20;
const MOST_FAILURES = 100;

export function emptyResult(): BatchResult {
  return {
    schedules: 0,
    events: 0,
    rechecked: 0,
    nearestMissMs: Infinity,
    longestLawlessOverlapMs: 0,
    nearSeeds: [],
    situations: noSituations(),
    failures: [],
  };
}

export async function runBatch(batch: Batch, engine: Engine = PRODUCTION): Promise<BatchResult> {
  const sum = emptyResult();
  for (let seed = batch.seed; seed < batch.seed + batch.schedules; seed++) {
    const scenario = drawScenario({ ...batch, seed });
    const recheck = (seed - batch.seed) % RECHECK_EVERY === 0;
    const trace = recheck ? 'digest' : 'none';
    const result = await withLightAborts(() =>
      runSchedule(scenario, engine, { trace, checkSettled: false }),
    );
    if (recheck) {
      const again = await runSchedule(scenario, engine, { trace, checkSettled: true });
      if (again.digest !== result.digest) throw new Error(`seed ${seed} is not deterministic`);
      sum.rechecked++;
    }
    add(sum, result);
  }
  return sum;
}

function add(sum: BatchResult, result: ScheduleResult): void {
  sum.schedules++;
  sum.events += result.events;
  if (result.nearestMissMs < NEAR_MS) sum.nearSeeds.push(result.seed);
  sum.nearestMissMs = Math.min(sum.nearestMissMs, result.nearestMissMs);
  sum.longestLawlessOverlapMs = Math.max(sum.longestLawlessOverlapMs, result.lawlessOverlapMs);
  addSituations(sum.situations, result.situations);
  for (const violation of result.violations) {
    if (sum.failures.length < MOST_FAILURES) sum.failures.push({ seed: result.seed, ...violation });
  }
}

export function merge(sum: BatchResult, more: BatchResult): void {
  sum.schedules += more.schedules;
  sum.events += more.events;
  sum.rechecked += more.rechecked;
  sum.nearestMissMs = Math.min(sum.nearestMissMs, more.nearestMissMs);
  sum.longestLawlessOverlapMs = Math.max(sum.longestLawlessOverlapMs, more.longestLawlessOverlapMs);
  sum.nearSeeds.push(...more.nearSeeds);
  addSituations(sum.situations, more.situations);
  sum.failures.push(...more.failures);
}
