import type { Fault, FaultKind } from './fault.js';
import type { Durations } from './option-draw.js';
import { RandomStream } from './random-stream.js';

export interface FaultPlan {
  readonly kinds: readonly FaultKind[];
  readonly count: number;
  readonly slots: number;
  readonly from: number;
  readonly healAt: number;
  readonly durations: Durations;
}

/** Swarm testing: each seed leaves some kinds out, so that the others get to work together undisturbed. */
export function drawKinds(random: RandomStream, offered: readonly FaultKind[]): FaultKind[] {
  const share = random.pick([0.15, 0.3, 0.6, 1]);
  return offered.filter(() => random.chance(share));
}

export function drawFaults(seed: number, plan: FaultPlan): Fault[] {
  if (plan.kinds.length === 0) return [];
  const random = new RandomStream(seed, 'faults');
  const faults: Fault[] = [];
  while (faults.length < plan.count) faults.push(...drawFault(random, plan));
  return faults.toSorted((a, b) => a.at - b.at);
}

function drawFault(random: RandomStream, plan: FaultPlan): Fault[] {
  const { leaseDurationMs, renewDeadlineMs } = plan.durations;
  const at = random.between(plan.from, plan.healAt - 100);
  // Around the renew deadline and the lease duration is where things are decided.
  const lasts = random.pick([
    random.between(50, 2_000),
    random.between(0.7, 1.3) * renewDeadlineMs,
    random.between(0.7, 1.6) * leaseDurationMs,
    random.between(0.1, 4) * leaseDurationMs,
  ]);
  const fault: Fault = {
    kind: random.pick(plan.kinds),
    at,
    until: Math.min(at + lasts, plan.healAt - 1),
    slot: random.whole(0, plan.slots - 1),
    severity: random.next(),
  };
  // Some faults strike all at once, some strike together with another.
  const everyone = random.chance(0.15);
  const slots = everyone ? Array.from({ length: plan.slots }, (_, slot) => slot) : [fault.slot];
  const kinds = random.chance(0.3) ? [fault.kind, random.pick(plan.kinds)] : [fault.kind];
  return kinds.flatMap((kind) => slots.map((slot) => ({ ...fault, kind, slot })));
}
