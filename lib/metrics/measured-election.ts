import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { LockRequestError, type ReportedError } from '../core/errors.js';
import type { ElectionActivity, ElectionActivityEvent } from '../election/election-activity.js';
import type { RunEvent } from '../schedule/nest/run-events.js';
import type { GaugeName, Labels, MetricFamilies } from './metric-families.js';

const RUN_CHANNEL = 'nestjs-leader-election:run';
const OTHER_JOBS = 'other';

/** Known beforehand, so that the first of each is seen as an increase. */
const GATE_DECISIONS = ['run', 'skipped', 'rejected'];
const FAILURES = ['rejected', 'unreachable', 'unclear'];
const RUN_OUTCOMES = ['succeeded', 'failed', 'cancelled'];
const MISSED = ['not-started', 'forbidden', 'interrupted'];

type Event<Kind extends ElectionActivityEvent['kind']> = Extract<
  ElectionActivityEvent,
  { readonly kind: Kind }
>;

/** The metrics of one election. */
export class MeasuredElection {
  private readonly labels: Labels;
  private readonly unsubscribe: () => void;
  private readonly knownSince = new Map<string, number>();
  private readonly active = new Map<string, number>();
  private lastLeader: string | undefined;
  private holds = false;
  private revokedAt: number | undefined;
  private members: number | undefined;
  /** When the last renewal that was applied had been sent: validity counts from there. */
  private sentAt: number | undefined;
  private renewedFrom: number | undefined;

  /** @param ended the election has stopped */
  constructor(
    private readonly activity: ElectionActivity,
    private readonly families: MetricFamilies,
    private readonly maxJobs: number,
    private readonly ended: () => void,
  ) {
    this.labels = { name: activity.source.role };
    this.beginAtZero();
    this.unsubscribe = activity.subscribe({ hear: (event, at) => this.hear(event, at) });
    subscribe(RUN_CHANNEL, this.onRun);
  }

  get role(): string {
    return this.activity.source.role;
  }

  close(): void {
    this.unsubscribe();
    unsubscribe(RUN_CHANNEL, this.onRun);
    this.ended();
  }

  /** The gauges of the election as they are now. */
  gauge(name: GaugeName, set: (labels: Labels, value: number) => void): void {
    const { labels, activity } = this;
    const { subject } = activity;
    if (name.startsWith('leader_election_job_')) return this.jobGauge(name, set);
    const status = subject.status();
    const value: Partial<Record<GaugeName, number | undefined>> = {
      leader_election_master_status: Number(status.isLeader),
      leader_election_leader_known: Number(status.leader !== undefined),
      leader_election_term: status.term,
      leader_election_remaining_validity_seconds: status.remainingMs / 1_000,
      leader_election_lease_duration_seconds: subject.leaseDurationMs / 1_000,
      leader_election_renew_deadline_seconds: subject.renewDeadlineMs / 1_000,
      leader_election_eligible: Number(status.isEligible),
      leader_election_members: this.members,
    };
    if (value[name] !== undefined) set(labels, value[name]);
  }

  private jobGauge(name: GaugeName, set: (labels: Labels, value: number) => void): void {
    if (name === 'leader_election_job_active') {
      for (const [job, count] of this.active) set({ ...this.labels, job_name: job }, count);
      return;
    }
    for (const job of this.activity.jobs()) {
      const label = this.jobLabel(job.name);
      if (label === OTHER_JOBS) continue;
      const { isSuspended, nextTick, intervalMs, lastSuccess } = job.state();
      const value: Partial<Record<GaugeName, number | null | undefined>> = {
        leader_election_job_last_success_timestamp_seconds: lastSuccess,
        leader_election_job_known_since_timestamp_seconds: this.knownSince.get(label),
        leader_election_job_next_tick_timestamp_seconds: nextTick,
        leader_election_job_interval_seconds: intervalMs,
        leader_election_job_suspended: Number(isSuspended) * 1_000,
      };
      const ms = value[name];
      if (ms !== undefined && ms !== null) set({ ...this.labels, job_name: label }, ms / 1_000);
    }
  }

  private beginAtZero(): void {
    const { families, labels } = this;
    for (const name of [
      'leader_election_slowpath_total',
      'leader_election_transitions_total',
      'leader_election_terms_total',
      'leader_election_renewals_total',
      'leader_election_late_renewals_total',
    ] as const) {
      families.count(name, labels, 0);
    }
    for (const decision of GATE_DECISIONS) {
      families.count('leader_election_gate_decisions_total', { ...labels, decision }, 0);
    }
    for (const reason of FAILURES) {
      families.count('leader_election_failures_total', { ...labels, reason }, 0);
    }
  }

