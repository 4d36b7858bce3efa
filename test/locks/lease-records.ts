import type { LeaseRecord } from '../../lib/core/lease-record.js';

export { held, NOW_MICROS } from '../../lib/contracts/lease-records.js';

/** What is read where nobody has written a field that can be understood. */
export const EMPTY_RECORD: LeaseRecord = {
  holderIdentity: '',
  leaseDurationSeconds: null,
  acquireTimeMicros: null,
  renewTimeMicros: null,
  leaseTransitions: 0,
  releasedTransitions: null,
};
