import type { LeaseRecord } from '../core/lease-record.js';

/** 2026-01-02T03:04:05.678901Z */
export const NOW_MICROS = 1_767_323_045_678_901;

/** A record of the first term, held by this process. */
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
