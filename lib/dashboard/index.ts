/**
 * A page that shows the elections and jobs of an application, in the application itself. Needs nothing but Nest.
 */
export { LeaderDashboardModule } from './leader-dashboard.module.js';
export type { LeaderDashboardOptions } from './dashboard.options.js';
