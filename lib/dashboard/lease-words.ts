import { isJsonObject, partOf } from '../core/json-document.js';
import { leaderAddressOf } from '../core/leader-address.js';
import {
  isCleanRelease,
  isOfTermOrBefore,
  type LeaseRecord,
  type ObservedLease,
  successorOf,
} from '../core/lease-record.js';
import { shortIdentity } from '../election/log-entry.js';

/** What a lease says, one sentence a line. Times are absolute, by the clock of whoever wrote them. */
export function leaseWords(lease: ObservedLease | null, place: string): readonly string[] {
  if (lease === null) return [`${place} does not exist: the first candidate creates it.`];
  const { record, source } = lease;
  return [
    ...holderWords(record, place),
    ...requestWords(record),
    ...settingWords(record),
    ...objectWords(source, place),
  ];
}

function holderWords(record: LeaseRecord, place: string): string[] {
  const { holderIdentity, leaseTransitions: term, acquireTimeMicros, renewTimeMicros } = record;
  if (holderIdentity === '') {
    if (!isCleanRelease(record)) {
      return [
        `${place} has no holder, and none has released it: someone has cleared it by hand, or made it so.`,
      ];
    }
    const successor = successorOf(record);
    return [
      `${place} was released in term ${term}${at(renewTimeMicros)}: no process holds it.`,
      ...(successor === undefined ? [] : [`The release named the member ${successor} to follow.`]),
    ];
  }
  const holder = shortIdentity(holderIdentity);
  const seconds = record.leaseDurationSeconds;
  const address = leaderAddressOf(record);
  return [
    `${holder} acquired ${place} in term ${term}${at(acquireTimeMicros)}.`,
    renewTimeMicros === null
      ? 'When it was last renewed cannot be read.'
      : `It was last renewed${at(renewTimeMicros)}.`,
    seconds === null
      ? 'It does not say for how long it is valid: candidates use their own leaseDurationMs.'
      : `Another process takes it when it has not been renewed for ${seconds} s.`,
    ...(address === undefined ? [] : [`The leader answers requests at ${address}.`]),
  ];
}

function requestWords({ request, answer, leaseTransitions: term }: LeaseRecord): string[] {
  const words: string[] = [];
  if (request !== undefined && request.transitions === term && request.id !== answer?.id) {
    const what =
      request.asks === 'step-down' ? 'to step down' : 'to read what was changed of its jobs';
    const whom = request.successor === undefined ? '' : ` in favour of ${request.successor}`;
    words.push(`The leader is asked ${what}${whom}${by(request.by)}, and has not answered yet.`);
  }
  if (answer !== undefined && isOfTermOrBefore(answer, term)) {
    const what =
      answer.refused === '' ? 'has done what it was asked for' : `has refused: ${answer.refused}`;
    words.push(`${shortIdentity(answer.by)} ${what} (term ${answer.transitions}).`);
  }
  return words;
}

function by(who: string | undefined): string {
  return who === undefined ? '' : ` by ${who}`;
}

function settingWords({
  application,
  coordination,
  crowd,
  gaveUp,
  ...record
}: LeaseRecord): string[] {
  const words: string[] = [];
  if (application !== undefined) words.push(`The holder belongs to application "${application}".`);
  if (crowd !== undefined && record.holderIdentity !== '') {
    const count = Math.max(1, Math.round(crowd.candidates));
    words.push(`The leader counts ${count === 1 ? '1 candidate' : `${count} candidates`}.`);
  }
  if (gaveUp !== undefined && isOfTermOrBefore(gaveUp, record.leaseTransitions)) {
    words.push(
      `The member ${gaveUp.uid} has given up (term ${gaveUp.transitions}), and is not named to follow for a while.`,
    );
  }
  if (coordination !== undefined) {
    words.push(
      `spec.strategy is "${coordination.strategy}": every handover waits a whole lease duration for a coordinator. ` +
        'Remove spec.strategy and spec.preferredHolder from the lease.',
    );
  }
  return words;
}

/** What Kubernetes does with the object by itself. */
function objectWords(source: unknown, place: string): string[] {
  const { deletionTimestamp, ownerReferences } = partOf(source, 'metadata');
  const words: string[] = [];
  if (typeof deletionTimestamp === 'string') {
    words.push(`${place} is being deleted, and waits for its finalizers.`);
  }
  const [owner] = Array.isArray(ownerReferences) ? ownerReferences.filter(isJsonObject) : [];
  if (owner !== undefined) {
    const name = `${String(owner['kind'])} ${String(owner['name'])}`;
    words.push(`${place} belongs to ${name}, and is deleted with it.`);
  }
  return words;
}

function at(micros: number | null): string {
  return micros === null ? '' : ` at ${new Date(micros / 1_000).toISOString()}`;
}

/**
 * The object as it is stored, without what only the API server reads. A ConfigMap holds what is no business of a viewer, and
 * other locks keep what they like: of those only the record is shown.
 */
export function rawLease({ record, source }: ObservedLease): unknown {
  const isLease = isJsonObject(source) && source['kind'] === 'Lease';
  if (!isLease) return record;
  const { managedFields: _managedFields, ...metadata } = partOf(source, 'metadata');
  return { ...source, metadata };
}
