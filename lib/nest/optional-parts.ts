/**
 * What only some options of a role need, in one file of the package: it is loaded when the lock and the options of a role are
 * known, and an application without these options loads none of it.
 */
export { Watchdog } from '../elector/watchdog.js';
export { EligibilityChecks } from './eligibility-checks.js';
export { OwnContainer } from './own-container.js';
export { RolePlacement } from './role-placement.js';
export { memberOrigin, SharedMembers } from './shared-members.js';
