import { type LeaseRecord, recordFor } from '../../lib/core/lease-record.js';
import { openTerm } from '../../lib/elector/leader-elector.js';
import { TermHistory } from '../../lib/dashboard/term-history.js';

const START = 1_000_000;

function record(
  identity: string,
  term: number,
  purpose: 'hold' | 'release' = 'hold',
  acquiredAt = START,
): LeaseRecord {
  const acquireTimeMicros = acquiredAt * 1_000;
  const written = { term, acquireTimeMicros, renewTimeMicros: acquireTimeMicros };
  return recordFor(purpose, written, { identity, leaseDurationMs: 15_000 });
}

describe('the terms that a process has seen', () => {
  let history: TermHistory;
  beforeEach(() => (history = new TermHistory('plans', 'pod-a', START, 15_000)));

  const granted = (number: number, at: number): void => {
    const { term } = openTerm({
      role: 'plans',
      number,
      fencingToken: 1n,
      holderIdentity: 'pod-a',
      grantedAt: new Date(at),
    });
    history.hear({ kind: 'granted', term, waitedMs: 0 }, at, seenAt(at, record('pod-a', number)));
  };
  const revoked = (at: number, reason: 'shutdown' | 'superseded'): void => {
    const term = { number: 1 } as never;
    history.hear({ kind: 'revoked', term, reason, heldMs: 0 }, at, seenAt(at, undefined));
  };
  const seenAt = (since: number, stored: LeaseRecord | undefined) => ({ record: stored, since });
  const leads = (leader: string | undefined, at: number, stored?: LeaseRecord, since = at): void =>
    history.hear(
      { kind: 'leader-changed', leader, application: undefined },
      at,
      seenAt(since, stored),
    );
  const terms = () =>
    history
      .view()
      .terms.map(({ term, holder, from, to, reason }) => [term, holder, from, to, reason]);

  describe('when it leads itself', () => {
    it('has its term from the grant to the revocation, with the reason', () => {
      leads('pod-a', START + 4, record('pod-a', 1));
      granted(1, START + 5);
      leads('pod-a', START + 6, record('pod-a', 1));
      revoked(START + 90, 'shutdown');
      leads(undefined, START + 91, record('pod-a', 1));
      expect(terms()).toEqual([[1, 'pod-a', START + 5, START + 90, 'shutdown']]);
    });
  });

  describe('when another leads', () => {
    it('shows the gap between one leader and the next', () => {
      leads('pod-b', START + 10, record('pod-b', 1, 'hold', START + 8));
      leads(undefined, START + 100, record('pod-b', 1, 'release'));
      leads('pod-c', START + 140, record('pod-c', 2));
      expect(terms()).toEqual([
        [1, 'pod-b', START + 10, START + 100, 'released'],
        [2, 'pod-c', START + 140, null, null],
      ]);
    });

    it('has it from its own acquisition on, if it led before this process began', () => {
      leads('pod-b', START + 10, record('pod-b', 7, 'hold', START - 60_000));
      const { terms: seen } = history.view();
      expect(seen).toMatchObject([{ term: 7, from: START - 60_000, isFromRecord: true }]);
    });

    it('says that the lease had expired, unless it was released', () => {
      leads('pod-b', START + 10, record('pod-b', 1));
      leads(undefined, START + 100, record('pod-b', 1));
      expect(terms()).toEqual([[1, 'pod-b', START + 10, START + 100, 'expired']]);
    });

    it.each([
      ['was last heard of, if it did not renew the lease for its whole duration', 15_000, 0],
      ['ended, if that is proved before', 14_999, 14_999],
    ])('ends its term when it %s', (_when, heardLater, endsLater) => {
      const lastRenewal = START + 50;
      leads('pod-b', START + 10, record('pod-b', 1));
      leads(undefined, lastRenewal + heardLater, record('pod-b', 1), lastRenewal);
      expect(terms()).toEqual([[1, 'pod-b', START + 10, lastRenewal + endsLater, 'expired']]);
    });

    it('leaves the time between the last renewal of its leader and an own term without one', () => {
      leads('pod-b', START + 10, record('pod-b', 1));
      const asked = {
        kind: 'request-started',
        id: 1,
        purpose: 'acquire',
        verb: 'replace',
      } as const;
      history.hear(asked, START + 15_060, seenAt(START + 50, record('pod-b', 1)));
      granted(2, START + 15_070);
      expect(terms()).toEqual([
        [1, 'pod-b', START + 10, START + 50, 'expired'],
        [2, 'pod-a', START + 15_070, null, null],
      ]);
    });

    it('continues a term whose leader was only out of sight', () => {
      leads('pod-b', START + 10, record('pod-b', 1));
      leads(undefined, START + 100, record('pod-b', 1));
      leads('pod-b', START + 200, record('pod-b', 1));
      expect(terms()).toEqual([[1, 'pod-b', START + 10, null, null]]);
    });

    it('ends the term of whoever led before', () => {
      leads('pod-b', START + 10, record('pod-b', 1));
      leads('pod-c', START + 50, record('pod-c', 2));
      granted(3, START + 90);
      expect(terms()).toEqual([
        [1, 'pod-b', START + 10, START + 50, null],
        [2, 'pod-c', START + 50, START + 90, null],
        [3, 'pod-a', START + 90, null, null],
      ]);
    });
  });

  describe('when there have been very many', () => {
    it('keeps the last 500', () => {
      for (let term = 1; term <= 600; term += 1) granted(term, START + term);
      expect(history.view().terms).toHaveLength(500);
      expect(history.view().terms.at(-1)).toMatchObject({ term: 600, to: null });
    });
  });
});
