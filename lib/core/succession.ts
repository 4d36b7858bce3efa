import { type LeaseRecord, nextTransitions, successorOf } from './lease-record.js';
import type { Step } from './step.js';

/**
 * Directed releases (R23): a process that releases the lease on purpose may name who is to follow. The named one acquires at once; all
 * others hold back for a grace, so that it meets none of them. Nothing is promised to it: whoever comes when the grace is over
 * is as good, and one that was named and did not come is not named again before it was seen to lead.
 */

/** How long a release leaves to whom it is meant for, at least; never longer than a retry period. */
export const SHORTEST_GRACE_MS = 1_000;
/** The one that let go is not to be the first after the grace. */
export const LET_GO_MS = 2_000;
/** Each is the uid of a process that has not led since. Enough for any fleet, and an end. */
const REMEMBERED_NAMES = 256;

/** When those who compete for a released lease begin their wait: how long after the release was seen. */
export function heldBackMs(step: Step, record: LeaseRecord): number {
  const successor = successorOf(record);
  if (successor === undefined || successor === step.config.memberUid) return 0;
  const { retryPeriodMs } = step.config;
  const stepMs = record.crowd?.stepMs ?? 0;
  const graceMs = Math.min(retryPeriodMs, Math.max(SHORTEST_GRACE_MS, 2 * stepMs));
  return step.state.lastGrantedTerm === record.leaseTransitions ? graceMs + LET_GO_MS : graceMs;
}

/** Acquires a directed release without any wait. */
export function isNamed(step: Step, record: LeaseRecord): boolean {
  const { memberUid } = step.config;
  return memberUid !== undefined && successorOf(record) === memberUid;
}

/** Whom a release of the present term may name. */
export function chosenSuccessor({ state, config }: Step): string | null {
  const { successorUid, namedInVain } = state;
  if (successorUid === null || successorUid === config.memberUid) return null;
  return namedInVain.includes(successorUid) ? null : successorUid;
}

/** Takes note of who follows a directed release, and of who leads. */
export function reviewSuccession(
  step: Step,
  former: LeaseRecord | undefined,
  record: LeaseRecord,
): void {
  if (record.holderIdentity === '') return;
  const { namedInVain } = step.state;
  const { memberUid, holderIdentity } = record;
  if (memberUid !== undefined && namedInVain.includes(memberUid)) {
    step.state.namedInVain = namedInVain.filter((uid) => uid !== memberUid);
  }
  const named = former === undefined ? undefined : successorOf(former);
  if (named === undefined || named === memberUid) return;
  // Of what came in between nothing is known, and it may have been the named one.
  if (record.leaseTransitions !== nextTransitions(former!.leaseTransitions)) return;
  if (step.state.namedInVain.includes(named)) return;
  step.state.namedInVain = [...step.state.namedInVain, named].slice(-REMEMBERED_NAMES);
  step.emit({ kind: 'named-in-vain', uid: named, leader: holderIdentity });
}
