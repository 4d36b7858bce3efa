import { ELECTION_ACTIVITIES, type ElectionActivity } from '../election/election-activity.js';
import { checkedOptions, type LeaderElectionTracingOptions } from './trace-election.js';
import { TracedElection } from './traced-election.js';

/** A `DynamicModule` of Nest, by its shape: this sub-path loads nothing of Nest, so that `/core` can use it. */
export interface TracingDynamicModule {
  /** The class of the module. */
  readonly module: typeof LeaderElectionTracingModule;
  /** Its providers. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- whatever Nest takes for a provider
  readonly providers: any[];
}

const OBSERVER = Symbol.for('LEADER_ELECTION: observer for the traces');

/**
 * Makes spans of every role of the application, and of the runs of `LeaderScheduleModule`. Import it once, in the root
 * module. It starts no SDK and exports nothing: that is the business of your OpenTelemetry set-up.
 */
export class LeaderElectionTracingModule {
  /**
   * Makes spans with the global tracer provider, or with the one of these options.
   *
   * @throws LeaderElectionOptionsError with every fault of the options
   * @example
   * LeaderElectionTracingModule.forRoot()
   */
  static forRoot(options: LeaderElectionTracingOptions = {}): TracingDynamicModule {
    const { tracerProvider } = checkedOptions(options, 'LeaderElectionTracingModule.forRoot()');
    const useFactory = (activities: () => readonly ElectionActivity[]) => ({
      /** All elections have been made, and none has started. */
      onModuleInit(): void {
        for (const activity of activities()) {
          activity.subscribe(new TracedElection(activity.source, tracerProvider));
        }
      },
    });
    return {
      module: LeaderElectionTracingModule,
      providers: [{ provide: OBSERVER, useFactory, inject: [ELECTION_ACTIVITIES] }],
    };
  }
}
