import { AsyncResource } from 'node:async_hooks';

const HOME = new AsyncResource('LeaderElectionModule', { requireManualDestroy: true });

/**
 * Makes what works as long as the application lives in the async context in which this library was loaded, which is no
 * request's. The one in which Nest makes the application would be kept for good: instrumentation of OpenTelemetry puts a
 * span around `NestFactory.create()`, and every run of a job and every renewal would be added to that trace.
 */
export function atHome<T>(make: () => T): T {
  return HOME.runInAsyncScope(make);
}
