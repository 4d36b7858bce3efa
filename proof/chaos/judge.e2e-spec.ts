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

  describe('when there is nothing to judge', () => {
    it('fails', async () => {
      await expect(judgeHistories(directory)).rejects.toThrow('has no histories');
    });
  });
});
