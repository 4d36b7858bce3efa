/** The clock that users' tests have. */
export { ManualClock } from '../../lib/testing/manual-clock.js';
