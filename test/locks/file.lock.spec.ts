import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LeaseRecord, ObservedLease } from '../../lib/core/lease-record.js';
import { LockRequestError } from '../../lib/core/errors/lock-request.error.js';
import { FileLock, fileLock } from '../../lib/locks/file/file.lock.js';
import { FileLockDirectory } from '../../lib/locks/file/file-lock-directory.js';
import { leaseDirectoryName, sortLeaseFileNames } from '../../lib/locks/file/lease-file-name.js';
import { localFileSystem, type LeaseFileSystem } from '../../lib/locks/file/lease-file-system.js';
import { RecordedWatch } from './recorded-watch.js';
import { EMPTY_RECORD, held } from './lease-records.js';
import { request } from './lock-request.js';
import { describeResourceLock } from './resource-lock.contract.js';

const LEASE = { namespace: 'plans', leaseName: 'plan-scheduler' };
const MOST_FILES = 8;

describeResourceLock('fileLock()', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'file-lock-'));
  const leaseDirectory = join(directory, 'plans.plan-scheduler');
  return {
    first: new FileLock({ directory }, { ...LEASE, identity: 'first' }),
    firstIdentity: 'first',
    second: new FileLock({ directory }, { ...LEASE, identity: 'second' }),
    secondIdentity: 'second',
    name: 'plans.plan-scheduler',
    deleteByHand: () => rm(leaseDirectory, { recursive: true }),
    editByHand: async (change) => {
      const path = await newestFile(leaseDirectory);
      const fields = JSON.parse(await readFile(path, 'utf8')) as object;
      await writeFile(path, JSON.stringify({ ...fields, ...change }));
    },
    dispose: () => rm(directory, { recursive: true }),
  };
});

