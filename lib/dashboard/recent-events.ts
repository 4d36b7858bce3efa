import { titleOf } from '../core/thrown-value.js';
import type { LeaderRequest } from '../core/lease-record.js';
import type { RevocationReason } from '../core/term.js';
import type { ElectionActivityEvent } from '../election/election-activity.js';
import { askedToStepDown, ON_PURPOSE } from '../election/election-logger.js';
import { shortIdentity } from '../election/log-entry.js';
import type { DashboardEvent, EventsView } from './dashboard-view.js';

const MOST_EVENTS = 200;
const LONGEST_TEXT = 500;
/** What fails again and again is said once in this time. */
const SAID_AGAIN_AFTER_MS = 60_000;

type Tone = DashboardEvent['tone'];

const WHY_LOST: Readonly<Record<RevocationReason, string>> = {
  'renew-deadline': 'no renewal succeeded in time',
  superseded: 'another process holds the lease, or someone has edited it',
  'lease-deleted': 'the lease was deleted',
  'stepped-down': 'it stepped down',
  'handler-failed': 'an @OnGranted() handler failed',
  suspended: 'its candidacy was suspended',
  ineligible: 'it was not fit to lead, and another replica is',
  shutdown: 'the application is shutting down',
};

const HOW_TAKEN = {
  missing: 'created the lease',
  unheld: 'acquired the lease, which showed no earlier holder',
  emptied: 'acquired the lease although its holder was cleared without a release',
} as const;

/** What has happened to the election of a role in this process, for an operator. */
export class RecentEvents {
  private events: DashboardEvent[] = [];
  /** How many there have been. */
  version = 0;
  private failing: string | undefined;
  private readonly toldAt = new Map<string, number>();
  private readonly self: string;

  constructor(
    private readonly role: string,
    private readonly identity: string,
  ) {
    this.self = shortIdentity(identity);
  }

  view(): EventsView {
    return { role: this.role, events: this.events };
  }

  say(at: number, tone: Tone, text: string): void {
    this.version += 1;
    const line = text.replace(/\s+/g, ' ').trim().slice(0, LONGEST_TEXT);
    this.events = [...this.events, { id: this.version, at, tone, text: line }].slice(-MOST_EVENTS);
  }

  /** What repeats itself is said again only after a while. */
  failed(at: number, text: string): void {
    const last = this.toldAt.get(text);
    if (last !== undefined && at - last < SAID_AGAIN_AFTER_MS) return;
    if (this.toldAt.size >= MOST_EVENTS) this.toldAt.clear();
    this.toldAt.set(text, at);
    this.say(at, 'bad', text);
  }

  hear(event: ElectionActivityEvent, at: number): void {
    const { self } = this;
    switch (event.kind) {
      case 'started':
        return this.say(at, 'plain', `${self} competes for the lease`);
      case 'granted': {
        const { term, leaderlessMs } = event;
        const gap =
          leaderlessMs === undefined
            ? ''
            : `, ${Math.round(leaderlessMs)} ms after the last leader ended`;
        return this.say(at, 'good', `${self} became leader (term ${term.number})${gap}`);
      }
      case 'revoked': {
        const tone = ON_PURPOSE.includes(event.reason) ? 'plain' : 'warning';
        const why = `term ${event.term.number}, ${event.reason}): ${WHY_LOST[event.reason]}`;
        return this.say(at, tone, `${self} lost leadership (${why}`);
      }
      case 'released':
        return this.say(at, 'plain', `${self} released the lease (term ${event.term})`);
      case 'leader-changed':
        return this.leaderChanged(event.leader, at);
      case 'settling':
        return this.say(
          at,
          'plain',
          `${self} acquired the lease (term ${event.term}) and leads in ${event.settleMs} ms (strict)`,
        );
      case 'unclean-acquisition':
        return this.say(
          at,
          event.was === 'emptied' ? 'warning' : 'plain',
          `${self} ${HOW_TAKEN[event.was]} (term ${event.term})`,
        );
      case 'uncoordinated-acquisition':
        return this.say(
          at,
          'warning',
          `${self} acquired the lease although spec.strategy is "${event.coordination.strategy}" (term ${event.term})`,
        );
      case 'ineligible-acquisition':
        return this.say(
          at,
          'warning',
          `${self} acquired the lease although it is ineligible, as no eligible replica did (term ${event.term})`,
        );
      case 'request-answered':
        return this.requestAnswered(event.request, event.refused, at);
      case 'eligibility-changed':
        return event.isEligible
          ? this.say(at, 'good', `${self} is eligible to lead`)
          : this.say(at, 'warning', `${self} is ineligible to lead: ${event.why ?? ''}`);
      case 'failed':
        this.failing = titleOf(event.error);
        return this.failed(at, `${self}: ${this.failing}`);
      case 'request-ended':
        return this.answered(event, at);
      // Too many, or nothing that an operator acts on.
      default:
        return;
    }
  }

  private leaderChanged(leader: string | undefined, at: number): void {
    if (leader === this.identity) return;
    if (leader === undefined) return this.say(at, 'warning', `${this.self} sees no leader`);
    this.say(at, 'good', `${this.self} follows ${shortIdentity(leader)}`);
  }

  private requestAnswered(request: LeaderRequest, refused: string, at: number): void {
    if (request.asks !== 'step-down') return;
    const asked = `${this.self} ${askedToStepDown(request)}`;
    if (refused === '') return this.say(at, 'plain', asked);
    this.say(at, 'warning', `${asked}, and did not: ${refused}`);
  }

  private answered(
    { error, outcome }: Extract<ElectionActivityEvent, { kind: 'request-ended' }>,
    at: number,
  ): void {
    if (this.failing === undefined || error !== undefined || outcome === 'abandoned') return;
    this.failing = undefined;
    this.say(at, 'good', `${this.self}: the lock answers again`);
  }
}
