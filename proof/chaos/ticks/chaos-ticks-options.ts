import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { HANDOVER_KINDS, type HandoverKind } from './handover.js';

const LOCKS = ['lease', 'file'] as const;
export type TickLock = (typeof LOCKS)[number];

export interface ChaosTicksOptions {
  /** Of every kind, shared out to the fleets. */
  readonly handovers: number;
  /** Instead: handovers until the fleets of each lock have had so many ticks; undefined if not asked for. */
  readonly ticks: number | undefined;
  /** How many jobs of each kind each fleet has. */
  readonly jobs: number;
  readonly fleets: number;
  readonly seed: number;
  readonly locks: readonly TickLock[];
  readonly kinds: readonly HandoverKind[];
  /** `startingDeadlineSeconds`: the fleets take them in turn. */
  readonly deadlines: readonly number[];
  readonly json: boolean;
  /** Keep the histories of a run that has found nothing, too. */
  readonly keep: boolean;
}

const USAGE =
  'npm run chaos:ticks -- [--handovers N | --ticks N] [--jobs N] [--fleets N] [--seed S] [--lock lease,file] ' +
  `[--kinds "${HANDOVER_KINDS.join(',')}"] [--deadline SECONDS,...] [--json] [--keep]`;

/** @throws TypeError with the usage */
export function readChaosTicksOptions(args: readonly string[]): ChaosTicksOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      handovers: { type: 'string', default: '50' },
      ticks: { type: 'string' },
      jobs: { type: 'string', default: '1' },
      fleets: { type: 'string', default: '1' },
      seed: { type: 'string', default: String(randomInt(1, 1_000_000)) },
      lock: { type: 'string', default: LOCKS.join(',') },
      kinds: { type: 'string', default: HANDOVER_KINDS.join(',') },
      deadline: { type: 'string', default: '10,0' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
    },
  });
  const { json, keep } = values;
  return {
    handovers: whole('--handovers', values.handovers, 1),
    ticks: values.ticks === undefined ? undefined : whole('--ticks', values.ticks, 1),
    jobs: whole('--jobs', values.jobs, 1),
    fleets: whole('--fleets', values.fleets, 1),
    seed: whole('--seed', values.seed, 0),
    locks: oneOrMoreOf('--lock', LOCKS, values.lock),
    kinds: oneOrMoreOf('--kinds', HANDOVER_KINDS, values.kinds),
    deadlines: values.deadline.split(',').map((text) => whole('--deadline', text, 0)),
    json,
    keep,
  };
}

function oneOrMoreOf<T extends string>(name: string, known: readonly T[], text: string): T[] {
  return text.split(',').map((given) => {
    const found = known.find((each) => each === given);
    if (found === undefined) throw unusable(name, given);
    return found;
  });
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text);
  if (text === '' || !Number.isInteger(value) || value < least) throw unusable(name, text);
  return value;
}

function unusable(name: string, value: string): TypeError {
  return new TypeError(`${name} cannot be "${value}".\n${USAGE}`);
}
