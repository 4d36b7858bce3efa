import type { Belief } from './belief-history.js';
import { isSlow } from './bounds.js';
import { type Replica, UNNOTICED_MS } from './replica.js';
import { isMixed, longest, slowestClock } from './scenario.js';
import type { SimulatedApplication } from './simulated-application.js';
import type { World } from './world.js';

/** S1. Where assumptions of the theorem are broken on purpose, overlap is measured and bounded by validity. */
export function judgeBeliefs(world: World): number {
  const { scenario, beliefs } = world;
  const excused = scenario.restores || (scenario.lawless && !scenario.strict);
  const cloneBound = scenario.clones ? cloneOverlapBound(world) : 0;
  const unnoticed = scenario.sleeps ? UNNOTICED_MS / slowestClock(scenario.candidates) : 0;
  let longestMs = 0;
  for (const { first, second, ms } of beliefs.overlaps()) {
    const detail = `process ${first.process} #${first.term} and process ${second.process} #${second.term} for ${ms.toFixed(3)} ms`;
    if (!excused && ms > Math.max(cloneBound, unnoticed))
      world.violate('disjoint-beliefs', detail, second.from);
    longestMs = Math.max(longestMs, ms);
  }
  return longestMs;
}

/**
 * While a wall clock that ran ahead is slewed back, the end of validity that is known of in advance lies too early, as a
 * part of what the other clocks seemed to have missed turns out not to have passed.
 */
function wasWallSlewed({ scenario, replicas }: World, belief: Belief, at: number): boolean {
  const slot = replicas[belief.process]?.slot;
  return scenario.faults.some(
    (fault) =>
      fault.kind === 'wall-drift' &&
      fault.slot === slot &&
      fault.at < at &&
      fault.until > belief.from,
  );
}

/** Two clones believe until the validity ends that the last write of either gave it (R19). */
function cloneOverlapBound({ scenario: { candidates } }: World): number {
  return longest(candidates, 'renewDeadlineMs') / slowestClock(candidates);
}