  private hear(event: ElectionActivityEvent, at: number): void {
    const { families, labels } = this;
    switch (event.kind) {
      case 'request-started':
        return this.asked(event, at);
      case 'request-ended':
        return this.answered(event);
      case 'renewed':
        return this.renewed(at);
      case 'granted':
        return this.granted(event);
      case 'revoked': {
        const { reason, heldMs } = event;
        this.revokedAt = at;
        families.count('leader_election_terms_ended_total', { ...labels, reason });
        return families.time('leader_election_term_duration_seconds', labels, heldMs);
      }
      case 'drained':
        return families.time('leader_election_drain_duration_seconds', labels, event.durationMs);
      case 'released':
        this.holds = false;
        if (this.revokedAt === undefined) return;
        families.time('leader_election_handover_duration_seconds', labels, at - this.revokedAt);
        this.revokedAt = undefined;
        return;
      case 'leader-changed':
        return this.led(event.leader);
      case 'failed':
        return families.count('leader_election_failures_total', {
          ...labels,
          reason: reasonOf(event.error),
        });
      case 'gate':
        return families.count('leader_election_gate_decisions_total', {
          ...labels,
          decision: event.decision,
        });
      case 'members-changed':
        this.members = event.members?.length;
        return;
      case 'stopped':
        return this.close();
      default:
    }
  }

  private asked({ purpose }: Event<'request-started'>, at: number): void {
    if (purpose === 'acquire' || purpose === 'renew') this.sentAt = at;
    if (purpose === 'read' && this.holds) {
      this.families.count('leader_election_slowpath_total', this.labels);
    }
  }

  private answered({ purpose, outcome, durationMs }: Event<'request-ended'>): void {
    const { families, labels } = this;
    families.count('leader_election_requests_total', { ...labels, purpose, outcome });
    families.time('leader_election_request_duration_seconds', { ...labels, purpose }, durationMs);
  }

  private granted({ leaderlessMs }: Event<'granted'>): void {
    const { families, labels } = this;
    this.holds = true;
    this.renewedFrom = this.sentAt;
    families.count('leader_election_terms_total', labels);
    if (leaderlessMs === undefined) return;
    families.time('leader_election_leaderless_seconds', labels, leaderlessMs);
  }

  private renewed(at: number): void {
    const { families, labels, renewedFrom, activity } = this;
    families.count('leader_election_renewals_total', labels);
    const lateAfterMs = (3 / 4) * activity.subject.renewDeadlineMs;
    if (renewedFrom !== undefined && at - renewedFrom > lateAfterMs) {
      families.count('leader_election_late_renewals_total', labels);
    }
    this.renewedFrom = this.sentAt;
  }

  private led(leader: string | undefined): void {
    const isOwn = leader === this.activity.source.holderIdentity;
    if (!isOwn) this.holds = false;
    if (leader === undefined || leader === this.lastLeader) return;
    if (this.lastLeader !== undefined) {
      this.families.count('leader_election_transitions_total', this.labels);
    }
    this.lastLeader = leader;
  }

  /** Of all applications of the process. What it threw would end the process. */
  private readonly onRun = (message: unknown): void => {
    const event = message as RunEvent;
    const { source } = this.activity;
    if (event.role === source.role && event.holderIdentity === source.holderIdentity) {
      if (event.lock === source.lock && event.application === source.application) this.ran(event);
    }
  };

  private ran({ kind, job: name, durationMs, reason = '', attempt }: RunEvent): void {
    const { families } = this;
    const job = this.jobLabel(name);
    const labels = { ...this.labels, job_name: job };
    const isClaimed = kind === 'started' || reason === 'returned' || reason === 'lost';
    if (attempt <= 1 && (kind === 'started' || kind === 'missed' || kind === 'skipped')) {
      families.count('leader_election_job_scheduled_total', labels);
    }
    if (isClaimed) families.count('leader_election_job_claimed_total', labels);
    if (kind === 'started') this.active.set(job, (this.active.get(job) ?? 0) + 1);
    else if (kind === 'missed') {
      families.count('leader_election_job_missed_total', { ...labels, reason });
    } else if (kind === 'skipped') {
      families.count('leader_election_job_skipped_total', { ...labels, reason });
    } else {
      this.active.set(job, Math.max(0, (this.active.get(job) ?? 0) - 1));
      families.count('leader_election_job_runs_total', { ...labels, outcome: kind });
      families.time('leader_election_job_duration_seconds', labels, durationMs ?? 0);
    }
  }

  /** The first jobs have series of their own. */
  private jobLabel(name: string): string {
    if (this.knownSince.has(name)) return name;
    if (this.knownSince.size >= this.maxJobs) return OTHER_JOBS;
    this.knownSince.set(name, Date.now());
    const labels = { ...this.labels, job_name: name };
    for (const outcome of RUN_OUTCOMES) {
      this.families.count('leader_election_job_runs_total', { ...labels, outcome }, 0);
    }
    for (const reason of MISSED) {
      this.families.count('leader_election_job_missed_total', { ...labels, reason }, 0);
    }
    return name;
  }
}

/** `unreachable` and the like of a request; of anything else its code: `drain-timeout` for `ERR_DRAIN_TIMEOUT`. */
function reasonOf(error: ReportedError): string {
  if (error instanceof LockRequestError) return error.reason;
  return error.code.replace(/^ERR_/, '').toLowerCase().replaceAll('_', '-');
}
