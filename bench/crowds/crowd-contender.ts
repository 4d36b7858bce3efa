import { Crowd, type CrowdPlace } from '../../proof/kubernetes/crowd.js';
import type { ContenderKey } from '../contenders/contender.js';
import { ContenderCrowd } from '../contenders/contender-crowd.js';

const OURS = new URL('../../lib/', import.meta.url).href;
/** As the two processors of the machine that the figures come from can carry a thousand. */
const CANDIDATES_PER_PROCESS = 250;

/** Has a process for each candidate, whatever is asked for. */
const ALONE: readonly ContenderKey[] = ['fabric8'];

/** Some candidates of one contender for one Lease. */
export interface Candidates {
  readonly pids: readonly number[];
  kill(): Promise<void>;
}

/** Returns when the first of them leads, or when all of them follow whoever leads. */
export async function join(
  key: ContenderKey,
  place: CrowdPlace,
  count: number,
  prefix: 'leader' | 'standby',
): Promise<Candidates> {
  if (key === 'nestjs-leader-election') {
    const options = { prefix, candidatesPerProcess: CANDIDATES_PER_PROCESS };
    const crowd = await Crowd.prepare(place, [{ library: OURS, candidates: count }], options);
    await crowd.join();
    return crowd;
  }
  const isAlone = ALONE.includes(key);
  const processes = await Promise.all(
    Array.from({ length: isAlone ? count : 1 }, (_, index) =>
      ContenderCrowd.start(key, place, isAlone ? 1 : count, `${prefix}-${index}`),
    ),
  );
  await Promise.all(processes.map((each) => (prefix === 'leader' ? each.granted() : each.ready())));
  return {
    pids: processes.map(({ pid }) => pid),
    kill: async () => void (await Promise.all(processes.map((each) => each.kill()))),
  };
}

/** A whole crowd that has a leader. */
export async function begin(key: ContenderKey, place: CrowdPlace, count: number): Promise<Crowd> {
  const isOurs = key === 'nestjs-leader-election';
  const crowd = isOurs
    ? await Crowd.prepare(place, [{ library: OURS, candidates: count }], {
        candidatesPerProcess: CANDIDATES_PER_PROCESS,
      })
    : await Crowd.prepare(place, [], { outsiders: await ContenderCrowd.start(key, place, count) });
  await crowd.start({ inTurn: true });
  return crowd;
}
