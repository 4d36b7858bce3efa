import type { LeaseRecord } from '../../lib/core/lease-record.js';

/** 2026-01-02T03:04:05.678901Z */
export const NOW_MICROS = 1_767_323_045_678_901;

/** What is read where nobody has written a field that can be understood. */
export const EMPTY_RECORD: LeaseRecord = {
  holderIdentity: '',
  leaseDurationSeconds: null,
  acquireTimeMicros: null,
  renewTimeMicros: null,
  leaseTransitions: 0,
  releasedTransitions: null,
};

export function held(holderIdentity: string, change: Partial<LeaseRecord> = {}): LeaseRecord {
  return {
    holderIdentity,
    leaseDurationSeconds: 15,
    acquireTimeMicros: NOW_MICROS,
    renewTimeMicros: NOW_MICROS,
    leaseTransitions: 1,
    releasedTransitions: null,
    ...change,
  };
}
