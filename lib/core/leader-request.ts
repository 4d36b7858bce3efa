import type { SuccessorChoice } from './election-state.js';
import {
  isOfTermOrBefore,
  type LeaderRequest,
  type LeaseRecord,
  type RequestAnswer,
} from './lease-record.js';
import type { Step } from './step.js';

/**
 * What a person, or the command line for one, asks the leader for, by a mark on the lease (R27). Whoever may write the lease
 * may ask: that is the permission. The mark changes no timing, so it prolongs no lease; the leader hears of it by its watch,
 * or by the conflict of its next renewal. It does what it is asked for once, and only in the term that the mark names, and
 * answers with another mark, which stays until the end of the next term.
 */

/** A late read may show an earlier request once more, after several others. */
const MOST_HEARD = 8;

/** The request of a record, if it is meant for the holder that the record names, and its present term. */
function requestOf(record: LeaseRecord): LeaderRequest | undefined {
  const { request, holderIdentity, leaseTransitions } = record;
  const isMeant =
    request?.transitions === leaseTransitions && request.holderIdentity === holderIdentity;
  return isMeant && holderIdentity !== '' ? request : undefined;
}

/** After the holder's tenure was reviewed: what is observed is its own record. True: it is to step down now. */
export function reviewRequest(step: Step): boolean {
  const { tenure, observation, heardRequests } = step.state;
  const record = observation?.lease?.record;
  if (tenure === null || record?.request === undefined) return false;
  const request = requestOf(record);
  if (request === undefined || request.transitions !== tenure.term) return false;
  if (heardRequests.includes(nameOf(request))) return false;
  // Who is to follow is looked up by the shell, which is then in the middle of the grant: heard with the next event after it.
  if (request.successor !== undefined && tenure.stage === 'settling') return false;
  step.state.heardRequests = [...heardRequests, nameOf(request)].slice(-MOST_HEARD);
  if (request.asks === 'read-schedule') {
    if (tenure.stage === 'leading') step.emit({ kind: 'schedule-changed' });
    answer(step, request);
    return false;
  }
  const isLeaving = tenure.stage === 'draining' || tenure.stage === 'releasing';
  if (request.successor !== undefined && !isLeaving) {
    step.emit({ kind: 'choose-successor', request });
    return false;
  }
  answer(step, request);
  return !isLeaving;
}

/**
 * It was looked up who is to follow. The term may have ended in the meantime, and the request with it. True as of
 * {@link reviewRequest}.
 */
export function onSuccessorLookedUp(
  step: Step,
  request: LeaderRequest,
  choice: SuccessorChoice,
): boolean {
  const { tenure, heardRequests } = step.state;
  const isOver = tenure === null || tenure.term !== request.transitions;
  if (isOver || heardRequests.at(-1) !== nameOf(request)) return false;
  if ('refused' in choice) {
    answer(step, request, choice.refused);
    return false;
  }
  step.state.successorUid = choice.uid;
  answer(step, request);
  return true;
}

/** People write requests by hand, and may use an id again: it is another request in another term. */
function nameOf({ id, transitions }: LeaderRequest): string {
  return `${transitions} ${id}`;
}

/** The next write says it, and that is due at once. */
function answer(step: Step, request: LeaderRequest, refused = ''): void {
  const { id, transitions } = request;
  const by = step.config.identity;
  const atMicros = Math.floor(step.at.wallMicros);
  step.state.answer = { id, transitions, by, atMicros, refused };
  step.state.nextAttemptAt = Math.min(step.state.nextAttemptAt, step.now);
  step.emit({ kind: 'request-answered', request, refused });
}

/** What a record of this term says: the own answer, or that of the term before. */
export function writtenAnswer({ state }: Step, term: number): RequestAnswer | null {
  const kept = state.observation?.lease?.record.answer;
  const known = state.answer?.transitions === term ? state.answer : kept;
  return known != null && isOfTermOrBefore(known, term) ? known : null;
}
