import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import { isJsonObject, type JsonDocument, partOf } from '../../core/json-document.js';
import type { ReadOutcome } from '../../core/resource-lock.js';
import { leaseAge } from '../lease-times.js';
import { duration } from '../output.js';
import { fault, type Finding, ok, warning } from './finding.js';

/** What the application is configured to do, as far as the command line says it. */
export interface Expected {
  readonly leaseDurationMs: number;
  /** Undefined: it is not known. */
  readonly application: string | undefined;
  readonly createLease: boolean;
}

/** A holder writes each retry period, and times of others may be some seconds off. */
const TOLERATED_FUTURE_MS = 5_000;

/** The lease as it stands, in plain words. */
export function leaseFindings(
  outcome: ReadOutcome,
  place: string,
  expected: Expected,
  now: number,
): readonly Finding[] {
  if (outcome.kind === 'failed') {
    return [fault('lease.unreadable', outcome.error.message, 'Mend what the message names.')];
  }
  if (outcome.kind === 'absent') {
    return [
      expected.createLease
        ? ok('lease.missing', `${place} does not exist yet: the first candidate creates it`)
        : fault(
            'lease.missing',
            `${place} does not exist, and createLease is false`,
            'Create it, or let the application create it.',
          ),
    ];
  }
  const { record, source } = outcome.stored;
  const findings = [
    ...stateOf(record, place, now),
    ...settingsOf(record, place, expected),
    ...objectOf(source, place),
  ];
  return findings;
}

function stateOf(record: LeaseRecord, place: string, now: number): Finding[] {
  const { holderIdentity, leaseTransitions: term } = record;
  const age = leaseAge(record, now);
  if (holderIdentity === '') {
    const isReleased = record.releasedTransitions === term;
    return [
      isReleased
        ? ok('lease.released', `${place} was released in term ${term}: no process holds it`)
        : warning(
            'lease.without-holder',
            `${place} has no holder, and none has released it`,
            'Do not edit the lease: use stepDown() or the command step-down.',
          ),
    ];
  }
  if (age === undefined) {
    return [
      warning(
        'lease.malformed',
        `${place} is held by ${holderIdentity}, but its renewTime or leaseDurationSeconds cannot be read`,
        'Find out who writes it: a candidate takes it when it has not changed for a lease duration.',
      ),
    ];
  }
  const { ageMs, validMs } = age;
  if (ageMs < -TOLERATED_FUTURE_MS) {
    return [
      warning(
        'lease.future',
        `${place} was renewed ${duration(-ageMs)} in the future by the clock of ${holderIdentity}`,
        'Set the clock of the machine of the holder by NTP.',
      ),
    ];
  }
  if (validMs < 0) {
    return [
      warning(
        'lease.expired',
        `${place} expired ${duration(-validMs)} ago: ${holderIdentity} has not renewed it, and no process has taken it`,
        'Start a replica, or look at the log of the replicas for request.failed.',
      ),
    ];
  }
  return [
    ok(
      'lease.held',
      `${holderIdentity} leads in term ${term}; renewed ${duration(Math.max(0, ageMs))} ago, valid for ${duration(validMs)} more`,
    ),
  ];
}

function settingsOf(record: LeaseRecord, place: string, expected: Expected): Finding[] {
  const findings: Finding[] = [];
  const { leaseDurationSeconds, application, coordination, holderIdentity } = record;
  const configured = Math.ceil(expected.leaseDurationMs / 1_000);
  if (
    holderIdentity !== '' &&
    leaseDurationSeconds !== null &&
    leaseDurationSeconds !== configured
  ) {
    findings.push(
      warning(
        'lease.mixed-settings',
        `${holderIdentity} holds ${place} with leaseDurationSeconds ${leaseDurationSeconds}, and the configured leaseDurationMs is ${expected.leaseDurationMs}`,
        'Give all replicas the same times, or doctor those of the application (--profile, --lease-duration-ms). In a rolling update this ends with it.',
      ),
    );
  }
  if (coordination !== undefined) {
    findings.push(
      warning(
        'lease.coordinated',
        `${place} has spec.strategy "${coordination.strategy}": every handover waits a whole lease duration for a coordinator`,
        'Remove spec.strategy and spec.preferredHolder from the lease (kubectl edit).',
      ),
    );
  }
  if (
    application !== undefined &&
    expected.application !== undefined &&
    application !== expected.application
  ) {
    findings.push(
      fault(
        'lease.two-applications',
        `the holder belongs to application "${application}", and this is "${expected.application}": two applications share one lease, and only one of them ever leads`,
        'Give one of them a leaseName of its own; if they are one, give both the same option application.',
      ),
    );
  }
  if (application === undefined && holderIdentity !== '' && expected.application !== undefined) {
    findings.push(
      warning(
        'lease.foreign-holder',
        `${holderIdentity} does not say which application it belongs to: it may be another program or an older version`,
        'If it is another program, give this application a leaseName of its own.',
      ),
    );
  }
  return findings;
}

/** What Kubernetes does with the object by itself. */
function objectOf(source: ObservedLease['source'], place: string): Finding[] {
  if (!isJsonObject(source)) return [];
  const metadata: JsonDocument = partOf(source, 'metadata');
  const findings: Finding[] = [];
  if (typeof metadata['deletionTimestamp'] === 'string') {
    findings.push(
      warning(
        'lease.being-deleted',
        `${place} is being deleted, and waits for its finalizers`,
        'Remove the finalizers that the object names; the next candidate creates it again.',
      ),
    );
  }
  const owners = metadata['ownerReferences'];
  if (Array.isArray(owners) && owners.length > 0) {
    const [owner] = owners.filter(isJsonObject);
    findings.push(
      warning(
        'lease.owned',
        `${place} belongs to ${String(owner?.['kind'])} ${String(owner?.['name'])}, and is deleted with it`,
        'Remove the ownerReferences, unless the lease is to end with its owner.',
      ),
    );
  }
  return findings;
}
