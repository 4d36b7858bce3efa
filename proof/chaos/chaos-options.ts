import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly replicas: number;
  /** Stops after so many leadership changes; Infinity: when the time is up. */
  readonly changes: number;
  readonly lock: 'lease' | 'file';
  /**
   * Replicas stand in strict mode, and people delete and edit the lease. Never the schedule's object beside it: its
   * deletion voids the claims, and nothing is promised across that (docs/scheduling.md).
   */
  readonly strict: boolean;
  readonly json: boolean;
  /** The second judge must be asked; otherwise it is asked if there is one, or Go to build it with. */
  readonly judge: boolean;
  /** Replicas that are wrong on purpose, to see the checks fail. */
  readonly sabotage: Sabotage | undefined;
}

/**
 * `not-strict`: together with `strict`, which then only brings the deletes and edits. `claim-alone`: every process
 * claims ticks for itself.
 */
const SABOTAGES = ['believe-without-clock', 'not-strict', 'claim-alone'] as const;
export type Sabotage = (typeof SABOTAGES)[number];

const USAGE =
  'npm run chaos -- [--minutes M] [--seed S] [--replicas N] [--changes C] [--lock lease|file] [--strict] [--judge] [--json] ' +
  `[--sabotage ${SABOTAGES.join('|')}]`;

/** @throws TypeError with the usage */
export function readChaosOptions(args: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '3' },
      seed: { type: 'string', default: String(randomInt(1, 1_000_000)) },
      replicas: { type: 'string', default: '3' },
      changes: { type: 'string', default: 'Infinity' },
      lock: { type: 'string', default: 'lease' },
      strict: { type: 'boolean', default: false },
      judge: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      sabotage: { type: 'string' },
    },
  });
  const { lock, strict, json, judge } = values;
  if (lock !== 'lease' && lock !== 'file') throw unusable('--lock', lock);
  const sabotage = SABOTAGES.find((name) => name === values.sabotage);
  if (sabotage !== values.sabotage) throw unusable('--sabotage', values.sabotage!);
  if (strict && lock === 'file') throw unusable('--strict', 'together with --lock file');
  return {
    minutes: atLeast('--minutes', values.minutes, 0.1),
    seed: atLeast('--seed', values.seed, 0),
    replicas: atLeast('--replicas', values.replicas, 2),
    changes: atLeast('--changes', values.changes, 1),
    lock,
    strict,
    json,
    judge,
    sabotage,
  };
}

function atLeast(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!(value >= least)) throw unusable(name, text);
  return value;
}

function unusable(name: string, value: string): TypeError {
  return new TypeError(`${name} cannot be ${value}.\n${USAGE}`);
}
