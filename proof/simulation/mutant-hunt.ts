import type { FaultKind } from './fault.js';
import type { Mutant } from './mutant.js';
import { drawScenario } from './scenario-draw.js';
import type { Scenario } from './scenario.js';
import { runSchedule } from './schedule-run.js';
import type { Engine, Rule } from './world.js';

export interface Hunt {
  readonly firstSeed: number;
  readonly schedules: number;
  readonly kinds: readonly FaultKind[];
  /** Not content with the violation of any rule. */
  readonly untilOverlap: boolean;
}

export interface Verdict {
  readonly mutant: string;
  /** How many schedules it took; null if none of them found it out. */
  readonly seedsToKill: number | null;
  readonly rule: Rule | null;
  /** How many it took until two processes led at once; null if none did. */
  readonly seedsToOverlap: number | null;
  readonly explained: boolean;
}

/** Plays schedules until one of them violates a rule, and on until two processes lead at once if that is asked for. */
export async function killMutant(mutant: Mutant, engine: Engine, hunt: Hunt): Promise<Verdict> {
  let killed: { seedsToKill: number; rule: Rule } | undefined;
  let seedsToOverlap: number | null = null;
  for (let count = 1; count <= hunt.schedules; count++) {
    const { violations } = await runSchedule(scenarioOf(mutant, hunt, count), engine);
    const { foundBy } = mutant;
    const first = violations.find(({ rule }) => foundBy === undefined || rule === foundBy);
    if (first === undefined) continue;
    killed ??= { seedsToKill: count, rule: first.rule };
    const overlaps = violations.some(({ rule }) => rule === 'disjoint-beliefs');
    if (overlaps) seedsToOverlap = count;
    if (overlaps || !hunt.untilOverlap) break;
  }
  return {
    mutant: mutant.name,
    seedsToKill: killed?.seedsToKill ?? null,
    rule: killed?.rule ?? null,
    seedsToOverlap,
    explained: mutant.survives !== undefined,
  };
}

function scenarioOf(mutant: Mutant, hunt: Hunt, count: number): Scenario {
  return drawScenario({
    seed: hunt.firstSeed + count - 1,
    candidates: 3,
    minutes: 10,
    kinds: mutant.kinds ?? hunt.kinds,
    ...(mutant.traits === undefined ? {} : { fixed: mutant.traits }),
  });
}
