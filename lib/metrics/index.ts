/**
 * Metrics of elections and jobs for prom-client, with and without Nest. Nothing here imports NestJS.
 */
export {
  LeaderElectionMetricsModule,
  type LeaderElectionMetricsModuleAsyncOptions,
  type MetricsDynamicModule,
  type MetricsToken,
} from './leader-election-metrics.module.js';
export {
  LeadershipMetrics,
  type LeadershipMetricsOptions,
  type MeasurableElection,
} from './leadership-metrics.js';