describe('fileLock()', () => {
  let directory: string;
  let leaseDirectory: string;
  let locks: FileLock[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'file-lock-'));
    leaseDirectory = join(directory, 'plans.plan-scheduler');
    locks = [];
  });
  afterEach(async () => {
    for (const lock of locks) await lock.close();
    await rm(directory, { recursive: true });
  });

  const makeLock = (identity = 'first', files?: LeaseFileSystem) => {
    const lock = new FileLock({ directory }, { ...LEASE, identity }, files);
    locks.push(lock);
    return lock;
  };
  const failing = (call: keyof LeaseFileSystem, code: string): LeaseFileSystem => ({
    ...localFileSystem,
    [call]: () => Promise.reject(Object.assign(new Error(`${code}: ${call}`), { code })),
  });

  describe('when people look at its files', () => {
    it('keeps one readable JSON file per version, spelled like a Lease', async () => {
      const lock = makeLock();
      const created = await create(lock);
      await replace(lock, held('first', { renewTimeMicros: 1_767_323_045_678_902 }), created);
      const text = await readFile(await newestFile(leaseDirectory), 'utf8');
      expect(JSON.parse(text)).toEqual({
        namespace: 'plans',
        leaseName: 'plan-scheduler',
        uid: created.uid,
        revision: String(created.revision + 1n),
        holderIdentity: 'first',
        leaseDurationSeconds: 15,
        acquireTime: '2026-01-02T03:04:05.678901Z',
        renewTime: '2026-01-02T03:04:05.678902Z',
        leaseTransitions: 1,
        releasedTransitions: null,
        holderProcess: {
          host: expect.any(String),
          pid: process.pid,
          socket: expect.stringContaining(directory),
        },
      });
      expect(text).toContain('\n  "holderIdentity": "first",\n');
    });

    it('keeps few files, however often the lease is renewed', async () => {
      const lock = makeLock();
      let lease = await create(lock);
      for (let renewal = 1; renewal <= 200; renewal++) {
        lease = await replace(lock, held('first', { renewTimeMicros: renewal }), lease);
      }
      expect((await readdir(leaseDirectory)).length).toBeLessThanOrEqual(MOST_FILES);
    });

    it('sweeps in the order that safety rests on: temporary files, then the oldest versions first', async () => {
      const hoarder = makeLock('first', failing('unlink', 'EACCES'));
      let lease = await create(hoarder);
      for (let renewal = 1; renewal <= 12; renewal++) {
        lease = await replace(hoarder, held('first', { renewTimeMicros: renewal }), lease);
      }
      const removed: string[] = [];
      const unlink: LeaseFileSystem['unlink'] = (path) => {
        removed.push(basename(String(path)));
        return localFileSystem.unlink(path);
      };
      await replace(makeLock('first', { ...localFileSystem, unlink }), held('first'), lease);
      const versions = removed.filter((name) => name.endsWith('.json'));
      expect(removed.slice(-versions.length)).toEqual(versions);
      expect(versions).toEqual([...versions].sort());
      expect(versions).toHaveLength(9);
      expect(removed).toHaveLength(9 + 14);
    });

    it('writes back what it does not understand', async () => {
      const lock = makeLock();
      await create(lock);
      await editFields(leaseDirectory, { note: { by: 'operator' } });
      await replace(lock, held('first', { leaseTransitions: 2 }), await read(lock));
      expect(JSON.parse(await readFile(await newestFile(leaseDirectory), 'utf8'))).toMatchObject({
        note: { by: 'operator' },
        leaseTransitions: 2,
      });
    });

    it('gives an edit of a label the same timing key, and of a time another', async () => {
      const lock = makeLock();
      const lease = await create(lock);
      await editFields(leaseDirectory, { note: 1 });
      expect((await read(lock)).timingKey).toBe(lease.timingKey);
      await editFields(leaseDirectory, { renewTime: 'tomorrow' });
      const edited = await read(lock);
      expect(edited.timingKey).not.toBe(lease.timingKey);
      expect(edited.record.renewTimeMicros).toBeNull();
    });

    it('tells a watch of an edit in place to read again', async () => {
      const lock = makeLock();
      await create(lock);
      const recorded = new RecordedWatch();
      const watch = lock.watch(recorded, { silenceLimitMs: 15_000 });
      await recorded.until(({ openings }) => openings === 1);
      await editFields(leaseDirectory, { holderIdentity: 'operator' });
      await recorded.until(({ openings }) => openings > 1);
      expect(recorded.changes).toEqual([]);
      watch.close();
    });

    it('tells a watch of every write by notification: looking now and then would take minutes', async () => {
      const lock = makeLock();
      let lease = await create(lock);
      const recorded = new RecordedWatch();
      const watch = makeLock('second').watch(recorded, { silenceLimitMs: 15_000 });
      await recorded.until(({ openings }) => openings === 1);
      for (let renewal = 1; renewal <= 100; renewal++) {
        lease = await replace(lock, held('first', { renewTimeMicros: renewal }), lease);
        await recorded.untilShows(lease.record);
      }
      expect(recorded.openings).toBe(1);
      watch.close();
    }, 60_000);
  });

  describe('when the newest file holds nonsense', () => {
    it.each([
      ['nothing', ''],
      ['half a record', '{ "holderIdentity": "fir'],
      ['a list', '[]'],
      ['a number', '7'],
      ['a holder that is no text', '{ "holderIdentity": { "name": "" } }'],
    ])('takes %s for an unknown holder of unknown duration', async (_, text) => {
      const lock = makeLock();
      const lease = await replace(lock, held('first'), await create(lock));
      await writeFile(await newestFile(leaseDirectory), text);
      const found = await read(lock);
      expect(found.record).toEqual({
        ...EMPTY_RECORD,
        holderIdentity: expect.stringContaining('unreadable'),
      });
      expect(found).toMatchObject({ uid: lease.uid, revision: lease.revision });
      expect(found.timingKey).not.toBe(lease.timingKey);
      expect((await lock.replace(held('first'), lease, request())).kind).toBe('conflict');
      const taken = await replace(lock, held('first'), found);
      expect(taken.revision).toBe(lease.revision + 1n);
    });

    it('reads fields that make no sense as null, zero or nobody', async () => {
      const lock = makeLock();
      await create(lock);
      await editFields(leaseDirectory, {
        holderIdentity: null,
        leaseDurationSeconds: -15,
        acquireTime: 12,
        renewTime: '2026-13-99T00:00:00Z',
        leaseTransitions: 'many',
        releasedTransitions: 1.5,
        holderProcess: 'me',
      });
      expect((await read(lock)).record).toEqual(EMPTY_RECORD);
    });

    it('goes on with a damaged creation file, before and after the first renewal', async () => {
      const lock = makeLock();
      await create(lock);
      await writeFile(join(leaseDirectory, 'created.json'), '{');
      const damaged = await read(lock);
      expect(damaged.record.holderIdentity).toContain('unreadable');
      const first = await replace(lock, held('first'), damaged);
      const second = await replace(makeLock('second'), held('second'), first);
      expect((await read(lock)).revision).toBe(second.revision);
      expect((await lock.create(held('first'), request())).kind).toBe('conflict');
    });
  });

  describe('when another lease takes the place between look and link, and its creator dies at once', () => {
    it('learns of a conflict, and nobody takes its file for a version of that lease', async () => {
      const uid = 'another-lease';
      const link: LeaseFileSystem['link'] = async (from, to) => {
        await rm(join(leaseDirectory, 'created.json'));
        const other = { uid, revision: '9', holderIdentity: 'other' };
        await writeFile(join(leaseDirectory, 'created.json'), JSON.stringify(other));
        await localFileSystem.link(from, to);
      };
      const lease = await create(makeLock());
      const slow = makeLock('slow', { ...localFileSystem, link });
      expect((await slow.replace(held('slow'), lease, request())).kind).toBe('conflict');
      const found = await read(makeLock());
      expect(found).toMatchObject({ uid, revision: 9n, record: { holderIdentity: 'other' } });
      const next = await replace(makeLock(), held('first'), found);
      expect(next).toMatchObject({ uid, revision: 10n });
      expect((await replace(makeLock(), held('first'), next)).revision).toBe(11n);
      expect((await readdir(leaseDirectory)).filter((name) => !name.includes(uid))).toEqual([
        'created.json',
      ]);
    });
  });

  describe('when the directory cannot be used', () => {
    const outcomesIn = async (path: string, files?: LeaseFileSystem) => {
      const lock = new FileLock({ directory: path }, { ...LEASE, identity: 'first' }, files);
      const creation = await lock.create(held('first'), request());
      return { found: await lock.read(request()), creation };
    };

    it('explains that a part of the path is no directory', async () => {
      const path = join(directory, 'file');
      await writeFile(path, '');
      const { found, creation } = await outcomesIn(join(path, 'leases'));
      expect(creation.kind).toBe('not-applied');
      expect(found.kind).toBe('failed');
      for (const outcome of [found, creation]) {
        const error = 'error' in outcome ? outcome.error : undefined;
        expect(error).toBeInstanceOf(LockRequestError);
        expect(error).toMatchObject({ reason: 'rejected' });
        expect(error?.message).toContain(path);
        expect(error?.message).toMatch(/ENOTDIR.*Fix: .*not a directory/);
      }
    });

    it.each([
      ['writeFile', 'EACCES', 'rejected'],
      ['writeFile', 'ENOSPC', 'unreachable'],
      ['mkdir', 'EROFS', 'rejected'],
      ['link', 'EPERM', 'rejected'],
      ['link', 'ENOTSUP', 'rejected'],
    ] as const)(
      'knows that nothing was written when %s fails with %s',
      async (call, code, reason) => {
        const { creation } = await outcomesIn(directory, failing(call, code));
        expect(creation).toMatchObject({ kind: 'not-applied', error: { reason } });
        expect('error' in creation && creation.error.message).toMatch(new RegExp(`${code}.*Fix: `));
        expect(await readdirIfThere(leaseDirectory)).toEqual([]);
      },
    );

    it('does not know whether a link was made that failed for another reason', async () => {
      const { creation } = await outcomesIn(directory, failing('link', 'EIO'));
      expect(creation).toMatchObject({ kind: 'unknown', error: { reason: 'unclear' } });
    });

    it('keeps a write that could not be swept after', async () => {
      const { creation } = await outcomesIn(directory, failing('unlink', 'EACCES'));
      expect(creation.kind).toBe('applied');
    });

    it('interrupts a watch, and opens it as soon as the directory can be read', async () => {
      let isBroken = true;
      const readdirSometimes = ((path: string) =>
        isBroken
          ? Promise.reject(Object.assign(new Error('EACCES: readdir'), { code: 'EACCES' }))
          : localFileSystem.readdir(path)) as LeaseFileSystem['readdir'];
      const lock = makeLock('first', { ...localFileSystem, readdir: readdirSometimes });
      const recorded = new RecordedWatch();
      const watch = lock.watch(recorded, { silenceLimitMs: 50 });
      await recorded.until(({ errors }) => errors.length > 0);
      expect(recorded.openings).toBe(0);
      isBroken = false;
      await recorded.until(({ openings }) => openings === 1);
      expect(recorded.errors).toHaveLength(1);
      watch.close();
    });
  });

  describe('when no directory is named', () => {
    const path = () => join(directory, `nestjs-leader-election-${process.getuid?.() ?? ''}`);
    const prepared = (files = localFileSystem) =>
      new FileLockDirectory(undefined, files, directory).prepare();

    it('makes one below the temporary directory that only this user can enter', async () => {
      await prepared();
      const { mode } = await localFileSystem.lstat(path());
      expect(mode & 0o777).toBe(0o700);
      await prepared();
    });

    it('refuses one that others may write to', async () => {
      await mkdir(path());
      await chmod(path(), 0o777);
      await expect(prepared()).rejects.toThrow('other users may write to it');
    });

    it('refuses a symbolic link', async () => {
      await mkdir(join(directory, 'elsewhere'));
      await symlink(join(directory, 'elsewhere'), path());
      await expect(prepared()).rejects.toThrow('it is not a directory');
    });

    it('refuses one of another user, and writes nothing there', async () => {
      const files: LeaseFileSystem = {
        ...localFileSystem,
        mkdir: (() => Promise.resolve(undefined)) as LeaseFileSystem['mkdir'],
        lstat: (async () =>
          Object.assign(await localFileSystem.lstat(directory), {
            uid: 54_321,
          })) as unknown as LeaseFileSystem['lstat'],
      };
      await expect(prepared(files)).rejects.toThrow('belongs to user 54321');
      const lock = new FileLock({}, { ...LEASE, identity: 'first' }, files);
      const creation = await lock.create(held('first'), request());
      expect(creation).toMatchObject({ kind: 'not-applied', error: { reason: 'rejected' } });
      const found = await lock.read(request());
      expect(found).toMatchObject({ kind: 'failed', error: { reason: 'rejected' } });
    });
  });

  describe('when the path is too long for a socket', () => {
    it('works without one: the time of the lease decides', async () => {
      const long = join(directory, 'x'.repeat(120));
      const lock = await fileLock({ directory: long })({ ...LEASE, identity: 'first' });
      const outcome = await lock.create(held('first'), request());
      expect(outcome).toMatchObject({
        kind: 'applied',
        lease: { source: { holderProcess: null } },
      });
      await lock.close?.();
    });
  });

  describe('when version numbers get another digit', () => {
    it('orders them as numbers, in whatever order they are listed', () => {
      const names = ['10.u.json', '9.u.json', '100.u.json', '11.u.json'];
      const revisions = sortLeaseFileNames(names).versions.map(({ revision }) => revision);
      expect(revisions).toEqual([9n, 10n, 11n, 100n]);
    });
  });

  describe('when leases have similar names', () => {
    it('gives every one a directory of its own, also where case is folded', () => {
      const names = [
        ['a', 'b.c'],
        ['a.b', 'c'],
        ['a', 'b%2Ec'],
        ['a', 'B'],
        ['a', 'b'],
        ['A', 'b'],
        ['a', '../b'],
        ['a', 'ü'],
        ['a', 'x'.repeat(253)],
        ['a', `${'x'.repeat(252)}y`],
      ].map(([namespace, leaseName]) => leaseDirectoryName(namespace!, leaseName!));
      expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length);
      for (const name of names) expect(name).toMatch(/^[\w%~-]+\.[\w%~-]+$/);
      expect(Math.max(...names.map((name) => name.length))).toBeLessThanOrEqual(200);
    });
  });

  describe('when the directory is removed while it is watched', () => {
    it('reports the deletion and what comes after, with growing revisions', async () => {
      const lock = makeLock();
      const lease = await create(lock);
      const recorded = new RecordedWatch();
      const watch = lock.watch(recorded, { silenceLimitMs: 50 });
      await recorded.until(({ openings }) => openings === 1);
      await rm(leaseDirectory, { recursive: true });
      await recorded.until(({ last }) => last?.lease === null);
      expect(recorded.last!.revision > lease.revision).toBe(true);
      const made = await create(makeLock('second'));
      await recorded.until(({ last }) => last?.lease?.uid === made.uid);
      expect(made.revision > recorded.changes[0]!.revision).toBe(true);
      watch.close();
    });

    it('makes a lease with a higher revision even if the clock was set back', async () => {
      const lock = makeLock();
      const lease = await create(lock);
      await rm(leaseDirectory, { recursive: true });
      const now = Date.now;
      Date.now = () => 1;
      try {
        expect((await create(lock)).revision > lease.revision).toBe(true);
      } finally {
        Date.now = now;
      }
    });
  });

  describe('when the record names a process that cannot be asked', () => {
    let server: Server | undefined;
    afterEach(
      () => new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve())),
    );

    const deathsAfter = async (holderProcess: object) => {
      const lock = makeLock('second');
      await create(makeLock());
      await editFields(leaseDirectory, { holderProcess });
      const recorded = new RecordedWatch();
      const watch = lock.watch(recorded, { silenceLimitMs: 20 });
      await recorded.until(({ openings }) => openings === 1);
      // Several repair intervals later a conclusion from the first connection would have been told.
      await editFields(leaseDirectory, { note: 1 });
      await recorded.until(({ openings }) => openings === 2);
      await sleep(100);
      watch.close();
      return recorded.deaths;
    };
    const stored = async () => {
      const fields = JSON.parse(await readFile(join(leaseDirectory, 'created.json'), 'utf8'));
      return (fields as { holderProcess: { host: string } }).holderProcess;
    };

    it('does not take it for dead under another kernel', async () => {
      const socket = join(directory, 'refused');
      await writeFile(socket, '');
      expect(await deathsAfter({ host: 'another', pid: 1, socket })).toEqual([]);
    });

    it('does not take it for dead when its socket file is out of sight', async () => {
      await create(makeLock());
      const { host } = await stored();
      await rm(leaseDirectory, { recursive: true });
      const socket = join(directory, 'nowhere');
      expect(await deathsAfter({ host, pid: 1, socket })).toEqual([]);
    });

    it('does not take it for dead when it accepts and hangs up', async () => {
      await create(makeLock());
      const { host } = await stored();
      await rm(leaseDirectory, { recursive: true });
      const socket = join(directory, 'busy');
      server = createServer((connection) => connection.destroy()).listen(socket);
      expect(await deathsAfter({ host, pid: 1, socket })).toEqual([]);
    });
  });

  describe('when it is closed', () => {
    const sockets = () => readdirIfThere(join(directory, 's'));

    it('stops listening if it does not hold the lease', async () => {
      const lock = makeLock();
      const lease = await create(lock);
      expect(await sockets()).toHaveLength(1);
      await replace(lock, held('', { releasedTransitions: 1 }), lease);
      await lock.close();
      expect(await sockets()).toEqual([]);
    });

    it('listens on while the lease names it, for the work may still run', async () => {
      const lock = makeLock();
      await create(lock);
      await lock.close();
      expect(await sockets()).toHaveLength(1);
    });

    it('waits for a write that nobody waits for any more', async () => {
      let finish = () => undefined as void;
      const gate = new Promise<void>((resolve) => (finish = resolve));
      let isLinked = false;
      const link: LeaseFileSystem['link'] = async (from, to) => {
        await gate;
        await sleep(50);
        await localFileSystem.link(from, to);
        isLinked = true;
      };
      const lock = makeLock('first', { ...localFileSystem, link });
      const outcome = await lock.create(held('first'), { ...request(), timeoutMs: 20 });
      expect(outcome).toMatchObject({ kind: 'unknown', error: { reason: 'unclear' } });
      const closed = lock.close();
      finish();
      await closed;
      expect(isLinked).toBe(true);
    });
  });
});

async function create(lock: FileLock): Promise<ObservedLease> {
  const outcome = await lock.create(held('first'), request());
  if (outcome.kind !== 'applied') throw new Error(outcome.kind);
  return outcome.lease;
}

async function replace(
  lock: FileLock,
  record: LeaseRecord,
  expected: ObservedLease,
): Promise<ObservedLease> {
  const outcome = await lock.replace(record, expected, request());
  if (outcome.kind !== 'applied') throw new Error(outcome.kind);
  return outcome.lease;
}

async function read(lock: FileLock): Promise<ObservedLease> {
  const outcome = await lock.read(request());
  if (outcome.kind !== 'found') throw new Error(outcome.kind);
  return outcome.lease;
}

async function newestFile(leaseDirectory: string): Promise<string> {
  const versions = (await readdir(leaseDirectory)).filter((name) => /^\d.*json$/.test(name));
  return join(leaseDirectory, versions.sort().at(-1) ?? 'created.json');
}

async function editFields(leaseDirectory: string, change: object): Promise<void> {
  const path = await newestFile(leaseDirectory);
  const fields = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...fields, ...change }));
}

function readdirIfThere(path: string): Promise<string[]> {
  return readdir(path).catch(() => []);
}
