import { LockRequestError } from '../../lib/core/errors.js';
import { RecentEvents } from '../../lib/dashboard/recent-events.js';
import type { ElectionActivityEvent } from '../../lib/election/election-activity.js';

const TERM = { number: 3 } as never;
const REQUEST = {
  id: 'r1',
  asks: 'step-down',
  transitions: 3,
  holderIdentity: 'pod-a',
  by: 'anna',
  successor: 'pod-b',
} as const;

describe('the recent events of an election', () => {
  let events: RecentEvents;
  beforeEach(() => (events = new RecentEvents('plans', 'pod-a')));
  const said = (): string[] => events.view().events.map(({ tone, text }) => `${tone}: ${text}`);

  it.each<[ElectionActivityEvent, string]>([
    [{ kind: 'started' }, 'plain: pod-a competes for the lease'],
    [
      { kind: 'granted', term: TERM, waitedMs: 9, leaderlessMs: 12.4 },
      'good: pod-a became leader (term 3), 12 ms after the last leader ended',
    ],
    [
      { kind: 'revoked', term: TERM, reason: 'superseded', heldMs: 1 },
      'warning: pod-a lost leadership (term 3, superseded): another process holds the lease, or someone has edited it',
    ],
    [
      { kind: 'revoked', term: TERM, reason: 'shutdown', heldMs: 1 },
      'plain: pod-a lost leadership (term 3, shutdown): the application is shutting down',
    ],
    [{ kind: 'released', term: 3 }, 'plain: pod-a released the lease (term 3)'],
    [
      { kind: 'leader-changed', leader: 'pod-b', application: undefined },
      'good: pod-a follows pod-b',
    ],
    [
      { kind: 'leader-changed', leader: undefined, application: undefined },
      'warning: pod-a sees no leader',
    ],
    [
      { kind: 'eligibility-changed', isEligible: false, why: 'no database' },
      'warning: pod-a is ineligible to lead: no database',
    ],
    [{ kind: 'eligibility-changed', isEligible: true }, 'good: pod-a is eligible to lead'],
    [
      { kind: 'unclean-acquisition', term: 3, was: 'emptied' },
      'warning: pod-a acquired the lease although its holder was cleared without a release (term 3)',
    ],
    [
      { kind: 'ineligible-acquisition', term: 3 },
      'warning: pod-a acquired the lease although it is ineligible, as no eligible replica did (term 3)',
    ],
    [
      { kind: 'settling', term: 3, settleMs: 15_000 },
      'plain: pod-a acquired the lease (term 3) and leads in 15000 ms (strict)',
    ],
    [
      { kind: 'request-answered', request: REQUEST, refused: '' },
      'plain: pod-a was asked to step down in favour of pod-b by anna',
    ],
    [
      { kind: 'request-answered', request: REQUEST, refused: 'no\nsuch member' },
      'warning: pod-a was asked to step down in favour of pod-b by anna, and did not: no such member',
    ],
  ])('says of %j', (event, expected) => {
    events.hear(event, 5);
    expect(said()).toEqual([expected]);
    expect(events.view().events).toMatchObject([{ id: 1, at: 5 }]);
  });

  describe('when a request fails again and again', () => {
    const error = new LockRequestError('connection refused', { reason: 'unreachable' });
    const ended = {
      kind: 'request-ended',
      id: 1,
      purpose: 'renew',
      verb: 'replace',
      durationMs: 1,
    } as const;

    it('says it once a minute, and that the lock answers again', () => {
      for (let second = 0; second < 61; second += 1) {
        events.hear({ kind: 'failed', error }, second * 1_000);
        events.hear({ ...ended, outcome: 'unknown', error }, second * 1_000);
      }
      events.hear({ ...ended, outcome: 'applied' }, 62_000);
      events.hear({ ...ended, outcome: 'applied' }, 63_000);
      const failed = 'bad: pod-a: LeaderElectionError: connection refused';
      expect(said().map((text) => text.replace(/LockRequestError/, 'LeaderElectionError'))).toEqual(
        [failed, failed, 'good: pod-a: the lock answers again'],
      );
    });
  });

  describe('when it is this process that leads', () => {
    it('says so once', () => {
      events.hear({ kind: 'leader-changed', leader: 'pod-a', application: undefined }, 5);
      expect(said()).toEqual([]);
    });
  });

  describe('when very much has happened', () => {
    it('keeps the last 200', () => {
      for (let term = 1; term <= 300; term += 1) events.hear({ kind: 'released', term }, term);
      expect(events.view().events).toHaveLength(200);
      expect(events.view().events.at(-1)).toMatchObject({ id: 300 });
    });
  });
});
