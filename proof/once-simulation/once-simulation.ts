import type { JsonDocument } from '../../lib/core/json-document.js';
import type { OnceLedger } from '../../lib/schedule/once/once-ledger.js';
import type { OnceRole } from '../../lib/schedule/once/once-role.js';
import { EventQueue } from '../simulation/event-queue.js';
import { RandomStream } from '../simulation/random-stream.js';
import { drawFaults, FaultCount } from '../tick-simulation/network-faults.js';
import { SimulatedDocument } from '../tick-simulation/simulated-document.js';
import { runUntil } from '../tick-simulation/tick-simulation.js';
import { OnceHistory } from './once-history.js';
import { type OnceTraits, SimulatedReplica } from './simulated-replica.js';

/** The classes under test: those of the library, or of a mutant of it. */
export interface OnceEngine {
  readonly OnceRole: typeof OnceRole;
  readonly OnceLedger: typeof OnceLedger;
}

export interface OnceRun {
  readonly seed: number;
  /** What was done against the rules; empty for the library. */
  readonly broken: readonly string[];
  readonly starts: number;
  readonly faults: FaultCount;
}

/** A fault that never strikes, and a rule that is never needed, test nothing. */
export const SOMETIMES = [
  'answer lost',
  'cut off',
  'duplicated',
  'ghost',
  'handed back',
  'paused',
  'rollout',
  'term lost',
  'told failed',
  'told interrupted',
  'told succeeded',
  'told superseded',
  'unrecorded',
];

/** Seconds at the end without a fault, in which everything that is wanted is over. */
const LEISURE_SECONDS = 90;

/** The first version, so that a few rollouts later one has a digit more. */
const FIRST_VERSION = 8;

/**
 * Three replicas that believe that they lead, all of them in most runs, for so many seconds. They are killed and replaced by ones of a newer
 * version, the same or an older one, and want two keys: one that fails when it is interrupted, one that runs again.
 */
export async function simulateOnce(
  engine: OnceEngine,
  seed: number,
  seconds: number,
): Promise<OnceRun> {
  const random = new RandomStream(seed, 'once');
  const [queue, count, history] = [new EventQueue(), new FaultCount(), new OnceHistory()];
  const document = new SimulatedDocument(
    (before: JsonDocument, after: JsonDocument) => history.written(before, after),
    () => queue.now,
  );
  const traits: OnceTraits = {
    engine,
    queue,
    document,
    random,
    faults: drawFaults(random),
    count,
    history,
    calmFrom: seconds * 1_000,
    weather: { goneUntil: 0, slowUntil: 0, refusesUntil: 0 },
  };
  let version = FIRST_VERSION;
  let names = 0;
  const replica = (): SimulatedReplica => {
    const wanted = Math.max(FIRST_VERSION, version + random.pick([-1, 0, 0, 0]));
    return new SimulatedReplica(`r${(names += 1)}`, wanted, traits);
  };
  const replicas = [replica(), replica(), replica()];
  const replace = (): void => {
    queue.after(random.between(500, 15_000), null, () => {
      if (queue.now >= traits.calmFrom) return;
      if (random.chance(0.4)) version += 1;
      const index = random.whole(0, replicas.length - 1);
      replicas[index]!.kill();
      replicas[index] = replica();
      count.add(version > FIRST_VERSION ? 'rollout' : 'killed');
      replace();
    });
  };
  replace();
  await runUntil(queue, (seconds + LEISURE_SECONDS) * 1_000);
  for (const { stuck } of replicas) history.broken.push(...stuck);
  return { seed, broken: history.broken, starts: history.starts, faults: count };
}
