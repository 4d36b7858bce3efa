import type { FaultKind } from './fault.js';
import type { ScenarioTraits } from './scenario-draw.js';
import type { Rule, Sabotage } from './world.js';

/** One text of one source file of the library, and what stands in its place. */
export interface SourcePatch {
  /** Below `lib/`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

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
