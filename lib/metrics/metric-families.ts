import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Seconds. */
const REQUESTS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const HANDOVERS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 60];
const TERMS = [1, 10, 60, 600, 3_600, 21_600, 86_400, 604_800];
const RUNS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400];

const NAME = ['name'] as const;
const JOB = ['name', 'job_name'] as const;

type Family =
  | {
      readonly type: 'counter' | 'gauge';
      readonly labels: readonly string[];
      readonly help: string;
    }
  | {
      readonly type: 'histogram';
      readonly labels: readonly string[];
      readonly help: string;
      readonly buckets: readonly number[];
    };

/** Every metric, by its name. `docs/metrics.md` is compared with this. */
export const FAMILIES = {
  leader_election_master_status: {
    type: 'gauge',
    labels: NAME,
    help: '1 while this process is leader, otherwise 0. The name is that of client-go.',
  },
  leader_election_slowpath_total: {
    type: 'counter',
    labels: NAME,
    help: 'Reads of the lease by its holder, as a renewal conflicted or its outcome was unknown. The name is that of client-go.',
  },
  leader_election_leader_known: {
    type: 'gauge',
    labels: NAME,
    help: '1 while this process knows a leader, otherwise 0.',
  },
  leader_election_transitions_total: {
    type: 'counter',
    labels: NAME,
    help: 'Changes from one leader to another that this process has seen.',
  },
  leader_election_term: {
    type: 'gauge',
    labels: NAME,
    help: 'Number of the term that this process leads; absent while it does not.',
  },
  leader_election_terms_total: {
    type: 'counter',
    labels: NAME,
    help: 'Terms of this process that have begun.',
  },
  leader_election_terms_ended_total: {
    type: 'counter',
    labels: [...NAME, 'reason'],
    help: 'Terms of this process that have ended, by the reason.',
  },
  leader_election_term_duration_seconds: {
    type: 'histogram',
    labels: NAME,
    help: 'How long the terms of this process lasted.',
    buckets: TERMS,
  },
  leader_election_leaderless_seconds: {
    type: 'histogram',
    labels: NAME,
    help: 'How long no leader was known before this process became leader.',
    buckets: HANDOVERS,
  },
  leader_election_drain_duration_seconds: {
    type: 'histogram',
    labels: NAME,
    help: 'From the end of a term to the end of its handlers and work.',
    buckets: HANDOVERS,
  },
  leader_election_handover_duration_seconds: {
    type: 'histogram',
    labels: NAME,
    help: 'From the end of a term to the release of the lease.',
    buckets: HANDOVERS,
  },
  leader_election_requests_total: {
    type: 'counter',
    labels: [...NAME, 'purpose', 'outcome'],
    help: 'Requests to the lock, by purpose and outcome.',
  },
  leader_election_request_duration_seconds: {
    type: 'histogram',
    labels: [...NAME, 'purpose'],
    help: 'How long requests to the lock took; purpose="renew" is the latency of renewals.',
    buckets: REQUESTS,
  },
  leader_election_renewals_total: {
    type: 'counter',
    labels: NAME,
    help: 'Renewals that were applied.',
  },
  leader_election_late_renewals_total: {
    type: 'counter',
    labels: NAME,
    help: 'Renewals that were applied when less than a quarter of the renew deadline was left.',
  },
  leader_election_remaining_validity_seconds: {
    type: 'gauge',
    labels: NAME,
    help: 'For how long leadership is certain if no further renewal succeeds; 0 while this process does not lead.',
  },
  leader_election_lease_duration_seconds: {
    type: 'gauge',
    labels: NAME,
    help: 'The option leaseDurationMs.',
  },
  leader_election_renew_deadline_seconds: {
    type: 'gauge',
    labels: NAME,
    help: 'The option renewDeadlineMs.',
  },
  leader_election_failures_total: {
    type: 'counter',
    labels: [...NAME, 'reason'],
    help: 'Requests and watches that failed, drains that took too long and handlers that threw, by the reason.',
  },
  leader_election_gate_decisions_total: {
    type: 'counter',
    labels: [...NAME, 'decision'],
    help: 'Gated calls that ran, were skipped or rejected, or would have been skipped in shadow mode.',
  },
  leader_election_eligible: {
    type: 'gauge',
    labels: NAME,
    help: '1 while this process may compete for the lease, otherwise 0.',
  },
  leader_election_members: {
    type: 'gauge',
    labels: NAME,
    help: 'Replicas that this process knows; absent while they are not known, and without the option members.',
  },
  leader_election_job_scheduled_total: {
    type: 'counter',
    labels: JOB,
    help: 'Runs and ticks that this process was to start, or has reported as missed.',
  },
  leader_election_job_claimed_total: {
    type: 'counter',
    labels: JOB,
    help: 'Runs whose claim is stored.',
  },
  leader_election_job_runs_total: {
    type: 'counter',
    labels: [...JOB, 'outcome'],
    help: 'Runs that have ended: succeeded, failed or cancelled.',
  },
  leader_election_job_missed_total: {
    type: 'counter',
    labels: [...JOB, 'reason'],
    help: 'Ticks that were due and not run, by the reason.',
  },
  leader_election_job_skipped_total: {
    type: 'counter',
    labels: [...JOB, 'reason'],
    help: 'Runs that this process did not start and that are not missed, by the reason.',
  },
  leader_election_job_active: {
    type: 'gauge',
    labels: JOB,
    help: 'Runs under way in this process.',
  },
  leader_election_job_duration_seconds: {
    type: 'histogram',
    labels: JOB,
    help: 'How long the handler of a job took.',
    buckets: RUNS,
  },
  leader_election_job_last_success_timestamp_seconds: {
    type: 'gauge',
    labels: JOB,
    help: 'When a run last succeeded on any replica, as far as this process knows; absent if it knows of none.',
  },
  leader_election_job_known_since_timestamp_seconds: {
    type: 'gauge',
    labels: JOB,
    help: 'Since when this process has known the job.',
  },
  leader_election_job_next_tick_timestamp_seconds: {
    type: 'gauge',
    labels: JOB,
    help: 'When the next tick is due; absent while the job is suspended, and when there is no further tick.',
  },
  leader_election_job_interval_seconds: {
    type: 'gauge',
    labels: JOB,
    help: 'From the next tick to the one after it; absent if there are no two.',
  },
  leader_election_job_suspended: {
    type: 'gauge',
    labels: JOB,
    help: '1 while this process would not start the ticks of the job, otherwise 0.',
  },
} as const satisfies Record<string, Family>;

