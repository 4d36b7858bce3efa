import { type LeaseRecord, nextTransitions } from '../../lib/core/lease-record.js';
import type { StoredRecord } from './lease-store.js';

/** What a webhook is shown of a write, and how it is inclined. */
interface Admission {
  readonly sent: LeaseRecord;
  /** Undefined for a creation. */
  readonly former: LeaseRecord | undefined;
  /** Uniform in [0, 1). */
  readonly severity: number;
  /** Also what lets others take the lease of a holder that believes: nothing can help against that (H4). */
  readonly lawless: boolean;
}

type Change = (sent: LeaseRecord, former: LeaseRecord) => Partial<LeaseRecord>;

/** Drawn most often, as it leaves everything as it should be but what counts: the time of those who observe. */
const UNDOINGS: readonly Change[] = [
  (_sent, former) => former,
  (_sent, { renewTimeMicros }) => ({ renewTimeMicros }),
];

const CHANGES: readonly Change[] = [
  ...UNDOINGS,
  ...UNDOINGS,
  ...UNDOINGS,
  (_sent, { holderIdentity }) => ({ holderIdentity }),
  () => ({ holderIdentity: 'webhook' }),
  ({ leaseDurationSeconds }) => ({ leaseDurationSeconds: 2 * (leaseDurationSeconds ?? 0) }),
  ({ leaseTransitions }) => ({ leaseTransitions: nextTransitions(leaseTransitions) }),
  () => ({ acquireTimeMicros: null }),
  ({ renewTimeMicros }) => ({ renewTimeMicros: wholeSeconds(renewTimeMicros) }),
  () => ({ releasedTransitions: null }),
];

/** An acquisition that shows it begins no term, so that nobody can believe in it; a renewal is of somebody who does. */
const HARMFUL_TO_BELIEVERS: readonly Change[] = [
  () => ({ holderIdentity: '' }),
  () => ({ leaseDurationSeconds: 1 }),
];

/**
 * A mutating admission webhook: what is stored is not what was sent. It changes the labels too, or somebody else in
 * line does, so that a record that it puts back has a new version all the same; for one in four it has not.
 */
export function admit({ sent, former, severity, lawless }: Admission): StoredRecord {
  const isRenewal = sent.holderIdentity !== '' && sent.acquireTimeMicros !== sent.renewTimeMicros;
  const changes = isRenewal && !lawless ? CHANGES : [...CHANGES, ...HARMFUL_TO_BELIEVERS];
  const change = changes[Math.floor(severity * changes.length)]!;
  const changed = former === undefined ? {} : change(sent, former);
  return { record: { ...sent, ...changed }, touches: (severity * 997) % 1 < 0.75 };
}

function wholeSeconds(micros: number | null): number | null {
  return micros === null ? null : Math.floor(micros / 1_000_000) * 1_000_000;
}
