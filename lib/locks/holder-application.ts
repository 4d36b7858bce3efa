import type { LeaseRecord } from '../core/lease-record.js';

/** `plan-scheduler (term 4)` */
const NAME_AND_TERM = /^(.+) \(term (\d+)\)$/s;

/**
 * The application of the holder as it is stored. With the term, since an older version of this library and other
 * clients write back what they do not understand: the name then stays behind when they take the lease.
 */
export function formatHolderApplication({
  application,
  leaseTransitions,
}: Pick<LeaseRecord, 'application' | 'leaseTransitions'>): string | null {
  return application === undefined ? null : `${application} (term ${leaseTransitions})`;
}

/** Undefined for a name that another holder has left behind. */
export function parseHolderApplication(
  stored: unknown,
  leaseTransitions: number,
): string | undefined {
  if (typeof stored !== 'string') return undefined;
  const [, application, term] = NAME_AND_TERM.exec(stored) ?? [];
  return Number(term) === leaseTransitions ? application : undefined;
}
