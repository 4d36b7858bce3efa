import { type Timer, wallMs } from '../core/clock.js';
import { titleOf } from '../core/thrown-value.js';
import type { ElectionActivityEvent } from '../election/election-activity.js';
import { RecordedSchedules } from '../schedule/tick/recorded-schedule.js';
import type { Part } from './dashboard-view.js';
import { JobPoll, type RecordedJobs } from './job-reader.js';
import { jobChanges, jobView } from './job-view.js';
import { RecentEvents } from './recent-events.js';
import { roleView } from './role-view.js';
import { TermHistory } from './term-history.js';
import { lastSeen, type WatchedElection } from './watched-election.js';

/** Where the parts of a role go. */
export interface PartSink {
  /**
   * @param value null: it is gone
   * @param facts what has to change for the part to be another one
   */
  publish(key: string, value: Part['value'], facts?: string): void;
  /** What the dashboard itself could not do. */
  failed(error: unknown): void;
}

/** After these the records of the jobs are likely to be others. */
const CHANGES_OF_JOBS: readonly ElectionActivityEvent['kind'][] = [
  'granted',
  'leader-changed',
  'request-answered',
  'revoked',
];
/** After these the view of the role is the same, or the next look comes soon enough. */
const UNSEEN: readonly ElectionActivityEvent['kind'][] = [
  'call-ended',
  'gate',
  'request-ended',
  'request-started',
  'run-ended',
];
const LOOKS_PER_RETRY = 4;
const FEWEST_MS_BETWEEN_LOOKS = 250;

/**
 * One role, as its parts. It remembers terms and events from the start of the application on, which costs next to nothing,
 * and looks at the rest only while someone watches.
 */
export class RoleFeed {
  private readonly terms: TermHistory;
  private readonly events: RecentEvents;
  private readonly poll: JobPoll;
  private readonly name: string;
  private sink: PartSink | undefined;
  private timer: Timer | undefined;
  private isLookingSoon = false;
  private jobs: RecordedJobs = new Map();
  private readonly schedules = new RecordedSchedules();

  constructor(private readonly election: WatchedElection) {
    const { role, options, activity, clock } = election;
    this.name = encodeURIComponent(role);
    this.terms = new TermHistory(role, options.identity, wallMs(clock), options.leaseDurationMs);
    this.events = new RecentEvents(role, options.identity);
    this.poll = new JobPoll(election, {
      read: (jobs) => this.readJobs(jobs),
      failed: (error) => this.jobsFailed(error),
    });
    activity.subscribe({ ignoresCalls: true, hear: (event) => this.hear(event) });
  }

  /** Someone watches. Resolves when all that can be known has been published once. */
  async start(sink: PartSink): Promise<void> {
    this.sink = sink;
    this.look();
    await this.poll.start();
  }

  get role(): string {
    return this.election.role;
  }

  /** Something was changed from here. */
  lookAgain(): void {
    this.look();
    this.poll.soon();
  }

  /** No one does any longer. */
  stop(): void {
    this.sink = undefined;
    this.timer?.cancel();
    this.poll.stop();
  }

  /** In the middle of the election: nothing here waits, asks or throws. */
  private hear(event: ElectionActivityEvent): void {
    const { clock, elector } = this.election;
    const at = wallMs(clock);
    const record = elector.observed?.lease?.record;
    this.terms.hear(event, at, { record, since: lastSeen(this.election, at) ?? at });
    this.events.hear(event, at);
    if (this.sink === undefined || UNSEEN.includes(event.kind)) return;
    if (CHANGES_OF_JOBS.includes(event.kind)) this.poll.soon();
    if (this.isLookingSoon) return;
    this.isLookingSoon = true;
    this.lookIn(0);
  }

  private lookIn(delayMs: number): void {
    this.timer?.cancel();
    this.timer = this.election.clock.setTimer(() => this.look(), delayMs);
  }

  private look(): void {
    const { sink, election, name } = this;
    if (sink === undefined) return;
    this.isLookingSoon = false;
    try {
      const { view, facts } = roleView(election);
      sink.publish(`role/${name}`, view, facts);
      sink.publish(`terms/${name}`, this.terms.view(), String(this.terms.version));
      this.publishEvents(sink);
    } catch (error) {
      // What it looks at may be foreign: a lock, a source of members, a logger that throws.
      sink.failed(error);
    }
    const { retryPeriodMs } = election.options;
    this.lookIn(Math.max(FEWEST_MS_BETWEEN_LOOKS, retryPeriodMs / LOOKS_PER_RETRY));
  }

  private publishEvents(sink: PartSink): void {
    sink.publish(`events/${this.name}`, this.events.view(), String(this.events.version));
  }

  private readJobs(jobs: RecordedJobs): void {
    const { election, name, sink } = this;
    if (sink === undefined) return;
    const { role, clock, activity } = election;
    const at = wallMs(clock);
    const suspended = new Set(
      activity
        .jobs()
        .filter((job) => job.state().isSuspended)
        .map((job) => job.name),
    );
    for (const [job, record] of jobs) {
      for (const { tone, text } of jobChanges(job, this.jobs.get(job), record)) {
        this.events.say(at, tone, text);
      }
      const place = { role, job, at, isSuspendedHere: suspended.has(job) };
      const { view, facts } = jobView(place, record, this.schedules);
      sink.publish(`job/${name}/${encodeURIComponent(job)}`, view, facts);
    }
    for (const job of this.jobs.keys()) {
      if (!jobs.has(job)) sink.publish(`job/${name}/${encodeURIComponent(job)}`, null);
    }
    this.jobs = jobs;
    this.publishEvents(sink);
  }

  private jobsFailed(error: unknown): void {
    const at = wallMs(this.election.clock);
    this.events.failed(at, `the records of the jobs could not be read: ${titleOf(error)}`);
    if (this.sink !== undefined) this.publishEvents(this.sink);
  }
}
