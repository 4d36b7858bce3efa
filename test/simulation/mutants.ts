import type { Mutant } from './mutant.js';
import { MUTANTS_OF_CONTENDING } from './mutants-of-contending.js';
import { MUTANTS_OF_HOLDING } from './mutants-of-holding.js';
import { MUTANTS_OF_OPTIONS } from './mutants-of-options.js';

export const MUTANTS: readonly Mutant[] = [
  ...MUTANTS_OF_HOLDING,
  ...MUTANTS_OF_CONTENDING,
  ...MUTANTS_OF_OPTIONS,
];
