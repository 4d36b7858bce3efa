import { trace, type TracerProvider } from '@opentelemetry/api';
import { OptionReader } from '../core/option-reader.js';
import { activityOf } from '../election/election-activity.js';
import { TracedElection } from './traced-election.js';

/** Options of {@link traceElection} and of `LeaderElectionTracingModule.forRoot()`. */
export interface LeaderElectionTracingOptions {
  /**
   * Whose tracer makes the spans: one for each application where a process has several that are to be told apart.
   * @default the global one of `@opentelemetry/api`, also if it is set later
   * @example
   * tracerProvider: new BasicTracerProvider()
   */
  readonly tracerProvider?: TracerProvider;
}

/** What {@link traceElection} takes: what `createLeaderElection()` resolved with, or a `LeadershipService`. */
export interface TraceableElection {
  /** The role, which is an attribute of each span. */
  readonly role: string;
  /** Milliseconds for which leadership is certain. */
  remainingMs(): number;
}

/**
 * Makes spans of an election: of its acquisitions, handovers, failed renewals and leader-only runs. Call it before
 * `start()`, as what has happened before has no span. Returns a function that ends that. In a Nest application,
 * `LeaderElectionTracingModule` does it for every role.
 *
 * @throws LeaderElectionOptionsError if it is no election of this package, or an option is bad
 * @example
 * const election = await createLeaderElection({ role: 'billing-worker' });
 * traceElection(election);
 * election.start();
 */
export function traceElection(
  election: TraceableElection,
  options: LeaderElectionTracingOptions = {},
): () => void {
  const { tracerProvider } = checkedOptions(options, 'traceElection()');
  const activity = activityOf(election, 'election', 'traceElection()');
  return activity.subscribe(new TracedElection(activity.source, tracerProvider));
}

/** @throws LeaderElectionOptionsError with every fault */
export function checkedOptions(
  options: unknown,
  place: string,
): { readonly tracerProvider: TracerProvider } {
  const reader = new OptionReader(options, ['tracerProvider']);
  const tracerProvider = reader.get('tracerProvider') ?? trace.getTracerProvider();
  if (!isProvider(tracerProvider)) {
    const fix = 'leave it out, or pass for example a BasicTracerProvider';
    reader.fault('tracerProvider', tracerProvider, 'must have a method getTracer', fix);
  }
  reader.check(place);
  return { tracerProvider: tracerProvider as TracerProvider };
}

function isProvider(value: unknown): boolean {
  const isObject = typeof value === 'object' && value !== null;
  return isObject && typeof (value as Partial<TracerProvider>).getTracer === 'function';
}