/** S2, and S3 as far as the clock is concerned */
export function judgeTerms(world: World): void {
  const { scenario, beliefs } = world;
  if (scenario.restores || scenario.clones || scenario.lawless || world.restored) return;
  for (const { belief, at } of beliefs.resumed) {
    if (wasWallSlewed(world, belief, at)) continue;
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
  const { healAt, handoverAt, bounds } = scenario;
  const settledAt = healAt + bounds.settlingMs;
  const believing = beliefs.beliefs.filter(({ from, to }) => to > settledAt && from < handoverAt);
  if (believing.length === 1 && believing[0]!.from <= settledAt && believing[0]!.to >= handoverAt)
    return;
  const rule = believing.length === 0 ? 'one-leader-after-healing' : 'calm-after-healing';
  const detail = believing
    .map(({ process, term, from, to }) => `${process} #${term} ${from.toFixed(0)}-${to.toFixed(0)}`)
    .join(', ');
  world.violate(rule, `beliefs from ${settledAt.toFixed(0)} on: ${detail || 'none'}`, settledAt);
}

/**
 * Nothing is asked of the API server in the calm but what keeps the leader: its renewals, and the polls of those that
 * have no watch. Nothing is reported.
 */
export function judgeCalm(world: World): void {
  const { calmAt, handoverAt, candidates } = world.scenario;
  // A watch that expects a renewal per lease duration of its own is restless under a leader with a longer one.
  const mixed = isMixed(candidates);
  for (const replica of world.replicas) {
    if (!replica.alive && replica !== world.crashed) continue;
    const { name, traits, config, clockRate } = replica;
    const [reads, writes, opens] = deedsBetween(replica, calmAt, handoverAt);
    const errors = replica.application.errors.filter(({ at }) => at >= calmAt && at < handoverAt);
    const periods = ((handoverAt - calmAt) * clockRate) / config.retryPeriodMs;
    const leads = world.beliefs.beliefs.some(
      ({ process, from, to }) => process === replica.id && from < handoverAt && to >= handoverAt,
    );
    // Who polls so seldom that a renewal may stay unseen for a whole lease duration tries in vain now and then.
    const unseenMs = config.retryPeriodMs * (1 + clockRate / slowestClock(candidates));
    const triesInVain = !traits.watches && unseenMs > config.leaseDurationMs;
    const readsPerPeriod = triesInVain ? 2 : 1;
    const mostReads = traits.watches ? 0 : readsPerPeriod * (periods / 0.8 + 1);
    const mostWrites = leads || triesInVain ? periods + 1 : 0;
    const tooMuch = reads > mostReads || writes > mostWrites || opens > 0;
    if (errors.length === 0 && (mixed || !tooMuch)) continue;
    const detail = `${name}: ${reads} reads, ${writes} writes, ${opens} watches, ${textOf(errors)}`;
    world.violate('quiet-calm', detail, calmAt);
  }
}

/** After the leader was killed somebody else leads in time, and one PUT does it: no read, no new watch, no error. */
export function judgeTakeover(world: World): void {
  const { scenario, crashed, beliefs, replicas } = world;
  if (crashed === undefined || scenario.candidates.length === 1) return;
  const { candidates, network, handoverAt, endAt, bounds } = scenario;
  world.count('crash-failover');
  const next = beliefs.beliefs.find(({ from }) => from >= handoverAt);
  const bound = world.restored ? bounds.afterRestoreMs : bounds.takeoverMs;
  if (next === undefined || next.from > handoverAt + bound) {
    const detail = `the next leader comes ${(next?.from ?? Infinity) - handoverAt} ms after the kill`;
    return world.violate('quick-takeover', detail, handoverAt);
  }
  const { crashKnownAt } = world.kubelet;
  if (crashKnownAt !== undefined && !scenario.strict && !world.restored) {
    const late = next.from - crashKnownAt - bounds.handoverMs;
    const detail = `the next leader comes ${late.toFixed(0)} ms later than the proof allows`;
    if (late > 0) world.violate('takeover-by-proof', detail, handoverAt);
  }
  // Its last renewal came after its death, or nobody who takes over knows yet how slow the server is.
  const isOrdinary =
    !world.ghostOfCrashed && !world.restored && !isSlow(candidates, network.steadyMs);
  // A lease that is left to a coordinator is so long without a renewal that a watch seems silent.
  if (isMixed(candidates) || !isOrdinary || scenario.coordinated) return;
  // The wait for others (R22) grows with the delays, and a watch seems silent two retry periods after the lease ran out.
  if (candidates.some(({ config }) => config.retryPeriodMs < 4 * network.mostDelayMs)) return;
  let quiet = true;
  for (const replica of replicas) {
    if (!replica.alive) continue;
    const { traits } = replica;
    const [reads, , opens] = deedsBetween(replica, handoverAt, endAt);
    const errors = replica.application.errors.filter(({ at }) => at >= handoverAt);
    const looks = traits.watches ? reads + opens : 0;
    if (looks === 0 && errors.length === 0) continue;
    quiet = false;
    const detail = `${replica.name}: ${reads} reads, ${opens} watches, ${textOf(errors)}`;
    world.violate('quiet-takeover', detail, handoverAt);
  }
  if (quiet) world.count('quiet-crash-failover');
}

function deedsBetween({ deeds }: Replica, from: number, to: number): [number, number, number] {
  let [reads, writes, opens] = [0, 0, 0];
  for (const { at, what } of deeds) {
    if (at < from || at >= to) continue;
    if (what === 'read') reads++;
    else if (what === 'open-watch') opens++;
    else writes++;
  }
  return [reads, writes, opens];
}

function textOf(errors: SimulatedApplication['errors']): string {
  return errors.map(({ error }) => error.message).join(', ') || 'no error';
}

/** L2, and that a stop ends: somebody else leads soon after the leader was stopped in good order. */
export function judgeHandover(world: World): void {
  const { scenario, beliefs, replicas } = world;
  const { handoverAt, candidates, bounds } = scenario;
  const stopped = replicas.find(({ stopping, alive }) => stopping && alive);
  if (stopped === undefined) return;
  if (!stopped.stopped) world.violate('stop-ends', `${stopped.name} has not stopped`, handoverAt);
  if (!stopped.config.releaseOnShutdown || candidates.length === 1) return;
  const next = beliefs.beliefs.find(({ from }) => from >= handoverAt);
  const isDirected = world.succession.namedSince(handoverAt) !== undefined;
  const boundMs = bounds.handoverMs + (isDirected ? bounds.graceMs : 0);
  if (next === undefined || next.from > handoverAt + boundMs) {
    const detail = `the next leader comes ${(next?.from ?? Infinity) - handoverAt} ms after the stop`;
    return world.violate(isDirected ? 'grace-ends' : 'quick-handover', detail, handoverAt);
  }
  world.succession.judgeHandover(next.process);
}
