import type { ElectionError } from '../core/errors.js';
import type { LeadershipHandlerError } from './errors/leadership-handler.error.js';

/** What `errors$` carries, as values. None of them stops the election. */
export type LeadershipError = ElectionError | LeadershipHandlerError;
