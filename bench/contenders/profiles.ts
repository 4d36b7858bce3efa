import type { Ground } from '../measure.js';
import { type ContenderKey, CONTENDERS, type LeaseTimes } from './contender.js';
import { fabric8ClassPath, NoFabric8Error } from './fabric8-build.js';

/** The times of a lease, as tables name them. */
export interface Profile {
  readonly name: string;
  readonly times: LeaseTimes;
}

const WHOLE: readonly Profile[] = [
  { name: '15/10/2 s', times: { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 } },
  { name: '60/40/5 s', times: { leaseMs: 60_000, renewMs: 40_000, retryMs: 5_000 } },
];

const QUICK: readonly Profile[] = [
  { name: '2/1.5/0.3 s', times: { leaseMs: 2_000, renewMs: 1_500, retryMs: 300 } },
];

/** Lease duration, renew deadline and retry period of all contenders alike. */
export function profilesOf({ isQuick }: Ground): readonly Profile[] {
  return isQuick ? QUICK : WHOLE;
}

/** Those that can run on this machine, and in whole sentences why others cannot. */
export async function contendersOf({
  isQuick,
}: Ground): Promise<{ readonly keys: readonly ContenderKey[]; readonly missing: string[] }> {
  if (isQuick) return { keys: ['nestjs-leader-election', 'poll-loop'], missing: [] };
  try {
    await fabric8ClassPath();
    return { keys: CONTENDERS, missing: [] };
  } catch (error) {
    if (!(error instanceof NoFabric8Error)) throw error;
    const keys = CONTENDERS.filter((key) => key !== 'fabric8');
    return { keys, missing: [`fabric8 took no part in this run: ${error.message}.`] };
  }
}
