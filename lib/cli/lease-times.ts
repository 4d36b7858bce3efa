import type { LeaseRecord } from '../core/lease-record.js';

/** As Date has it; null where the record has no such time. */
export function msOf(micros: number | null): number | null {
  return micros === null ? null : micros / 1_000;
}

/** How long ago a lease was renewed, and for how long it is valid, by the wall clocks of its holder and of this machine. */
export interface LeaseAge {
  /** Negative if it was renewed in the future. */
  readonly ageMs: number;
  /** Negative once it has expired. */
  readonly validMs: number;
}

/** Undefined if the record does not say. */
export function leaseAge(record: LeaseRecord, now: number): LeaseAge | undefined {
  const renewedAt = msOf(record.renewTimeMicros);
  if (renewedAt === null || record.leaseDurationSeconds === null) return undefined;
  const ageMs = now - renewedAt;
  return { ageMs, validMs: record.leaseDurationSeconds * 1_000 - ageMs };
}
