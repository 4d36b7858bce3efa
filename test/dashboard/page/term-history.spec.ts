import { describe, expect, it } from '@jest/globals';
import type { TermSpan } from '../../../lib/dashboard/dashboard-view.js';
import {
  courseOf,
  joined,
  NO_HISTORY,
  seenUntil,
} from '../../../lib/dashboard/page/term-history.js';

const MINUTE = 60_000;

function span(
  term: number,
  from: number,
  to: number | null,
  changes: Partial<TermSpan> = {},
): TermSpan {
  return {
    term,
    holder: `pod-${term % 2}`,
    from,
    isFromRecord: false,
    to,
    reason: null,
    ...changes,
  };
}

function told(terms: TermSpan[], seenSince = 0) {
  return { role: 'plans', seenSince, terms };
}

function ends(history: ReturnType<typeof joined>) {
  return history.terms.map(({ term, from, to }) => [term, from, to]);
}

describe('when one replica says who led', () => {
  it('shows each gap between a term that ended and the next', () => {
    const history = joined(NO_HISTORY, told([span(1, 100, 500), span(2, 740, null)]), 0, 2_000);
    const { led, gaps, unseen } = courseOf(history, false, 2_000);
    expect(led.map(({ from, to, isNow }) => [from, to, isNow])).toEqual([
      [100, 500, false],
      [740, 2_000, true],
    ]);
    expect(gaps).toEqual([{ from: 500, to: 740, isNow: false }]);
    expect(unseen).toEqual([]);
  });

  it('shows a gap that lasts, if the role has no leader', () => {
    const history = joined(NO_HISTORY, told([span(1, 100, 500)]), 0, 2_000);
    expect(courseOf(history, true, 2_000).gaps).toEqual([{ from: 500, to: 2_000, isNow: true }]);
    expect(courseOf(history, false, 2_000).gaps).toEqual([]);
  });

  it('does not call a time leaderless in which a term was missed', () => {
    const history = joined(NO_HISTORY, told([span(1, 100, 500), span(3, 740, null)]), 0, 2_000);
    const { gaps, unseen } = courseOf(history, false, 2_000);
    expect(gaps).toEqual([]);
    expect(unseen).toEqual([{ from: 500, to: 740 }]);
  });

  it('shows no gap where clocks let two terms overlap', () => {
    const history = joined(NO_HISTORY, told([span(1, 100, 500), span(2, 480, null)]), 0, 2_000);
    const { gaps, unseen } = courseOf(history, false, 2_000);
    expect([...gaps, ...unseen]).toEqual([]);
  });
});

describe('when a reconnect reaches another replica', () => {
  it('keeps what only the first had seen', () => {
    const before = joined(NO_HISTORY, told([span(1, 100, 500), span(2, 740, null)]), 0, 2_000);
    const after = joined(
      before,
      told([span(2, 700, 3_000, { isFromRecord: true })], 900),
      0,
      4_000,
    );
    expect(ends(after)).toEqual([
      [1, 100, 500],
      // The first saw it begin; the record has whole seconds.
      [2, 740, 3_000],
    ]);
    expect(after.seenSince).toBe(0);
  });

  it('takes the second for it that has seen a term begin which the first knew from its record', () => {
    const before = joined(NO_HISTORY, told([span(2, 700, null, { isFromRecord: true })]), 0, 2_000);
    expect(ends(joined(before, told([span(2, 741, null)]), 0, 2_100))).toEqual([[2, 741, null]]);
  });

  it('learns why a term ended from whoever knows', () => {
    const before = joined(NO_HISTORY, told([span(2, 700, 900)]), 0, 2_000);
    const after = joined(before, told([span(2, 700, 900, { reason: 'expired' })]), 0, 2_100);
    expect(after.terms[0]!.reason).toBe('expired');
  });

  it('puts the times of a replica whose clock is ahead beside those of the first', () => {
    const before = joined(NO_HISTORY, told([span(1, 100, 500)]), 0, 2_000);
    const after = joined(
      before,
      told([span(1, 50_100, 50_500), span(2, 50_740, null)]),
      50_000,
      2_000,
    );
    expect(ends(after)).toEqual([
      [1, 100, 500],
      [2, 740, null],
    ]);
  });

  it('does not know when a term ended whose end no replica says', () => {
    const before = joined(NO_HISTORY, told([span(1, 100, null)]), 0, 200);
    const lost = seenUntil(before, 5_000);
    const after = joined(lost, told([span(2, 9_000, null)], 8_000), 0, 10_000);
    const { led, gaps, unseen } = courseOf(after, false, 10_000);
    expect(led.map(({ from, to }) => [from, to])).toEqual([
      [100, 5_000],
      [9_000, 10_000],
    ]);
    expect(gaps).toEqual([]);
    expect(unseen).toEqual([{ from: 5_000, to: 9_000 }]);
  });

  it('tells a term from one of the same number after the lease was deleted', () => {
    const holder = 'pod-1';
    const before = joined(NO_HISTORY, told([span(1, 100, 500, { holder })]), 0, 2_000);
    const again = span(1, 500 + 10 * MINUTE, null, { holder });
    expect(joined(before, told([again]), 0, 700_000).terms).toHaveLength(2);
  });

  it('forgets the oldest when it has heard of very many', () => {
    const many = Array.from({ length: 2_500 }, (_, index) =>
      span(index, index * 10, index * 10 + 9),
    );
    const { terms } = joined(NO_HISTORY, told(many), 0, 30_000);
    expect([terms.length, terms[0]!.term]).toEqual([2_000, 500]);
  });

  it('changes nothing when the same is said again', () => {
    const view = told([span(1, 100, 500), span(2, 740, null)]);
    const once = joined(NO_HISTORY, view, 0, 2_000);
    expect(joined(once, view, 0, 2_000)).toEqual(once);
  });
});
