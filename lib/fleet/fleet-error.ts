import type { LockRequestError } from '../core/errors.js';

/** What was asked of the fleet cannot be done, for the reason that this says. */
export class FleetError extends Error {
  override readonly name = 'FleetError';

  constructor(
    message: string,
    /** True if it is not known whether it was done, or no answer came in time: trying again may help. */
    readonly isTemporary = false,
  ) {
    super(message);
  }
}

/** Why the store was not asked, or did not do it, with the rule to add where a right is missing. */
export function failedRequest(error: LockRequestError): FleetError {
  return new FleetError(error.message, error.reason !== 'rejected');
}
