import type { ReadOutcome, WriteOutcome } from '../../core/resource-lock.js';
import { type DecodedLease, decodeLease } from './lease-record.codec.js';
import { isObjectMissing, isVersionConflict, provesNotApplied } from './api-status.js';
import {
  explainNoAnswer,
  explainResponse,
  explainUnusable,
  type Asked,
} from './kubernetes-error.js';
import type { ApiAnswer } from './kubernetes-transport.js';

type Response = Extract<ApiAnswer, { kind: 'response' }>;

/** What an answer to a GET of the object means. */
export function readOutcome(asked: Asked, answer: ApiAnswer): ReadOutcome {
  if (answer.kind !== 'response') return { kind: 'failed', error: explainNoAnswer(asked, answer) };
  if (answer.status === 200) {
    const decoded = decodeBody(asked, answer);
    return decoded.ok
      ? { kind: 'found', lease: decoded.lease }
      : { kind: 'failed', error: explainUnusable(asked, answer, decoded.problem) };
  }
  if (isObjectMissing(answer, asked.address)) return { kind: 'absent' };
  return { kind: 'failed', error: explainResponse(asked, answer) };
}

/** What an answer to a POST or PUT of the object means (R9). */
export function writeOutcome(asked: Asked, answer: ApiAnswer, signal: AbortSignal): WriteOutcome {
  if (answer.kind !== 'response') {
    const error = explainNoAnswer(asked, answer);
    // The port promises `unknown` for a write that the election gave up, whatever had become of it by then.
    return answer.kind === 'not-sent' && !signal.aborted
      ? { kind: 'not-applied', error }
      : { kind: 'unknown', error };
  }
  const { status } = answer;
  if (status === 200 || status === 201) return applied(asked, answer);
  if (isVersionConflict(asked.verb, answer, asked.address)) return { kind: 'conflict' };
  if (asked.verb === 'update' && isObjectMissing(answer, asked.address)) return { kind: 'absent' };
  const error = explainResponse(asked, answer);
  return provesNotApplied(answer) ? { kind: 'not-applied', error } : { kind: 'unknown', error };
}

/** A success counts only with the object that was written: the next write needs its version. */
function applied(asked: Asked, answer: Response): WriteOutcome {
  const decoded = decodeBody(asked, answer);
  return decoded.ok
    ? { kind: 'applied', lease: decoded.lease }
    : { kind: 'unknown', error: explainUnusable(asked, answer, decoded.problem) };
}

function decodeBody({ address }: Asked, { body }: Response): DecodedLease {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { ok: false, problem: body === '' ? 'has no body' : 'is not JSON' };
  }
  return decodeLease(json, address);
}
