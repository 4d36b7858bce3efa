import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { judgeHistories } from './judge.js';

type Line = Record<string, unknown>;

const granted = (at: number, term: number, token: string) => ({ type: 'granted', at, term, token });
const believed = (at: number, term: number) => ({ type: 'believed', at, term });
const revoked = (at: number, term: number) => ({ type: 'revoked', at, term, reason: 'shutdown' });
const ended = (at: number, process: string) => ({ type: 'ended', at, process });
const wrote = (from: number, to: number, id: number, token: string, accepted = true) => [
  { type: 'write', at: from, id, token },
  { type: 'written', at: to, id, accepted },
];
const was = (from: number, to: number, id: number, token: string, process: string) => [
  { type: 'read', at: from, id },
  { type: 'was', at: to, id, token, process },
];

const requested = (at: number, by: string, term: number, holder: string) => ({
  type: 'requested',
  at,
  by,
  term,
  holder,
});
const heard = (at: number, by: string, refused = false) => ({ type: 'heard', at, by, refused });
const told = (at: number, by: string, outcome: string) => ({
  type: 'request-ended',
  at,
  by,
  outcome,
});

describe('the second judge', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'chaos-judge-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const judged = async (histories: Record<string, readonly Line[]>, cutOff = '') => {
    for (const [process, lines] of Object.entries(histories)) {
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
      await writeFile(join(directory, `${process}.jsonl`), text + cutOff);
    }
    return judgeHistories(directory);
  };

  const A = [granted(10, 1, '100'), believed(11, 1), believed(20, 1), revoked(21, 1)];
  const B = [granted(30, 2, '200'), believed(30, 2), believed(40, 2), revoked(41, 2)];

  describe('when terms follow each other', () => {
    it('finds nothing', async () => {
      const { lock } = await judged({ a: A, b: B });
      expect(lock).toEqual({ result: 'ok', operations: 4, violations: [] });
    });

    it('takes a late word of a process that was stopped, and one that was killed in a term', async () => {
      const late = [...A.slice(0, 3), revoked(50, 1)];
      expect((await judged({ a: late, b: B })).lock.result).toBe('ok');
      const killed = A.slice(0, 3);
      const run = [ended(25, 'a')];
      expect((await judged({ a: killed, b: B, run }, '{"type":"believ')).lock.result).toBe('ok');
    });

    it('takes a term in which the process never looked', async () => {
      const unseen = [granted(35, 1, '150'), revoked(36, 1)];
      expect((await judged({ a: unseen, b: B })).lock.result).toBe('ok');
    });
  });

  describe('when two lead', () => {
    it('finds a point of one within the term of the other', async () => {
      const { lock } = await judged({
        a: [...A.slice(0, 2), believed(31, 1), revoked(32, 1)],
        b: B,
      });
      expect(lock.result).toBe('violated');
      expect(lock.violations[0]).toMatch(/not a history of a lock: .*(acquires|releases) term/);
    });

    it('finds it among a thousand terms', async () => {
      const many = Array.from({ length: 1_000 }, (_, index) => {
        const at = 100 * index;
        const term = [granted(at, index + 1, `${index + 1}`), believed(at, index + 1)];
        return [
          ...term,
          believed(at + (index === 700 ? 101 : 50), index + 1),
          revoked(at + 300, index + 1),
        ];
      });
      const histories = Object.fromEntries(many.map((lines, index) => [`p${index}`, lines]));
      const { lock } = await judged(histories);
      expect(lock).toMatchObject({ result: 'violated', operations: 2_000 });
      expect(lock.violations[0]).toMatch(/p70[01] (acquires|releases) term 70[12] /);
    });
  });

  describe('when a revocation is lost', () => {
    it('finds a process that leads no more and was never told, nor has ended', async () => {
      expect((await judged({ a: A.slice(0, 3), b: B })).lock.result).toBe('violated');
    });

    it('finds a second grant before it', async () => {
      const twice = [...A.slice(0, 3), granted(25, 3, '300'), revoked(26, 3)];
      expect((await judged({ a: twice })).lock.violations).toEqual([
        'a was granted term 3, and term 1 was never revoked',
      ]);
    });

    it('finds belief after it', async () => {
      const { violations } = (await judged({ a: [...A, believed(22, 1)] })).lock;
      expect(violations).toEqual([expect.stringContaining('considered itself leader later')]);
    });

    it('finds a job that was started after it', async () => {
      const tick = { type: 'tick', at: 22, term: 1, token: '100', tick: 1_000 };
      expect((await judged({ a: [...A, tick] })).lock.violations).toEqual([
        'a started a job in term 1, which it did not have',
      ]);
    });
  });

  describe('when tokens do not grow', () => {
    it.each(['100', '99'])('finds a later term with token %s after 100', async (token) => {
      const later = [granted(30, 2, token), believed(30, 2), revoked(41, 2)];
      expect((await judged({ a: A, b: later })).lock.result).toBe('violated');
    });

    it('compares them as numbers of any size', async () => {
      const high = '9007199254740993';
      const a = [granted(10, 1, '9007199254740992'), believed(11, 1), revoked(21, 1)];
      const b = [granted(30, 2, high), believed(30, 2), revoked(41, 2)];
      expect((await judged({ a, b })).lock.result).toBe('ok');
    });
  });

  describe('when the register is used', () => {
    it('finds nothing where every answer fits an order of the operations', async () => {
      const a = [...wrote(1, 5, 1, '100'), ...wrote(20, 25, 2, '100', false)];
      const b = [
        ...was(2, 3, 1, '-1', ''),
        ...wrote(10, 12, 2, '200'),
        ...was(21, 22, 3, '200', 'b'),
      ];
      const { register } = await judged({ a, b });
      expect(register).toEqual({ result: 'ok', operations: 5, violations: [] });
    });

    it('takes a write without an answer, whether it took effect or not', async () => {
      const a = [{ type: 'write', at: 1, id: 1, token: '100' }];
      for (const answer of [was(5, 6, 1, '100', 'a'), was(5, 6, 1, '-1', '')]) {
        expect((await judged({ a, b: answer })).register.result).toBe('ok');
      }
    });

    it.each([
      ['accepted a lower token', [...wrote(1, 2, 1, '200'), ...wrote(3, 4, 2, '100')]],
      ['refused the highest', wrote(1, 2, 1, '200', false)],
      ['was read as it had been', [...wrote(1, 2, 1, '200'), ...was(3, 4, 2, '-1', '')]],
      ['was read as it never was', [...wrote(1, 2, 1, '200'), ...was(3, 4, 2, '300', 'b')]],
    ])('finds that it %s', async (_, a) => {
      expect((await judged({ a })).register.result).toBe('violated');
    });

    it('finds it in a long history, which it judges in parts', async () => {
      const long = (lost: number) =>
        Array.from({ length: 5_000 }, (_, index) => [
          ...wrote(10 * index, 10 * index + 1, 2 * index, `${index}`),
          ...was(
            10 * index + 2,
            10 * index + 3,
            2 * index + 1,
            `${index === lost ? index - 1 : index}`,
            'a',
          ),
        ]).flat();
      expect((await judged({ a: long(-1) })).register.result).toBe('ok');
      expect((await judged({ a: long(3_210) })).register.result).toBe('violated');
    });
  });

  describe('when a leader is asked to step down', () => {
    const asked = requested(12, 'o', 1, 'a');
    const honoured = [...A.slice(0, 3), heard(20, 'o'), revoked(21, 1)];
    const done = [asked, told(22, 'o', 'done')];

    it('counts what was asked, and finds nothing where each is heard once and answered', async () => {
      const refused = [granted(30, 2, '200'), heard(33, 'p', true), believed(40, 2)];
      const run = [
        ...done,
        requested(32, 'p', 2, 'b'),
        told(35, 'p', 'refused'),
        requested(36, 'q', 2, 'b'),
        ended(41, 'b'),
        told(50, 'q', 'void'),
        requested(51, 'o', 1, 'a'),
        requested(60, 'r', 3, 'c'),
        told(61, 'r', 'not-made'),
      ];
      expect((await judged({ a: honoured, b: refused, run })).requests).toEqual({
        result: 'ok',
        operations: 4,
        violations: [],
        counts: {
          made: 4,
          honoured: 1,
          refused: 1,
          answered: 2,
          void: 1,
          unsure: 1,
          'written again': 1,
        },
      });
    });

    it('takes one that was heard while the term ended, or before its grant that never came', async () => {
      const late = [...A, heard(22, 'o')];
      expect((await judged({ a: late, run: done })).requests.violations).toEqual([]);
      const early = [heard(20, 'o')];
      expect((await judged({ a: early, run: done })).requests.violations).toEqual([]);
    });

    it.each<[string, Record<string, readonly Line[]>, string]>([
      [
        'it was honoured twice',
        { a: [...honoured, heard(22, 'o')], run: done },
        'o was heard 2 times: honoured 2, refused 0',
      ],
      [
        'it was honoured in a later term',
        {
          a: [...A, granted(25, 3, '300'), heard(26, 'o'), revoked(27, 3)],
          run: done,
        },
        'a heard o, which was meant for a in term 1',
      ],
      [
        'another process honoured it',
        { a: A, b: [...B.slice(0, 2), heard(31, 'o'), revoked(32, 2)], run: [asked] },
        'b heard o, which was meant for a in term 1',
      ],
      [
        'its term was not over for the leader',
        { a: [...A.slice(0, 2), heard(15, 'o'), ...A.slice(2)], run: done },
        'a considered itself leader in term 1, which it had given up for o',
      ],
      [
        'its term was granted after it',
        { a: [heard(9, 'o'), ...A], run: done },
        'a was granted term 1, which it had given up for o',
      ],
      [
        'it had no answer while its term went on',
        { a: A, run: [asked, told(22, 'o', 'unanswered')] },
        'o had no answer of a, though term 1 was not over',
      ],
      [
        'it was answered and never honoured',
        { a: A, run: done },
        'o was told "done", and a has not heard it',
      ],
      ['it was never made', { a: honoured, run: [] }, 'a heard "o", which nobody asked'],
    ])('finds that %s', async (_, histories, violation) => {
      const { requests } = await judged(histories);
      expect(requests.result).toBe('violated');
      expect(requests.violations).toContain(violation);
    });
  });

  describe('when there is nothing to judge', () => {
    it('fails', async () => {
      await expect(judgeHistories(directory)).rejects.toThrow('has no histories');
    });
  });
});
