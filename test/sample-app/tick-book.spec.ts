import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RecordedTicks, TickRun } from '../../sample-app/src/control-room/messages.js';
import { TickBook } from '../../sample-app/src/control-room/tick-book.js';

const START = 1_000_000;
const second = (count: number) => START + count * 1_000;

let book: TickBook;

beforeEach(() => {
  book = new TickBook((holder) => holder.replace(/_.*/, ''));
});

function ran(holder: string, tick: number, more: Partial<TickRun> = {}): void {
  const at = second(tick);
  const run = { tick: at, at, term: 1, isTriggered: false, isCaughtUp: false, ...more };
  book.ran(holder, { kind: 'ran', ...run });
}

function recorded(
  past: readonly (readonly [tick: number, holder: string, isInterrupted?: boolean])[],
  rest: { latest?: number; active?: readonly number[] } = {},
): void {
  const record: RecordedTicks = {
    kind: 'recorded',
    latest: second(rest.latest ?? Math.max(...past.map(([tick]) => tick))),
    active: (rest.active ?? []).map(second),
    past: past.map(([tick, holder, isInterrupted = false]) => ({
      tick: second(tick),
      holder,
      isInterrupted,
    })),
  };
  book.recorded(record);
}

const statesAt = (now: number) => book.view(0, second(now)).map(({ state }) => state);

describe('when a replica tells of a tick and the record does too', () => {
  it('counts one run', () => {
    ran('a_1', 0);
    recorded([[0, 'a_1']]);
    const only = { tick: second(0), state: 'ran', replicas: ['a'], ranAt: second(0) };
    expect(book.view(0, second(0))).toEqual([only]);
    expect(book.counts(second(0))).toEqual({
      since: second(0),
      ran: 1,
      caughtUp: 0,
      twice: 0,
      missed: 0,
      interrupted: 0,
    });
  });
});

describe('when a replica was killed before it could tell of its last tick', () => {
  beforeEach(() => {
    ran('a_1', 0);
    ran('b_1', 2);
  });

  it('counts the run that the record has', () => {
    recorded([
      [0, 'a_1'],
      [1, 'a_1'],
      [2, 'b_1'],
    ]);
    expect(statesAt(2)).toEqual(['ran', 'ran', 'ran']);
    expect(book.view(second(1), second(1))[0]!.replicas).toEqual(['a']);
  });

  it('does not pretend to know whether a claim without an end has run', () => {
    recorded([
      [0, 'a_1'],
      [1, 'a_1', true],
      [2, 'b_1'],
    ]);
    expect(statesAt(2)).toEqual(['ran', 'interrupted', 'ran']);
    expect(book.counts(second(2))).toMatchObject({ ran: 2, interrupted: 1, missed: 0, twice: 0 });
  });

  it('counts it as a run once the replica has spoken after all, and once only', () => {
    recorded([
      [0, 'a_1'],
      [1, 'a_1', true],
    ]);
    ran('a_1', 1);
    expect(statesAt(2)).toEqual(['ran', 'ran', 'ran']);
  });
});

describe('when two runs of one tick are known', () => {
  it.each<readonly [string, () => void]>([
    ['by two replicas that tell of it', () => ran('b_1', 0)],
    ['by one that tells of it twice', () => ran('a_1', 0)],
    ['by a second process of the same replica', () => ran('a_2', 0)],
    ['by the record of another replica', () => recorded([[0, 'b_1']])],
    ['by a claim of another replica whose end is unknown', () => recorded([[0, 'b_1', true]])],
  ])('says that it ran twice: %s', (_, second_) => {
    ran('a_1', 0);
    second_();
    expect(statesAt(0)).toEqual(['twice']);
    expect(book.counts(second(0))).toMatchObject({ ran: 0, twice: 1 });
  });
});

describe('when a tick leaves no trace', () => {
  beforeEach(() => ran('a_1', 0));

  it('is due for as long as it may still run, and missed after that', () => {
    expect(statesAt(6)).toEqual(['ran', 'due', 'due', 'due', 'due', 'due', 'due']);
    expect(statesAt(8).slice(0, 4)).toEqual(['ran', 'missed', 'due', 'due']);
  });

  it('is missed as soon as a leader says so', () => {
    book.missed(second(1));
    expect(statesAt(2)).toEqual(['ran', 'missed', 'due']);
  });

  it('is missed as soon as the record has passed it over', () => {
    recorded([
      [0, 'a_1'],
      [2, 'b_1'],
    ]);
    expect(statesAt(2)).toEqual(['ran', 'missed', 'ran']);
  });

  it('is due while a replica that claimed it has not ended', () => {
    recorded([[0, 'a_1']], { latest: 2, active: [1] });
    expect(statesAt(20).slice(0, 3)).toEqual(['ran', 'due', 'missed']);
  });

  it('ran if a replica says so later', () => {
    book.missed(second(1));
    ran('a_1', 1, { isCaughtUp: true });
    expect(statesAt(1)).toEqual(['ran', 'caught-up']);
    expect(book.counts(second(1))).toMatchObject({ ran: 2, caughtUp: 1, missed: 0 });
  });
});

describe('when someone triggers a run', () => {
  it.each([0.25, 0])('counts no tick, also at the very time of one: %d s after it', (after) => {
    const isTriggered = true;
    ran('a_1', after, { isTriggered });
    expect(book.counts(second(1))).toBeNull();
    ran('a_1', 1);
    ran('a_1', 1 + after, { isTriggered });
    expect(book.counts(second(1))).toMatchObject({ ran: 1, twice: 0 });
  });
});

describe('when the fleet runs for long', () => {
  it('counts every tick once, and again what a replica that was frozen says of an old one', () => {
    for (let tick = 0; tick < 600; tick += 1) {
      if (tick % 100 !== 50) ran('a_1', tick);
      book.counts(second(tick));
    }
    expect(book.counts(second(600))).toMatchObject({ ran: 594, missed: 6, twice: 0 });
    ran('b_1', 50);
    ran('b_1', 51);
    expect(book.counts(second(600))).toMatchObject({ ran: 594, missed: 5, twice: 1 });
  });
});

describe('when ticks came before the first run of this fleet', () => {
  it('does not count them', () => {
    recorded([[0, 'z_1']]);
    book.missed(second(1));
    expect(book.counts(second(2))).toBeNull();
    ran('a_1', 2);
    expect(book.view(0, second(3)).map(({ tick }) => tick)).toEqual([second(2), second(3)]);
  });
});
