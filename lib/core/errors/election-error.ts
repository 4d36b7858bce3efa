import type { DrainTimeoutError } from './drain-timeout.error.js';
import type { LeaseAlteredError } from './lease-altered.error.js';
import type { LockRequestError } from './lock-request.error.js';
import type { StoreTooSlowError } from './store-too-slow.error.js';
import type { WallClockError } from './wall-clock.error.js';

/** What the election itself reports on `errors$`; none of them stops it. */
export type ElectionError =
  LockRequestError | DrainTimeoutError | LeaseAlteredError | StoreTooSlowError | WallClockError;
