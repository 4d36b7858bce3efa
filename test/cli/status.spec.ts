import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { runCli } from '../../lib/cli/cli.js';
import type { CommandCall } from '../../lib/cli/command.js';
import { outputTo, WIDTH } from '../../lib/cli/output.js';
import { watchStatus } from '../../lib/cli/status.command.js';
import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';
import type { ResourceLock } from '../../lib/core/resource-lock.js';
import { fileLock } from '../../lib/locks/file/file.lock.js';
import { eventually } from '../../proof/api-emulator/eventually.js';

let directory: string;
let locks: ResourceLock[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'status-'));
  locks = [];
});
afterEach(async () => {
  for (const lock of locks) await lock.close?.();
  rmSync(directory, { recursive: true });
});

const options = () => ({ timeoutMs: 5_000, signal: new AbortController().signal });

async function lockOf(leaseName: string, identity = 'a'): Promise<ResourceLock> {
  const lock = await fileLock({ directory })({
    role: leaseName,
    leaseName,
    namespace: undefined,
    identity,
  });
  locks.push(lock);
  return lock;
}

function recordOf(holderIdentity: string, more: Partial<LeaseRecord> = {}): LeaseRecord {
  const now = Date.now() * 1_000;
  return {
    holderIdentity,
    leaseDurationSeconds: 60,
    acquireTimeMicros: now - 3_600_000_000,
    renewTimeMicros: now,
    leaseTransitions: 7,
    releasedTransitions: null,
    crowd: { candidates: 3, stepMs: 10 },
    ...more,
  };
}

async function held(leaseName: string, holder: string, more: Partial<LeaseRecord> = {}) {
  const lock = await lockOf(leaseName, holder);
  const outcome = await lock.create(recordOf(holder, more), options());
  if (outcome.kind !== 'applied') throw new Error(outcome.kind);
  return { lock, lease: outcome.stored };
}

/** The jobs of a lease as a leader records them. */
async function scheduled(lock: ResourceLock): Promise<void> {
  const at = Date.now() - 300_000;
  const job = {
    schedule: '*/5 * * * * UTC',
    accountedThrough: new Date(at).toISOString(),
    lastScheduleTime: new Date(at).toISOString(),
    missedCount: 2,
  };
  await lock.sibling!('schedule').create({ version: 1, jobs: { report: job } }, options());
}

async function status(...args: string[]) {
  let [out, err] = ['', ''];
  const stdout = { write: (text: string) => void (out += text) };
  const stderr = { write: (text: string) => void (err += text) };
  const place = ['--lock', 'file', '--directory', directory];
  const code = await runCli(['status', ...place, ...args], { env: {}, stdout, stderr });
  return { code, out, err };
}

function watching(isTerminal: boolean) {
  let out = '';
  const stream = { write: (text: string) => void (out += text) };
  const call: CommandCall = {
    values: { lock: 'file', directory, lease: 'plan' },
    positionals: [],
    program: undefined,
    env: {},
    output: outputTo({ stdout: stream, stderr: stream }, false),
  };
  const stop = new AbortController();
  const ended = watchStatus(call, stop.signal, isTerminal);
  return { out: () => out, end: () => (stop.abort(), ended) };
}

describe('when a lease is named', () => {
  it('shows who leads it, since when, in which term and for how long', async () => {
    await held('plan', 'plan-1_x');
    const { code, out } = await status('--lease', 'plan');
    expect(out).toMatch(/plan {2,}plan-1_x {2}7 {5}60 min ago {2}(60|59) s {3}3 {8}- {5}- {10}0/);
    expect(code).toBe(0);
  });

  it('shows the last tick of its jobs, and how many were missed', async () => {
    const { lock } = await held('plan', 'plan-1_x');
    await scheduled(lock);
    const { out } = await status('--lease', 'plan', '--json');
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      leases: [
        {
          lease: 'plan',
          leader: 'plan-1_x',
          term: 7,
          candidates: 3,
          jobs: { count: 1, missed: 2 },
        },
      ],
    });
    expect((await status('--lease', 'plan')).out).toMatch(/5 min ago {2}2\n/);
  });

  it.each<[string, Partial<LeaseRecord> | undefined, RegExp]>([
    ['does not exist', undefined, /\(no lease\)/],
    ['has no holder', { holderIdentity: '' }, /\(none\)/],
    ['has expired', { renewTimeMicros: (Date.now() - 120_000) * 1_000 }, /expired/],
  ])('says that it %s', async (_, more, says) => {
    if (more !== undefined) await held('plan', 'plan-1_x', more);
    expect((await status('--lease', 'plan')).out).toMatch(says);
  });
});

