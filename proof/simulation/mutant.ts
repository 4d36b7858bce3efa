import type { LeaderElector } from '../../lib/elector/leader-elector.js';
import type { RolePlacement } from '../../lib/nest/role-placement.js';
import type { MutantBuild, SourcePatch } from '../mutants/mutant-build.js';
import type { FaultKind } from './fault.js';
import type { ScenarioTraits } from './scenario-draw.js';
import type { Engine, Rule, Sabotage } from './world.js';

/** A wrong election: the simulation must find it out. Exists only while the simulation runs. */
export interface Mutant {
  readonly name: string;
  /** What it breaks: a rule or a fact of docs/rules.md. */
  readonly breaks: string;
  readonly patches: readonly SourcePatch[];
  readonly sabotage?: Sabotage;
  /** Fixed in every one of its schedules. */
  readonly traits?: Partial<ScenarioTraits>;
  /** In place of all kinds of faults. */
  readonly kinds?: readonly FaultKind[];
  /** Which rule has to find it out; any, if it does not matter which. */
  readonly foundBy?: Rule;
  /** Why it cannot be killed, for one that is listed to show so. */
  readonly survives?: string;
}

/** The part of the library that the simulation drives. */
export const SIMULATED_PARTS = ['core', 'elector', 'nest'];

export async function engineOf(build: MutantBuild, mutant: Mutant): Promise<Engine> {
  const load = await build.build(mutant.name, mutant.patches);
  const module = (await load('elector/leader-elector.ts')) as {
    LeaderElector: typeof LeaderElector;
  };
  const placement = (await load('nest/role-placement.ts')) as {
    RolePlacement: typeof RolePlacement;
  };
  return {
    LeaderElector: module.LeaderElector,
    RolePlacement: placement.RolePlacement,
    sabotage: mutant.sabotage ?? {},
  };
}
