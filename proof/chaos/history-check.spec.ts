import { describe, expect, it } from '@jest/globals';
import { type AcceptedWrites, FencedRegister } from './fenced-register.js';
import { checkHistory, type HistoryVerdict } from './history-check.js';
import { leadershipFigures } from './leadership-changes.js';
import { ProcessHistory } from './process-history.js';

/**
 * `G at term token`, `R at term reason`, `P at term`, `T at term token tick`, separated by commas; times in whole
 * milliseconds.
 */
function history(process: string, made: string, cutOff = ''): ProcessHistory {
  const lines = made.split(',').map((line) => {
    const [kind, at, term, detail, tick] = line.trim().split(' ');
    const of = { at: Number(at) * 1e6, term: Number(term) };
    if (kind === 'G') return { type: 'granted', ...of, token: detail };
    if (kind === 'R') return { type: 'revoked', ...of, reason: detail };
    if (kind === 'P') return { type: 'believed', ...of };
    return { type: kind === 'T' ? 'tick' : kind, ...of, token: detail, tick: Number(tick) };
  });
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  return ProcessHistory.read(process, text + cutOff);
}

const A = 'G 10 1 100, P 10 1, P 12 1, P 20 1, R 21 1 shutdown';
const B = 'G 30 2 200, P 30 2, P 40 2, R 41 2 shutdown';

function verdict(
  histories: Record<string, string>,
  { accepted = [] as AcceptedWrites[], termsMayRestart = false } = {},
): HistoryVerdict {
  return checkHistory({
    histories: Object.entries(histories).map(([process, made]) => history(process, made)),
    accepted,
    termsMayRestart,
  });
}

describe('when the history is as it should be', () => {
  it('finds nothing', () => {
    const accepted = [
      { token: 100n, process: 'a', count: 3 },
      { token: 200n, process: 'b', count: 1 },
    ];
    expect(verdict({ a: A, b: B }, { accepted })).toEqual({
      violations: [],
      overlaps: 0,
      tokensOutOfOrder: 0,
      ticks: 0,
      doubleTicks: 0,
    });
  });

  it('takes a process that was killed in a term, in the middle of a line', () => {
    const torn = history('a', 'G 10 1 100, P 10 1', '{"type":"believed","at":120');
    expect(torn.violations).toEqual([]);
    expect(torn.beliefs).toMatchObject([{ points: 1, from: 10, to: 10, revokedAt: undefined }]);
  });

  it('does not take the instant at which a stopped process tells of a term for one of belief', () => {
    // Granted at 15 and stopped before it could look; it tells after the next leader began.
    const late = 'G 35 1 150, R 36 1 renew-deadline';
    expect(verdict({ a: late, b: B }).violations).toEqual([]);
  });
});

describe('when two processes believe at once (I1)', () => {
  it.each([
    ['a point of one lies between two of the other', 'G 15 2 200, P 15 2, R 16 2 shutdown'],
    ['their beliefs cross', 'G 18 2 200, P 18 2, P 25 2, R 26 2 shutdown'],
    ['one contains the other', 'G 5 0 50, P 5 0, P 50 0, R 51 0 shutdown'],
  ])('finds it where %s', (_case, other) => {
    const { overlaps, violations } = verdict({ a: A, b: other });
    expect(overlaps).toBe(1);
    expect(violations).toEqual([expect.stringMatching(/^I1: [ab] term . .* overlaps [ab] term/)]);
  });

  it('counts each pair once', () => {
    const c = 'G 19 3 300, P 19 3, R 20 3 shutdown';
    const b = 'G 11 2 200, P 11 2, P 19 2, R 20 2 shutdown';
    expect(verdict({ a: A, b, c }).overlaps).toBe(3);
  });
});

describe('when terms or tokens do not grow (I2)', () => {
  it('finds a token that falls', () => {
    const { violations, tokensOutOfOrder } = verdict({ a: A, b: B.replace('200', '99') });
    expect(tokensOutOfOrder).toBe(1);
    expect(violations).toEqual([expect.stringMatching(/^I2: the token does not grow/)]);
  });

  it('finds a token that comes twice', () => {
    expect(verdict({ a: A, b: B.replace('200', '100') }).tokensOutOfOrder).toBe(1);
  });

  it('finds a term that comes twice, unless people may have touched the lease', () => {
    const b = 'G 30 1 200, P 30 1, R 31 1 shutdown';
    expect(verdict({ a: A, b }).violations).toEqual([
      expect.stringMatching(/^I2: the term does not grow/),
    ]);
    expect(verdict({ a: A, b }, { termsMayRestart: true }).violations).toEqual([]);
  });
});

describe('when events and points do not fit (I3)', () => {
  it.each([
    ['two grants in a row', 'G 10 1 100, G 11 2 200', 'was granted term 2 before term 1'],
    ['a revocation without a grant', 'R 10 1 shutdown', 'revoked term 1, which it did not have'],
    ['two revocations in a row', `${A}, R 22 1 shutdown`, 'revoked term 1, which it did not have'],
    ['a revocation of another term', 'G 10 1 100, R 11 2 shutdown', 'revoked term 2'],
    ['a point before the grant', 'P 9 1, G 10 1 100', 'believed at 9 to lead in term 1'],
    ['a point after the revocation', `${A}, P 22 1`, 'believed at 22 to lead in term 1'],
    ['a point of another term', 'G 10 1 100, P 11 2', 'believed at 11 to lead in term 2'],
    ['a tick of another term', 'G 10 1 100, T 11 2 100 1000', 'started a tick at 11 in term 2'],
    ['a tick after the revocation', `${A}, T 22 1 100 1000`, 'started a tick at 22 in term 1'],
    ['a tick with another token', 'G 10 1 100, T 11 1 99 1000', 'started a tick at 11 in term 1'],
    ['a clock that goes back', 'G 10 1 100, P 9 1', 'goes back in time'],
    ['nonsense', 'X 10 1', 'has an unknown line'],
  ])('finds %s', (_case, made, message) => {
    expect(verdict({ a: made }).violations).toEqual([expect.stringContaining(`I3: a ${message}`)]);
  });
});

