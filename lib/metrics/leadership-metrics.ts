import type { Registry } from 'prom-client';
import { LeaderElectionOptionsError, type OptionFault } from '../core/errors.js';
import { OptionReader } from '../core/option-reader.js';
import { activityOf, type ElectionActivity } from '../election/election-activity.js';
import { messageOf } from '../core/thrown-value.js';
import { MeasuredElection } from './measured-election.js';
import { MetricFamilies } from './metric-families.js';

const MOST_JOBS = 100;
const RECEIVER = 'LeadershipMetrics';

/** Options of {@link LeadershipMetrics}. */
export interface LeadershipMetricsOptions {
  /**
   * Where the metrics are registered: `register` of prom-client, which `PrometheusModule` of @willsoto/nestjs-prometheus
   * serves, or a registry of your own. One for each application of a process.
   * @example
   * registry: register
   */
  readonly registry: Registry;
  /**
   * For how many jobs of a role there are series. Those of further jobs are counted under the label `job_name="other"`, which
   * no job of yours should be called.
   * @default 100
   * @example
   * maxJobs: 300
   */
  readonly maxJobs?: number;
}

/** What {@link LeadershipMetrics.observe} takes: what `createLeaderElection()` returned, or a `LeadershipService`. */
export interface MeasurableElection {
  /** The role, and the label `name` of its metrics. */
  readonly role: string;
  /** Milliseconds for which leadership is certain. */
  remainingMs(): number;
}

/** What one registry has, whoever has registered it. */
interface Registered {
  readonly families: MetricFamilies;
  readonly elections: Map<string, MeasuredElection>;
}

const REGISTERED = new WeakMap<object, Registered>();

/**
 * Metrics of elections for prom-client. In a Nest application `LeaderElectionMetricsModule` makes one and observes every
 * role; `observe()` is for elections of `createLeaderElection()`.
 *
 * @example
 * const election = await createLeaderElection({ role: 'billing-worker' });
 * new LeadershipMetrics({ registry: register }).observe(election);
 * election.start();
 */
export class LeadershipMetrics {
  private readonly registered: Registered;
  private readonly maxJobs: number;

  /** @throws LeaderElectionOptionsError if an option is bad, or the registry has a metric of one of these names */
  constructor(options: LeadershipMetricsOptions) {
    const { registry, maxJobs } = checked(options);
    this.maxJobs = maxJobs;
    this.registered = registeredIn(registry);
  }

  /**
   * Records an election until it ends. Call it before its `start()`, as what has happened before is not counted.
   * @throws LeaderElectionOptionsError if it is no election of this package, or the registry has one of its role
   */
  observe(election: MeasurableElection): void {
    this.record(activityOf(election, 'observe.election', RECEIVER));
  }

  /** @internal */
  record(activity: ElectionActivity): void {
    const { families, elections } = this.registered;
    const { role } = activity.source;
    if (elections.has(role)) {
      const rule = 'must not be in the registry yet: two elections would share its series';
      const fix = 'give each application of a process a registry of its own';
      throw refused({ field: 'role', value: role, rule, fix });
    }
    const ended = (): void => void elections.delete(role);
    elections.set(role, new MeasuredElection(activity, families, this.maxJobs, ended));
  }
}

function registeredIn(registry: Registry): Registered {
  const known = REGISTERED.get(registry);
  if (known?.families.isRegistered === true) return known;
  const elections = new Map<string, MeasuredElection>();
  try {
    const families = new MetricFamilies(registry, (name, set) => {
      for (const election of elections.values()) election.gauge(name, set);
    });
    const registered = { families, elections };
    REGISTERED.set(registry, registered);
    return registered;
  } catch (error) {
    const rule = `cannot take the metrics of the election: ${messageOf(error)}`;
    throw refused({
      field: 'registry',
      value: undefined,
      rule,
      fix: 'use a registry without metrics of these names',
    });
  }
}

function checked(options: unknown): { readonly registry: Registry; readonly maxJobs: number } {
  const reader = new OptionReader(options, ['registry', 'maxJobs']);
  const registry = reader.get('registry');
  if (!isRegistry(registry)) {
    const fix = "pass register of 'prom-client', or new Registry()";
    reader.fault('registry', registry, 'must be a registry of prom-client', fix);
  }
  const maxJobs = reader.get('maxJobs') ?? MOST_JOBS;
  if (!Number.isInteger(maxJobs) || Number(maxJobs) < 0) {
    reader.fault('maxJobs', maxJobs, 'must be a whole number, zero or more', `use ${MOST_JOBS}`);
  }
  reader.check(RECEIVER);
  return { registry: registry as Registry, maxJobs: Number(maxJobs) };
}

function isRegistry(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { registerMetric, getSingleMetric } = value as Partial<Registry>;
  return typeof registerMetric === 'function' && typeof getSingleMetric === 'function';
}

function refused(fault: OptionFault): LeaderElectionOptionsError {
  return new LeaderElectionOptionsError([fault], RECEIVER);
}
