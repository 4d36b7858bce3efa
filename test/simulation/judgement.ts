import { longest, slowestClock } from './scenario.js';
import { handOverBound, longestDurations, settlingBound } from './scenario-draw.js';
import type { World } from './world.js';

/** S1. Where assumptions of the theorem are broken on purpose, overlap is measured and bounded by validity. */
export function judgeBeliefs(world: World): number {
  const { scenario, beliefs } = world;
  const excused = scenario.sleeps || scenario.restores || (scenario.lawless && !scenario.strict);
  const onlySleeps = scenario.sleeps && !scenario.lawless && !scenario.restores;
  let longestMs = 0;
  for (const { first, second, ms } of beliefs.overlaps()) {
    const detail = `process ${first.process} #${first.term} and process ${second.process} #${second.term} for ${ms.toFixed(3)} ms`;
    const tolerable = excused && (!onlySleeps || ms <= sleepBound(world));
    if (!tolerable) world.violate('disjoint-beliefs', detail, second.from);
    longestMs = Math.max(longestMs, ms);
  }
  return longestMs;
}

/**
 * A process that slept believes until something wakes its elector: its next renewal, or the end of the request that
 * was under way; later only where timers are late or the process is stopped.
 */
function sleepBound({ scenario }: World): number {
  const { candidates, kinds, network } = scenario;
  if (kinds.some((kind) => kind === 'late-timers' || kind === 'pause' || kind === 'block')) {
    return Infinity;
  }
  const slowest = slowestClock(candidates);
  const [p, T] = [longest(candidates, 'retryPeriodMs'), longest(candidates, 'requestTimeoutMs')];
  return (Math.max(p, T) + 200) / slowest + network.latestTimerMs;
}

/** S2, and S3 as far as the clock is concerned */
export function judgeTerms(world: World): void {
  const { scenario, beliefs } = world;
  if (scenario.restores || scenario.sleeps || scenario.lawless) return;
  for (const { belief, at } of beliefs.resumed) {
    const detail = `process ${belief.process} went on with #${belief.term} after its validity had passed at ${belief.to}`;
    world.violate('event-alternation', detail, at);
  }
  const transitionsWrap = (scenario.leftBehind?.leaseTransitions ?? 0) > 1_000_000;
  let last: { process: number; term: number; token: bigint } | undefined;
  for (const belief of beliefs.beliefs.toSorted((a, b) => a.from - b.from)) {
    const sameTerm = last?.process === belief.process && last.token === belief.token;
    const outOfOrder =
      last !== undefined &&
      !sameTerm &&
      (belief.token <= last.token || (belief.term <= last.term && !transitionsWrap));
    if (outOfOrder) {
      world.violate(
        'token-order',
        `process ${belief.process} has ${belief.token} #${belief.term} after ${last!.token} #${last!.term}`,
        belief.from,
      );
    }
    last = belief;
  }
}

/** L1 and L3: one leader is found after the healing, and stays. */
export function judgeLiveness(world: World): void {
  const { scenario, beliefs } = world;
  const { candidates, healAt, handOverAt, strict } = scenario;
  const slowest = slowestClock(candidates);
  const settledAt = healAt + settlingBound(longestDurations(candidates), strict, slowest);
  const believing = beliefs.beliefs.filter(({ from, to }) => to > settledAt && from < handOverAt);
  if (believing.length === 1 && believing[0]!.from <= settledAt && believing[0]!.to >= handOverAt)
    return;
  const rule = believing.length === 0 ? 'one-leader-after-healing' : 'calm-after-healing';
  const detail = believing
    .map(({ process, term, from, to }) => `${process} #${term} ${from.toFixed(0)}-${to.toFixed(0)}`)
    .join(', ');
  world.violate(rule, `beliefs from ${settledAt.toFixed(0)} on: ${detail || 'none'}`, settledAt);
}

/** L2, and that a stop ends: somebody else leads soon after the leader was stopped in good order. */
export function judgeHandOver(world: World): void {
  const { scenario, beliefs, replicas } = world;
  const { handOverAt, candidates } = scenario;
  const stopped = replicas.find(({ stopping, alive }) => stopping && alive);
  if (stopped === undefined) return;
  if (!stopped.stopped) world.violate('stop-ends', `${stopped.name} has not stopped`, handOverAt);
  if (!stopped.config.releaseOnShutdown || candidates.length === 1) return;
  const bound = handOverBound(candidates, longestDurations(candidates));
  const next = beliefs.beliefs.find(({ from }) => from >= handOverAt);
  if (next === undefined || next.from > handOverAt + bound) {
    const detail = `the next leader comes ${(next?.from ?? Infinity) - handOverAt} ms after the stop`;
    world.violate('quick-hand-over', detail, handOverAt);
  }
}
