import { LockRequestError } from '../core/errors/lock-request.error.js';
import type { ObservedLease } from '../core/lease-record.js';
import { messageOf } from '../core/thrown-value.js';
import type { LeaseWatch, LeaseWatchObserver, ResourceLock } from '../locks/resource-lock.js';
import { copyOfLease, descriptionOf, isLease } from './lock-answers.js';

/**
 * Opens the watch of a lock that may be somebody else's. What it reports is checked, nothing is passed on after
 * `close()`, and what it throws is reported as an interruption: an election works without a watch.
 */
export function guardedWatch(
  lock: ResourceLock,
  observer: LeaseWatchObserver,
  options: { readonly silenceLimitMs: number },
): Pick<LeaseWatch, 'close'> | undefined {
  if (lock.watch === undefined) return undefined;
  let isClosed = false;
  const failed = (what: string, cause?: unknown): void => {
    const text = `${descriptionOf(lock)}: the watch ${what}`;
    observer.interrupted(new LockRequestError(text, { reason: 'unclear', cause }));
  };
  const report = (call: () => void): void => {
    if (!isClosed) call();
  };
  let watch: LeaseWatch | undefined;
  try {
    watch = lock.watch(
      {
        opened: () => report(() => observer.opened()),
        changed: (lease, revision) =>
          report(() => {
            const change = changeOf(lease, revision);
            if (change === undefined) {
              failed('reported a change that is no lease with its revision.');
            } else observer.changed(change.lease, revision);
          }),
        holderDied: (timingKey) =>
          report(() => {
            if (typeof timingKey === 'string') observer.holderDied(timingKey);
          }),
        interrupted: (error) =>
          report(() => {
            if (error === undefined || error instanceof LockRequestError) {
              observer.interrupted(error);
            } else failed(`was interrupted: ${messageOf(error)}`, error);
          }),
      },
      options,
    );
  } catch (cause) {
    failed(`could not be opened: ${messageOf(cause)}`, cause);
  }
  return {
    close() {
      try {
        watch?.close();
      } catch (cause) {
        failed(`could not be closed: ${messageOf(cause)}`, cause);
      }
      isClosed = true;
    },
  };
}

/** What was reported, as it is now; undefined if it is no change of a lease. */
function changeOf(
  lease: unknown,
  revision: unknown,
): { readonly lease: ObservedLease | null } | undefined {
  try {
    if (typeof revision !== 'bigint') return undefined;
    if (lease === null) return { lease };
    return isLease(lease) ? { lease: copyOfLease(lease) } : undefined;
  } catch {
    // It throws when it is looked at.
    return undefined;
  }
}
