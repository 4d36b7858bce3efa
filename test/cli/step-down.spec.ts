import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { runCli } from '../../lib/cli/cli.js';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import type { ResourceLock } from '../../lib/core/resource-lock.js';
import { fileLock } from '../../lib/locks/file/file.lock.js';
import { EMPTY_RECORD } from '../locks/lease-records.js';

const REQUEST = { timeoutMs: 5_000, signal: new AbortController().signal };
const MEMBER_UID = '5d0f6d0e-8f0b-4b0e-9f6e-0d6c1d1f7a10';
let directory: string;
let lock: ResourceLock;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'step-down-'));
  const requester = { role: 'plans', leaseName: 'plans', namespace: undefined, identity: 'plan-0' };
  lock = await fileLock({ directory })(requester);
  const record = { ...EMPTY_RECORD, holderIdentity: 'plan-0_a', leaseTransitions: 4 };
  await lock.create({ ...record, leaseDurationSeconds: 15 }, REQUEST);
});
afterEach(async () => {
  await lock.close?.();
  rmSync(directory, { recursive: true });
});

/** Term 4 ends with the answer to the request, and this one has acquired term 5. */
async function followedBy(next: string): Promise<void> {
  for (;;) {
    const read = await lock.read(REQUEST);
    if (read.kind !== 'found') throw new Error(read.kind);
    const { request, ...record } = read.stored.record;
    if (request !== undefined) {
      const { id, transitions } = request;
      const answer = { id, transitions, by: 'plan-0_a', atMicros: 0, refused: '' };
      const term: Partial<LeaseRecord> = {
        holderIdentity: next,
        leaseTransitions: 5,
        memberUid: MEMBER_UID,
        answer,
      };
      await lock.replace({ ...record, ...term }, read.stored, REQUEST);
      return;
    }
    await new Promise(setImmediate);
  }
}

async function stepDown(to: string, next: string) {
  let [out, err] = ['', ''];
  const stdout = { write: (text: string) => void (out += text) };
  const stderr = { write: (text: string) => void (err += text) };
  const args = ['--lease', 'plans', '--lock', 'file', '--directory', directory, '--to', to];
  const [code] = await Promise.all([
    runCli(['step-down', ...args], { env: {}, stdout, stderr }),
    followedBy(next),
  ]);
  return { code, out, err };
}

describe('when a member was asked for', () => {
  it.each([
    ['its pod', 'plan-1', 'plan-1_b'],
    ['its identity', 'plan-1_b', 'plan-1_b'],
    ['an identity without a pod', 'plan-1', 'plan-1'],
    ['the uid of its pod', MEMBER_UID, 'plan-1_b'],
  ])('ends with 0 if it follows, named by %s', async (_, to, next) => {
    const { code, out, err } = await stepDown(to, next);
    expect(out).toContain(`${next} leads now`);
    expect(err).toBe('');
    expect(code).toBe(0);
  });

  it.each([
    ['a pod whose name begins like its own', 'plan-1', 'plan-10_b'],
    ['an identity that begins like its own', 'plan-1_b', 'plan-1_bc'],
    ['the same pod under another identity', 'plan-1_b', 'plan-1_c'],
  ])('ends with 1 if another one follows: %s', async (_, to, next) => {
    const { code, out, err } = await stepDown(to, next);
    expect(out).toContain(`${next} leads now`);
    expect(err).toContain(`${to} did not acquire the lease in time, so ${next} did`);
    expect(code).toBe(1);
  });
});