describe('when the register was written as it should not have been (I4)', () => {
  it.each([
    [
      'an older token after a newer one',
      [
        { token: 200n, process: 'b', count: 1 },
        { token: 100n, process: 'a', count: 1 },
      ],
      'I4: the register accepted 100 after 200',
    ],
    [
      'a token of another process',
      [{ token: 100n, process: 'b', count: 1 }],
      'I4: b wrote with token 100 of a',
    ],
    [
      'a token that nobody was granted',
      [{ token: 150n, process: 'b', count: 1 }],
      'I4: b wrote with token 150 of nobody',
    ],
  ])('finds %s', (_case, accepted, message) => {
    expect(verdict({ a: A, b: B }, { accepted }).violations).toEqual([message]);
  });
});

describe('when ticks are started', () => {
  const ticking = (made: string, starts: string) => made.replace(', R ', `, ${starts}, R `);

  it('takes every tick once, in whatever order of time', () => {
    const a = ticking(A, 'T 20 1 100 2000, T 20 1 100 1000');
    const b = ticking(B, 'T 40 2 200 3000');
    expect(verdict({ a, b })).toMatchObject({ ticks: 3, doubleTicks: 0, violations: [] });
  });

  it('finds one that two processes started (I5)', () => {
    const a = ticking(A, 'T 20 1 100 1000');
    const b = ticking(B, 'T 40 2 200 1000');
    expect(verdict({ a, b })).toMatchObject({
      ticks: 2,
      doubleTicks: 1,
      violations: [
        'I5: the tick of 1970-01-01T00:00:01.000Z was started 2 times: ' +
          'a term 1 token 100 at 20.000, b term 2 token 200 at 40.000',
      ],
    });
  });

  it('finds one that a process started again, and counts it once however often', () => {
    const a = ticking(A, 'T 20 1 100 1000, T 20 1 100 1000, T 20 1 100 1000');
    expect(verdict({ a })).toMatchObject({ ticks: 3, doubleTicks: 1 });
  });

  it('counts the last one of a process that was killed right after it', () => {
    const torn = history('a', 'G 1 1 100, T 2 1 100 1000', '{"type":"tick","at":3');
    expect(torn.ticks).toEqual([{ process: 'a', at: 2, term: 1, token: 100n, tick: 1_000 }]);
  });
});

describe('the fenced register', () => {
  it('refuses a lower token than the highest, and takes the same one again', async () => {
    const register = await FencedRegister.start();
    const answers = [5n, 5n, 4n, 7n].map((token) => register.write(token, `p${token}`));
    await register.stop();
    expect(answers).toEqual([true, true, false, true]);
    expect(register.refusals).toBe(1);
    expect(register.accepted).toEqual([
      { token: 5n, process: 'p5', count: 2 },
      { token: 7n, process: 'p7', count: 1 },
    ]);
  });
});

describe('when leadership changes are counted', () => {
  const beliefs = [history('a', A), history('b', `${B}, G 50 3 300, P 50 3, P 60 3`)].flatMap(
    (made) => made.beliefs,
  );

  it('takes a new term of the same process for no change', () => {
    expect(leadershipFigures(beliefs, [])).toMatchObject({
      terms: 3,
      leadershipChanges: 1,
      probes: 7,
      longestLeaderlessMs: 10,
      closestHandoverMs: 10,
      endsByReason: { shutdown: 2, 'process ended': 1 },
    });
  });

  it('names the last fault that met the leader in its term as the cause', () => {
    const faults = [
      { at: 11, kind: 'delay', process: 'a' },
      { at: 15, kind: 'sigterm', process: 'a' },
      { at: 16, kind: 'sigkill', process: 'b' },
      { at: 25, kind: 'etcd-kill' },
    ];
    expect(leadershipFigures(beliefs, faults).changesByFault).toEqual({ sigterm: 1 });
    expect(leadershipFigures(beliefs, []).changesByFault).toEqual({
      'none that met it in its term': 1,
    });
  });

  it('tells what was injected around the longest time without a leader', () => {
    const faults = [
      { at: 22, kind: 'etcd-kill' },
      { at: 31, kind: 'sigterm', process: 'b' },
    ];
    expect(leadershipFigures(beliefs, faults)).toMatchObject({
      longestLeaderlessMs: 10,
      longestLeaderlessAfter: ['etcd-kill'],
    });
  });

  it('knows that a process which told of no end was ended after its last point', () => {
    const killed = [history('a', 'G 10 1 100, P 10 1'), history('b', B)].flatMap(
      (made) => made.beliefs,
    );
    const faults = [
      { at: 14, kind: 'sigkill', process: 'a' },
      { at: 15, kind: 'etcd-kill' },
    ];
    expect(leadershipFigures(killed, faults).changesByFault).toEqual({ sigkill: 1 });
  });
});
