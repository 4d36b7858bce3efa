import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '../core/clock.js';
import { wallMs } from '../core/clock.js';
import { titleOf } from '../core/thrown-value.js';
import { atHome } from '../elector/system-clock.js';
import { shortIdentity } from '../election/log-entry.js';
import { DashboardStream } from './dashboard-stream.js';
import { DashboardActions } from './dashboard-actions.js';
import { type Hello, type Part, PROTOCOL } from './dashboard-view.js';
import { type PartSink, RoleFeed } from './role-feed.js';
import { VERSION } from './version.js';
import type { WatchedElection } from './watched-election.js';

/** So many may watch one process. */
const MOST_VIEWERS = 50;
const HEARTBEAT_MS = 15_000;

interface PublishedPart {
  readonly facts: string;
  readonly text: string;
}

/** What all viewers of one process see: it is made once, however many they are, and only while there are any. */
export class Dashboard implements PartSink {
  private elections: readonly WatchedElection[] = [];
  private feeds: readonly RoleFeed[] = [];
  private readonly parts = new Map<string, PublishedPart>();
  private readonly streams = new Set<DashboardStream>();
  private beat: Timer | undefined;
  private known: Promise<unknown> = Promise.resolve();
  private isClosed = false;
  private hasFailed = false;
  readonly actions = new DashboardActions(
    () => this.elections,
    (role) => this.acted(role),
  );

  constructor(
    private readonly clock: Clock,
    private readonly list: () => readonly WatchedElection[],
    private readonly hasActions: boolean,
  ) {}

  /** All elections have been made, and none has started. */
  begin(): void {
    this.elections = this.list();
    this.feeds = this.elections.map((election) => new RoleFeed(election));
  }

  /** Why there is no room for another viewer; undefined if there is. */
  refusal(): string | undefined {
    if (this.isClosed) return 'this replica is shutting down';
    if (this.streams.size < MOST_VIEWERS) return undefined;
    return `this replica already serves ${MOST_VIEWERS} viewers of the dashboard`;
  }

  /** @param response whose head has been written */
  async watch(response: ServerResponse): Promise<void> {
    const stream = new DashboardStream(response, this.clock, () => this.left(stream));
    stream.send('hello', JSON.stringify(this.hello()));
    for (const [key, { text }] of this.parts) stream.send('part', text, key);
    this.streams.add(stream);
    // Not in the async context of this request, which what it begins would keep.
    if (this.streams.size === 1) atHome(() => this.start());
    await this.known;
    stream.send('ready', '{}');
  }

  publish(key: string, value: Part['value'], facts = ''): void {
    if (value !== null && this.parts.get(key)?.facts === facts) return;
    const text = JSON.stringify({ key, value } satisfies Part);
    if (value === null) this.parts.delete(key);
    else this.parts.set(key, { text, facts });
    for (const stream of this.streams) stream.send('part', text, key);
  }

  /** The dashboard must not be what ends a process. */
  failed(error: unknown): void {
    if (this.hasFailed) return;
    this.hasFailed = true;
    const text = `the dashboard could not show everything: ${titleOf(error)}`;
    process.emitWarning(text, 'LeaderElectionWarning');
  }

  /** Ends all streams, which the HTTP server would wait for. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.actions.close();
    await Promise.all([...this.streams].map((stream) => stream.end()));
  }

  private acted(role: string): void {
    if (this.streams.size === 0) return;
    for (const feed of this.feeds) if (feed.role === role) feed.lookAgain();
  }

  private hello(): Hello {
    const [first] = this.elections;
    const { application } = first?.source ?? {};
    return {
      protocol: PROTOCOL,
      application: application ?? first?.role ?? '',
      replica: shortIdentity(first?.options.identity ?? ''),
      version: VERSION,
      now: wallMs(this.clock),
      hasActions: this.hasActions,
    };
  }

  private start(): void {
    this.known = Promise.all(this.feeds.map((feed) => feed.start(this)));
    this.waitForBeat();
  }

  private waitForBeat(): void {
    this.beat = this.clock.setTimer(() => {
      for (const stream of this.streams) stream.heartbeat();
      this.waitForBeat();
    }, HEARTBEAT_MS);
  }

  private left(stream: DashboardStream): void {
    this.streams.delete(stream);
    if (this.streams.size > 0) return;
    this.beat?.cancel();
    for (const feed of this.feeds) feed.stop();
    this.parts.clear();
  }
}
