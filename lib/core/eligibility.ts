import type { ElectionEvent, LeadingTenure, Observation } from './election-state.js';
import { beginDraining } from './holding.js';
import { claimableAt, isOwnRecord } from './observing.js';
import type { Step } from './step.js';
import { LET_GO_MS, SHORTEST_GRACE_MS } from './succession.js';

/** Takes note of a report. Whether it changes anything shows once it has stayed the same for the grace. */
export function onEligibilityReported(
  step: Step,
  { isEligible, mayHandOver }: Extract<ElectionEvent, { kind: 'eligibility' }>,
): void {
  // A process that was held up hears of the next report before it has noticed that the last one has begun to count.
  if (step.now >= countsFrom(step)) adopt(step);
  const { eligibility: known, candidacy } = step.state;
  const isIdle = candidacy === 'idle';
  const hasCompeted = known.hasCompeted || (!isIdle && known.isEligible);
  const since = isEligible === known.isReported ? known.since : step.now;
  step.state.eligibility = {
    ...known,
    isReported: isEligible,
    since,
    mayHandOver,
    hasCompeted,
  };
  // A flap takes two changes. A process that begins has made none: its first state counts at once, and so does the moment
  // at which it becomes able to lead, as it may be the very member that a release names.
  const isBeginner = !hasCompeted && step.state.lastGrantedTerm === null;
  if (isIdle || (isEligible && isBeginner)) adopt(step);
}

/** Eligibility changes who competes and who hands over, never who may believe (R25). */
export function reviewEligibility(step: Step): void {
  if (step.now >= countsFrom(step)) adopt(step);
  const tenure = tenureToHandOver(step);
  if (tenure === null) return;
  // Once per episode: where all are ineligible, leadership would otherwise never stay anywhere.
  const { eligibility } = step.state;
  step.state.eligibility = { ...eligibility, hasHandedOver: true, letGoTerm: tenure.term };
  beginDraining(step, 'ineligible');
}

/** When eligibility is to be reviewed though no event comes; Infinity if nothing is due. */
export function eligibilityDueAt(step: Step): number {
  return tenureToHandOver(step) === null ? countsFrom(step) : step.now;
}

/** When a report begins to count; Infinity if there is nothing new in it. */
function countsFrom({ state, config }: Step): number {
  const { eligibility, candidacy } = state;
  const isOver = candidacy === 'stopping' || candidacy === 'stopped';
  if (isOver || eligibility.isReported === eligibility.isEligible) return Infinity;
  return eligibility.since + config.ineligibleGraceMs;
}

function tenureToHandOver({ state }: Step): LeadingTenure | null {
  const { eligibility, candidacy, tenure } = state;
  const { isEligible, mayHandOver, hasHandedOver } = eligibility;
  if (isEligible || !mayHandOver || hasHandedOver) return null;
  return candidacy === 'contending' && tenure?.stage === 'leading' ? tenure : null;
}

function adopt(step: Step): void {
  const { eligibility } = step.state;
  const isEligible = eligibility.isReported;
  if (isEligible === eligibility.isEligible) return;
  const hasHandedOver = !isEligible && eligibility.hasHandedOver;
  step.state.eligibility = { ...eligibility, isEligible, hasHandedOver };
  step.emit({ kind: 'eligibility-changed', isEligible });
}

/**
 * The earliest instant of an attempt on the observed lease by this process, eligible or not. One that is not leaves the
 * lease to others for as long as a lease lasts; if none has taken it by then, none will. So a role is never without a
 * leader for good, and nothing deadlocks that waits for leadership before it becomes eligible.
 */
export function competesFrom(step: Step, observation: Observation): number {
  const claimable = claimableAt(step, observation);
  const { isEligible, letGoTerm } = step.state.eligibility;
  const record = observation.lease?.record;
  // It never let go of this one: leading is not interrupted for longer than it has been.
  if (record !== undefined && isOwnRecord(step, record)) return claimable;
  if (record?.holderIdentity === '' && record.leaseTransitions === letGoTerm) {
    return Math.max(claimable, observation.since + graceMs(step) + LET_GO_MS);
  }
  return isEligible ? claimable : claimable + step.config.leaseDurationMs;
}

function graceMs({ config }: Step): number {
  return Math.min(SHORTEST_GRACE_MS, config.retryPeriodMs);
}
