import type { Mutant } from './mutant.js';
import { MUTANTS_OF_CLOCKS } from './mutants-of-clocks.js';
import { MUTANTS_OF_CONTENDING } from './mutants-of-contending.js';
import { MUTANTS_OF_CROWDS } from './mutants-of-crowds.js';
import { MUTANTS_OF_ELECTOR } from './mutants-of-elector.js';
import { MUTANTS_OF_ELIGIBILITY } from './mutants-of-eligibility.js';
import { MUTANTS_OF_HOLDING } from './mutants-of-holding.js';
import { MUTANTS_OF_DEATH } from './mutants-of-death.js';
import { MUTANTS_OF_OPTIONS } from './mutants-of-options.js';
import { MUTANTS_OF_PLACEMENT } from './mutants-of-placement.js';
import { MUTANTS_OF_PACE } from './mutants-of-pace.js';

export const MUTANTS: readonly Mutant[] = [
  ...MUTANTS_OF_DEATH,
  ...MUTANTS_OF_HOLDING,
  ...MUTANTS_OF_CONTENDING,
  ...MUTANTS_OF_CLOCKS,
  ...MUTANTS_OF_PACE,
  ...MUTANTS_OF_ELIGIBILITY,
  ...MUTANTS_OF_CROWDS,
  ...MUTANTS_OF_PLACEMENT,
  ...MUTANTS_OF_ELECTOR,
  ...MUTANTS_OF_OPTIONS,
];
