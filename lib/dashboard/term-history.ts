import type { ElectionActivityEvent } from '../election/election-activity.js';
import type { LeaseRecord } from '../core/lease-record.js';
import { isCleanRelease } from '../core/lease-record.js';
import type { TermSpan, TermsView } from './dashboard-view.js';

const MOST_TERMS = 500;

/** What is stored of a lease, and since when it has been so, as this process saw it; milliseconds since the epoch. */
interface SeenLease {
  readonly record: LeaseRecord | undefined;
  readonly since: number;
}

/** Who led a role when, as this process has seen it. */
export class TermHistory {
  private spans: TermSpan[] = [];
  private lastHeard = Infinity;
  /** Another one whenever the view is. */
  version = 0;

  /** @param seenSince milliseconds since the epoch, as all times here */
  constructor(
    private readonly role: string,
    private readonly identity: string,
    private readonly seenSince: number,
    private readonly leaseDurationMs: number,
  ) {}

  /** @param seen the lease as it was last seen */
  hear(event: ElectionActivityEvent, at: number, seen: SeenLease): void {
    switch (event.kind) {
      case 'request-started':
        // What it then writes takes the place of what it had heard of the last leader.
        if (event.purpose === 'acquire') this.lastHeard = seen.since;
        return;
      case 'granted':
        if (this.hasExpired(at, this.lastHeard)) this.end(this.lastHeard, 'expired');
        return this.begin(event.term.number, this.identity, at);
      case 'revoked':
        return this.end(at, event.reason);
      case 'leader-changed':
        return this.leaderChanged(event.leader, at, seen);
      default:
        return;
    }
  }

  view(): TermsView {
    return { role: this.role, seenSince: this.seenSince, terms: this.spans };
  }

  private get last(): TermSpan | undefined {
    return this.spans.at(-1);
  }

  private leaderChanged(
    leader: string | undefined,
    at: number,
    { record, since }: SeenLease,
  ): void {
    // Its own terms begin and end with what it was granted.
    if (leader === this.identity || this.leadsItself) return;
    if (leader === undefined) {
      const isReleased = record !== undefined && isCleanRelease(record);
      if (isReleased) return this.end(at, 'released');
      return this.end(this.hasExpired(at, since) ? since : at, 'expired');
    }
    const term = record?.leaseTransitions ?? 0;
    const acquiredAt = Math.round((record?.acquireTimeMicros ?? Infinity) / 1_000);
    if (this.spans.length === 0 && acquiredAt < this.seenSince) {
      return this.begin(term, leader, acquiredAt, true);
    }
    this.begin(term, leader, at);
  }

  private get leadsItself(): boolean {
    return this.last?.holder === this.identity && this.last.to === null;
  }

  private begin(term: number, holder: string, from: number, isFromRecord = false): void {
    const { last } = this;
    // It was only out of sight: the lease had run out here, and its holder has renewed it all the time.
    if (last?.term === term && last.holder === holder && holder !== this.identity) {
      this.replaceLast({ ...last, to: null, reason: null });
      return;
    }
    this.end(from, null);
    const span = { term, holder, from, isFromRecord, to: null, reason: null };
    this.spans = [...this.spans, span].slice(-MOST_TERMS);
    this.version += 1;
  }

  /** Who is proved to have died did so just now. Otherwise it is not known when, but nothing was heard of it since. */
  private hasExpired(at: number, lastHeard: number): boolean {
    return at - lastHeard >= this.leaseDurationMs;
  }

  private end(at: number, reason: string | null): void {
    const { last } = this;
    if (last?.to === null) this.replaceLast({ ...last, to: Math.max(at, last.from), reason });
  }

  private replaceLast(span: TermSpan): void {
    this.spans = [...this.spans.slice(0, -1), span];
    this.version += 1;
  }
}