type Families = typeof FAMILIES;
type NamesOf<T extends Family['type']> = {
  [Name in keyof Families]: Families[Name]['type'] extends T ? Name : never;
}[keyof Families];

export type CounterName = NamesOf<'counter'>;
export type GaugeName = NamesOf<'gauge'>;
export type HistogramName = NamesOf<'histogram'>;
export type Labels = Readonly<Record<string, string>>;

/** Sets the gauges of one family. */
export type Collect = (name: GaugeName, set: (labels: Labels, value: number) => void) => void;

/** The metrics of one registry. */
export class MetricFamilies {
  private readonly counters = new Map<CounterName, Counter>();
  private readonly histograms = new Map<HistogramName, Histogram>();

  /** @param collect sets the gauges at each scrape */
  constructor(
    private readonly registry: Registry,
    collect: Collect,
  ) {
    for (const [key, family] of Object.entries<Family>(FAMILIES)) {
      const { help, labels } = family;
      const common = { name: key, help, labelNames: [...labels], registers: [registry] };
      if (family.type === 'counter') this.counters.set(key as CounterName, new Counter(common));
      else if (family.type === 'histogram') {
        const buckets = [...family.buckets];
        this.histograms.set(key as HistogramName, new Histogram({ ...common, buckets }));
      } else {
        new Gauge({
          ...common,
          collect() {
            this.reset();
            collect(key as GaugeName, (values, value) => this.set(values, value));
          },
        });
      }
    }
  }

  /** False once the registry has been cleared. */
  get isRegistered(): boolean {
    const [[name, counter] = []] = this.counters;
    return name !== undefined && this.registry.getSingleMetric(name) === counter;
  }

  count(name: CounterName, labels: Labels, by = 1): void {
    this.counters.get(name)!.inc(labels, by);
  }

  time(name: HistogramName, labels: Labels, ms: number): void {
    this.histograms.get(name)!.observe(labels, ms / 1_000);
  }
}
