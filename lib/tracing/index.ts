/**
 * Spans of elections and leader-only runs for OpenTelemetry, with and without Nest. Nothing here imports NestJS.
 */
export {
  LeaderElectionTracingModule,
  type TracingDynamicModule,
} from './leader-election-tracing.module.js';
export {
  traceElection,
  type LeaderElectionTracingOptions,
  type TraceableElection,
} from './trace-election.js';
