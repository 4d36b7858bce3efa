import { ELECTION_ACTIVITIES, type ElectionActivity } from '../election/election-activity.js';
import { LeadershipMetrics, type LeadershipMetricsOptions } from './leadership-metrics.js';

/** Where the options of {@link LeaderElectionMetricsModule} come from. */
export interface LeaderElectionMetricsModuleAsyncOptions {
  /**
   * Modules that export what is injected.
   * @default none
   * @example
   * imports: [MetricsModule]
   */
  readonly imports?: MetricsDynamicModule['imports'];
  /**
   * Tokens of what the factory is called with.
   * @default none
   * @example
   * inject: [Registry]
   */
  readonly inject?: readonly MetricsToken[];
  /**
   * Makes the options.
   * @example
   * useFactory: (registry: Registry) => ({ registry })
   */
  useFactory(
    // Nest passes what the tokens stand for.
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    ...injected: any[]
  ): LeadershipMetricsOptions | Promise<LeadershipMetricsOptions>;
}

/** An injection token of Nest. */
export type MetricsToken = string | symbol | (abstract new (...args: never[]) => unknown);

/** A `DynamicModule` of Nest, by its shape: this sub-path loads nothing of Nest, so that `/core` can use it. */
export interface MetricsDynamicModule {
  /** The class of the module. */
  readonly module: typeof LeaderElectionMetricsModule;
  /** Every module sees {@link LeadershipMetrics}. */
  readonly global: boolean;
  /** Its imports. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- whatever Nest takes for a module
  readonly imports: any[];
  /** Its providers. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- whatever Nest takes for a provider
  readonly providers: any[];
  /** What it exports. */
  readonly exports: (typeof LeadershipMetrics)[];
}

const OPTIONS = Symbol.for('LEADER_ELECTION: options of the metrics');
const OBSERVER = Symbol.for('LEADER_ELECTION: observer for the metrics');

/**
 * Records every role of the application, and the jobs of `LeaderScheduleModule`, in a registry of prom-client. Import it
 * once, in the root module. It serves no page: that is the business of `PrometheusModule` of @willsoto/nestjs-prometheus, or
 * of a controller of yours.
 */
export class LeaderElectionMetricsModule {
  /**
   * Records in the registry of these options.
   *
   * @throws LeaderElectionOptionsError when the application starts, with every fault of the options
   * @example
   * LeaderElectionMetricsModule.forRoot({ registry: register })
   */
  static forRoot(options: LeadershipMetricsOptions): MetricsDynamicModule {
    return LeaderElectionMetricsModule.forRootAsync({ useFactory: () => options });
  }

  /**
   * Records in the registry of what the factory returns.
   *
   * @throws LeaderElectionOptionsError when the application starts, with every fault of the options
   * @example
   * LeaderElectionMetricsModule.forRootAsync({ inject: [Registry], useFactory: (registry) => ({ registry }) })
   */
  static forRootAsync(options: LeaderElectionMetricsModuleAsyncOptions): MetricsDynamicModule {
    const { imports = [], inject = [] } = options;
    const useFactory: LeaderElectionMetricsModuleAsyncOptions['useFactory'] = (...injected) =>
      options.useFactory(...(injected as unknown[]));
    return {
      module: LeaderElectionMetricsModule,
      global: true,
      imports,
      providers: [
        { provide: OPTIONS, useFactory, inject: [...inject] },
        {
          provide: LeadershipMetrics,
          useFactory: (options: LeadershipMetricsOptions) => new LeadershipMetrics(options),
          inject: [OPTIONS],
        },
        {
          provide: OBSERVER,
          useFactory: observerOf,
          inject: [LeadershipMetrics, ELECTION_ACTIVITIES],
        },
      ],
      exports: [LeadershipMetrics],
    };
  }
}

/** All elections have been made, and none has started. */
function observerOf(metrics: LeadershipMetrics, activities: () => readonly ElectionActivity[]) {
  return {
    onModuleInit(): void {
      for (const activity of activities()) metrics.record(activity);
    },
  };
}
