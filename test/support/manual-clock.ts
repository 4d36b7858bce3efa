/** The clock that users' tests have. */
export { ManualClock } from '../../lib/contracts/manual-clock.js';
