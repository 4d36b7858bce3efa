import { beforeEach, describe, expect, it } from '@jest/globals';
import { TermBook } from '../../sample-app/src/control-room/term-book.js';

let book: TermBook;
beforeEach(() => {
  book = new TermBook((holder) => holder.replace(/_.*/, ''));
  book.granted('a_1', 1, 1_000);
});

const gaps = () => book.view().map(({ gapMs }) => gapMs);

describe('when one replica leads after another', () => {
  it('measures from the end of the one to the grant of the other', () => {
    book.revoked('a_1', 5_000, 'shutdown');
    expect(book.leader).toBeNull();
    expect(book.leaderlessSince).toBe(5_000);
    book.granted('b_1', 2, 5_040);
    expect(gaps()).toEqual([null, 40]);
    expect(book.leader).toMatchObject({ replica: 'b', term: 2, from: 5_040 });
    expect(book.view()[0]).toMatchObject({ to: 5_000, reason: 'shutdown' });
  });

  it('says so if both led at once', () => {
    book.granted('b_1', 2, 5_000);
    book.revoked('a_1', 5_300, 'superseded');
    expect(gaps()).toEqual([null, -300]);
  });
});

describe('when a leader is killed', () => {
  it('ends its term with the process', () => {
    book.ended('a_1', 3_000, 'SIGKILL');
    book.granted('b_1', 2, 3_200);
    expect(gaps()).toEqual([null, 200]);
  });

  it('does not take for two leaders that another replica heard of the death first', () => {
    book.granted('b_1', 2, 3_000);
    book.ended('a_1', 3_004, 'SIGKILL');
    expect(gaps()).toEqual([null, 0]);
  });
});

describe('when a leader stands still', () => {
  beforeEach(() => book.stoodStill('a_1', 2_000));

  it('leads on if it moves before another leads', () => {
    book.moves('a_1');
    expect(book.leader).toMatchObject({ replica: 'a', to: null });
    book.revoked('a_1', 9_000, 'shutdown');
    expect(book.view()[0]!.to).toBe(9_000);
  });

  it('has led until then once another leads, whatever it says later', () => {
    book.granted('b_1', 2, 7_000);
    book.moves('a_1');
    book.revoked('a_1', 9_000, 'renew-deadline');
    expect(book.view()[0]!.to).toBe(2_000);
    expect(gaps()).toEqual([null, 5_000]);
    expect(book.leader).toMatchObject({ replica: 'b' });
  });

  it('has led until then if it is killed', () => {
    book.ended('a_1', 6_000, 'SIGKILL');
    expect(book.view()[0]!.to).toBe(2_000);
  });
});

describe('when there are more terms than are kept', () => {
  it('still measures the gap before the oldest that is', () => {
    book.revoked('a_1', 1_500, 'shutdown');
    for (let term = 2; term <= 52; term += 1) {
      book.granted('a_1', term, term * 1_000);
      book.revoked('a_1', term * 1_000 + 900, 'shutdown');
    }
    expect(book.view()).toHaveLength(50);
    expect(gaps().every((gapMs) => gapMs === 100)).toBe(true);
  });
});
