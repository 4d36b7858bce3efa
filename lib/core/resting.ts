import type { RestingMember } from './election-state.js';
import { gaveUpOf, isOfTermOrBefore, type LeaseRecord } from './lease-record.js';
import type { Step } from './step.js';
import type { RevocationReason } from './term.js';

/**
 * Who has given up as unfit to lead, or as a handler failed, is to be no target of a handover for a while (R25). The record
 * says so from then on until the end of the next term, so that whoever polls or has just started hears of it as well. Each
 * process counts the time on its own clock, from when it first heard.
 */

const MOST_RESTING = 256;
const MOST_COUNT = 99;
/** For the first time, in `placementCooldownMs`; doubled each time. */
const FIRST_REST_COOLDOWNS = 10;
const LONGEST_REST_MS = 24 * 3_600_000;

/** By the monotonic clock of this process. */
export function restsUntil(
  { since, count }: Pick<RestingMember, 'since' | 'count'>,
  placementCooldownMs: number,
): number {
  return (
    since + Math.min(LONGEST_REST_MS, FIRST_REST_COOLDOWNS * placementCooldownMs * 2 ** (count - 1))
  );
}

/** This process ends a term: nothing is written of it where it has no name as a member. */
export function noteGivingUp(step: Step, term: number, reason: RevocationReason): void {
  const { memberUid: uid } = step.config;
  if (uid === undefined || (reason !== 'ineligible' && reason !== 'handler-failed')) return;
  const before = step.state.resting.find((known) => known.uid === uid);
  const count = Math.min(MOST_COUNT, (before?.count ?? 0) + 1);
  remember(step, { uid, count, transitions: term, since: step.now });
}

/**
 * Takes note of who has given up. Every record of two terms says it, and it counts once. What is known of a later term stays:
 * a renewal that was under way when this process gave up again still says it of the term before.
 */
export function reviewResting(step: Step, record: LeaseRecord): void {
  const mark = gaveUpOf(record);
  if (mark === undefined) return;
  const known = step.state.resting.find(({ uid }) => uid === mark.uid);
  if (known !== undefined && isOfTermOrBefore(mark, known.transitions)) return;
  remember(step, { ...mark, count: Math.min(MOST_COUNT, mark.count), since: step.now });
}

/** What a record of this term says of who has given up: this process in this term, or another in the one before. */
export function writtenGaveUp(step: Step, term: number): LeaseRecord['gaveUp'] {
  const { state, config } = step;
  const own = state.resting.find(({ uid }) => uid === config.memberUid);
  if (own?.transitions === term) {
    const { transitions, uid, count } = own;
    return { transitions, uid, count };
  }
  const record = state.observation?.lease?.record;
  const kept = record === undefined ? undefined : gaveUpOf(record);
  return kept !== undefined && isOfTermOrBefore(kept, term) ? kept : undefined;
}

function remember(step: Step, resting: RestingMember): void {
  const others = step.state.resting.filter(({ uid }) => uid !== resting.uid);
  step.state.resting = [...others, resting].slice(-MOST_RESTING);
}
