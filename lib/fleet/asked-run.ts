import type { TriggerAnswer } from '../schedule/ledger/job-record.js';
import type { AskedOutcome } from '../schedule/ledger/run-asker.js';
import { FleetError } from './fleet-error.js';

type Unanswered = Exclude<AskedOutcome, { readonly kind: 'answered' }>;

/** What is known of a run that was claimed. */
export function known({ by, state }: TriggerAnswer): string {
  if (state === 'interrupted') return interruption(by);
  if (state !== 'claimed') return `${by} has started a run`;
  return (
    `${by} has claimed a run, and has not said that it has started it. It may still start, so do not ask again before ` +
    '`jobs` shows what became of it.'
  );
}

const NOT_KNOWN_AS_STARTED: readonly TriggerAnswer['state'][] = [
  'refused',
  'claimed',
  'not-started',
  'interrupted',
];

/** True if it is known that its handler was called. */
export function isStarted({ state }: TriggerAnswer): boolean {
  return !NOT_KNOWN_AS_STARTED.includes(state);
}

export function interruption(by: string): string {
  return `${by} claimed a run and recorded no end of it: the work may be done in part, in full or not at all`;
}

export function notStarted(job: string, { by, refused }: TriggerAnswer): FleetError {
  const why = `${by} claimed a run and did not start it: ${refused}`;
  return new FleetError(`job ${job}: ${why}. It will not start; ask again.`, true);
}

export function notAnswered(job: string, outcome: Unanswered, timeoutMs: number): FleetError {
  return new FleetError(`job ${job}: ${whyNotAnswered(outcome, timeoutMs)}`, true);
}

function whyNotAnswered(outcome: Unanswered, timeoutMs: number): string {
  switch (outcome.kind) {
    case 'busy':
      return 'it has been asked for another run, which has not started yet. This one was not asked for.';
    case 'taken-back':
      return (
        `no leader started a run within ${timeoutMs} ms, and the request was taken back: none will start. Either no process ` +
        'leads, or the leader is an older version of the library, which ignores it, or it does not know the job, or it is ' +
        'stopped or cut off.'
      );
    case 'overtaken':
      return (
        'the request is no longer in the record, and the answer there is that to another one. ' +
        mayStart(outcome.notAfter)
      );
    case 'unresolved':
      return (
        'it is not known whether the request is stored, and it could not be taken back. ' +
        mayStart(outcome.notAfter)
      );
    default:
      return 'the record of the job has been removed.';
  }
}

function mayStart(notAfter: number): string {
  return (
    `A run may have started, or may still start until ${new Date(notAfter).toISOString()} by the clock of the leader. Do ` +
    'not ask again before `jobs --json` shows whether it has: a second run could start.'
  );
}