describe('when several leases are shown', () => {
  it('takes those that are named, with --lease and a comma', async () => {
    await held('plan', 'plan-1_x');
    await held('mail', 'mail-1_x');
    await held('cache', 'cache-1_x');
    const { out } = await status('--lease', 'plan,mail');
    expect(
      out
        .split('\n')
        .slice(1, 3)
        .map((line) => line.split(' ')[0]),
    ).toEqual(['plan', 'mail']);
    expect(out).not.toContain('cache');
  });

  it('finds all of the directory without a name, and not what is beside them', async () => {
    const { lock } = await held('plan', 'plan-1_x');
    await scheduled(lock);
    await held('mail', 'mail-1_x');
    const { out } = await status('--json');
    const { leases } = JSON.parse(out) as { leases: { lease: string }[] };
    expect(leases.map(({ lease }) => lease)).toEqual(['mail', 'plan']);
  });

  it('fits the longest names into 100 columns', async () => {
    await held('l'.repeat(63), 'h'.repeat(250));
    const { out } = await status();
    expect(out).toContain('…');
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(WIDTH);
  });
});

describe('when it is watched', () => {
  it('shows a new leader, and nothing while nothing changes', async () => {
    const { lock, lease } = await held('plan', 'plan-1_x');
    const watched = watching(false);
    await eventually(() => expect(watched.out()).toContain('plan-1_x'));
    await renewed(lock, lease, { holderIdentity: 'plan-2_x', leaseTransitions: 8 });
    await eventually(() => expect(watched.out()).toContain('plan-2_x'));
    await pause(2_500);
    await watched.end();
    expect(watched.out().match(/LEASE/g)).toHaveLength(2);
  });

  it('stays in place on a terminal', async () => {
    await held('plan', 'plan-1_x');
    const watched = watching(true);
    await eventually(() => expect(watched.out()).toContain('\u001B[H\u001B[2J'));
    await watched.end();
    expect(watched.out()).toContain('plan-1_x');
  });
});

describe('when the directory of the file lock is not there', () => {
  const missing = () => join(directory, 'not-there', 'leases');

  async function cli(line: string) {
    let [out, err] = ['', ''];
    const stdout = { write: (text: string) => void (out += text) };
    const stderr = { write: (text: string) => void (err += text) };
    const place = ['--lock', 'file', '--directory', missing()];
    const code = await runCli([...line.split(' '), ...place], { env: {}, stdout, stderr });
    return { code, out, err };
  }

  it.each([
    'status',
    'status --lease plan',
    'status --lease plan --watch',
    'jobs --lease plan',
    'suspend report --lease plan',
    'resume report --lease plan',
    'cancel report --lease plan',
    'trigger report --lease plan',
    'step-down --lease plan',
  ])('%s says so and what to do, ends with 1, and makes none', async (line) => {
    const { code, out, err } = await cli(line);
    expect(err).toBe(
      `nestjs-leader-election ${line.split(' ')[0]}: ${missing()} does not exist, so no process elects a leader there. ` +
        'Fix: name the directory that the application uses; the application makes it when it starts.\n',
    );
    expect([out, code]).toEqual(['', 1]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is refused by status as by every other command if its path is not absolute', async () => {
    const { code, err } = await status('--directory', 'leases');
    expect(err).toContain('fileLock.directory = "leases": must be an absolute path');
    expect(code).toBe(2);
  });
});

describe('when a directory has no lease of that name', () => {
  it.each([
    'status --lease plan',
    'jobs --lease plan',
    'doctor --lease plan',
    'suspend report --lease plan',
    'step-down --lease plan',
  ])('%s makes no file in it', async (line) => {
    const nowhere = { write: () => undefined };
    const place = ['--lock', 'file', '--directory', directory];
    const surroundings = { env: {}, stdout: nowhere, stderr: nowhere };
    await runCli([...line.split(' '), ...place], surroundings);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is watched without a file of it, and shown when a process leads', async () => {
    const watched = watching(false);
    await eventually(() => expect(watched.out()).toContain('(no lease)'));
    await pause(100);
    expect(readdirSync(directory)).toEqual([]);
    await held('plan', 'plan-1_x');
    await eventually(() => expect(watched.out()).toContain('plan-1_x'));
    await watched.end();
  });
});

async function renewed(lock: ResourceLock, lease: ObservedLease, more: Partial<LeaseRecord>) {
  const outcome = await lock.replace(recordOf('plan-1_x', more), lease, options());
  expect(outcome.kind).toBe('applied');
}
