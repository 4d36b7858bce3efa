import { getEventListeners } from 'node:events';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { constants, hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LockRequestError } from '../../../lib/core/errors.js';
import type { LeaseRecord, ObservedLease } from '../../../lib/core/lease-record.js';
import { fileLock, fileLockOfOutlived } from '../../../lib/locks/file/file.lock.js';
import type { FileLockOptions } from '../../../lib/locks/file/file-lock-options.js';
import { hostKernel, type HostKernel } from '../../../lib/locks/file/lease-file-record.js';
import { FileLock } from '../../../lib/locks/file/lease-files.js';
import {
  FileLockDirectory,
  leaseDirectoryName,
  sortLeaseFileNames,
} from '../../../lib/locks/file/lease-paths.js';
import {
  type LeaseFileSystem,
  localFileSystem,
} from '../../../lib/locks/file/system-call-failure.js';
import { EMPTY_RECORD, held } from '../lease-records.js';
import { request } from '../lock-request.js';
import { RecordedWatch } from '../recorded-watch.js';
import { FaultyDisk } from '../faulty-disk.js';
import { describeResourceLock } from '../resource-lock.contract.js';

const LEASE = { namespace: 'plans', leaseName: 'plan-scheduler' };
const MOST_FILES = 8;

describeResourceLock(
  'fileLock()',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'file-lock-'));
    const leaseDirectory = join(directory, 'plans.plan-scheduler');
    const disk = new FaultyDisk();
    return {
      first: new FileLock({ directory }, { ...LEASE, identity: 'first' }, disk.calls),
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
      ...disk.faults,
      dispose: () => rm(directory, { recursive: true }),
    };
  },
  [],
);

describe('When fileLock() is given options that name no directory', () => {
  it.each([
    ['an empty directory', { directory: '' }, 'fileLock.directory = "": must be the path'],
    ['a blank directory', { directory: ' ' }, 'fileLock.directory = " ": must be the path'],
    ['a number', { directory: 5 }, 'fileLock.directory = 5: must be the path'],
    ['null', { directory: null }, 'fileLock.directory = null: must be the path'],
    [
      'a relative directory',
      { directory: 'locks' },
      'fileLock.directory = "locks": must be an abs',
    ],
    ['a dotted directory', { directory: './l' }, 'fileLock.directory = "./l": must be an abs'],
    ['a home that no shell expands', { directory: '~/l' }, '"~/l": must be an absolute path'],
    ['a misspelt option', { dir: '/leases' }, 'fileLock.dir = "/leases": there is no such option'],
    ['a path alone', '/leases', 'fileLock = "/leases": options must be an object'],
  ])(
    'refuses %s instead of the directory of this user or the working directory',
    (_, options, message) => {
      expect(() => fileLock(options as FileLockOptions)).toThrow(message);
    },
  );

  it.each([
    ['no options', undefined],
    ['no directory', {}],
    ['an undefined directory', { directory: undefined }],
  ])('takes %s for the directory of this user', (_, options) => {
    expect(fileLock(options as FileLockOptions)).toBeInstanceOf(Function);
  });
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

  const makeLock = (identity = 'first', files?: LeaseFileSystem, readKernel?: () => HostKernel) => {
    const lock = new FileLock({ directory }, { ...LEASE, identity }, files, readKernel);
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
        application: null,
        member: null,
        crowd: null,
        successor: null,
        gaveUp: null,
        request: null,
        address: null,
        answer: null,
        holderProcess: {
          kernel: expect.any(String),
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

    it('touches the creation file now and then, which is otherwise never written again', async () => {
      const lock = makeLock();
      let lease = await create(lock);
      const created = join(leaseDirectory, 'created.json');
      await utimes(created, 1, 1);
      for (let renewal = 1; renewal <= 64; renewal++) {
        expect((await stat(created)).mtimeMs).toBe(1000);
        lease = await replace(lock, held('first', { renewTimeMicros: renewal }), lease);
      }
      expect((await stat(created)).mtimeMs).toBeGreaterThan(1000);
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

    /** What link(2) and its wrappers answer before they change anything; every other error may come after. */
    const REFUSALS = {
      EACCES: 'rejected',
      EPERM: 'rejected',
      EROFS: 'rejected',
      ENOTDIR: 'rejected',
      ENAMETOOLONG: 'rejected',
      ELOOP: 'rejected',
      ENOTSUP: 'rejected',
      EOPNOTSUPP: 'rejected',
      ENOSYS: 'rejected',
      EXDEV: 'rejected',
      EMLINK: 'rejected',
      ENOSPC: 'unreachable',
      EDQUOT: 'unreachable',
      EMFILE: 'unreachable',
      ENFILE: 'unreachable',
    } as const;
    const afterLinkFailedWith = async (code: string) => {
      const lease = await create(makeLock());
      const lock = makeLock('second', failing('link', code));
      const replacement = await lock.replace(held('second'), lease, request());
      await rm(leaseDirectory, { recursive: true });
      return { replacement, creation: await lock.create(held('second'), request()) };
    };

    it.each([...Object.keys(constants.errno), 'UNKNOWN', 'toString', ''])(
      'knows what became of a link that failed with "%s"',
      async (code) => {
        const outcome =
          code === 'EEXIST' || code === 'ENOENT' // The name is taken; the temporary file was swept.
            ? { kind: 'conflict' }
            : Object.hasOwn(REFUSALS, code)
              ? {
                  kind: 'not-applied',
                  error: { reason: REFUSALS[code as keyof typeof REFUSALS] },
                }
              : { kind: 'unknown', error: { reason: 'unclear' } };
        const { replacement, creation } = await afterLinkFailedWith(code);
        expect(creation).toMatchObject(outcome);
        expect(replacement).toMatchObject(outcome);
      },
    );

    it('may have words for a failure that leaves the outcome open', async () => {
      const { creation } = await outcomesIn(directory, failing('link', 'EIO'));
      expect(creation).toMatchObject({
        kind: 'unknown',
        error: { message: expect.stringMatching(/EIO: link\. Fix: .*check the disk/) },
      });
    });

    describe.each([
      { code: 'EMFILE', reason: 'unreachable', fix: 'raise its limit (ulimit -n)' },
      { code: 'ENFILE', reason: 'unreachable', fix: 'raise its limit (fs.file-max)' },
      { code: 'ENOSPC', reason: 'unreachable', fix: 'free some space there' },
      { code: 'EROFS', reason: 'rejected', fix: 'mount it writable' },
      { code: 'EACCES', reason: 'rejected', fix: 'give this user the right' },
    ])('by $code', ({ code, reason, fix }) => {
      it.each(['readdir', 'readFile', 'writeFile', 'mkdir', 'link'] as const)(
        'says so when %s fails, and works as soon as it does not',
        async (call) => {
          const lease = await create(makeLock());
          let isBroken = true;
          const files = new Proxy(localFileSystem, {
            get: (target, name: keyof LeaseFileSystem) =>
              name === call && isBroken ? failing(call, code)[call] : target[name],
          });
          const lock = makeLock('second', files);
          const error = { reason, message: expect.stringContaining(`Fix: `) };
          const outcomes = [
            await lock.read(request()),
            await lock.replace(held('second'), lease, request()),
          ];
          const failed = outcomes.filter((outcome) => 'error' in outcome);
          expect(failed.length).toBeGreaterThan(0);
          for (const outcome of failed) {
            expect(outcome).toMatchObject({
              kind: expect.stringMatching(/^(failed|not-applied)$/),
              error,
            });
            expect(outcome.error.message).toContain(fix);
            const namesDirectory = outcome.error.message.includes('fileLock({ directory })');
            expect(namesDirectory).toBe(code !== 'EMFILE' && code !== 'ENFILE');
          }
          isBroken = false;
          await replace(lock, held('second'), await read(lock));
        },
      );
    });

    it('keeps a write that could not be swept after', async () => {
      const { creation } = await outcomesIn(directory, failing('unlink', 'EACCES'));
      expect(creation.kind).toBe('applied');
    });

    describe('because a file there cannot be removed', () => {
      const sparing = (isSpared: (name: string) => boolean): LeaseFileSystem => ({
        ...localFileSystem,
        unlink: (path) =>
          isSpared(basename(String(path)))
            ? failing('unlink', 'EPERM').unlink(path)
            : localFileSystem.unlink(path),
      });
      const renewTimes = async (lock: FileLock, times: number, lease: ObservedLease) => {
        let newest = lease;
        for (let renewal = 1; renewal <= times; renewal++) {
          newest = await replace(lock, held('first', { renewTimeMicros: renewal }), newest);
        }
        return newest;
      };

      it.each(['a version', 'a temporary file', 'a temporary creation'])(
        'sweeps everything but %s and what it protects',
        async (kind) => {
          const lease = await create(makeLock());
          const version = `${lease.revision + 1n}.${lease.uid}`;
          const stuck = {
            'a version': `${version}.json`,
            'a temporary file': `${version}.crashed.tmp`,
            'a temporary creation': 'created.crashed.tmp',
          }[kind]!;
          if (kind !== 'a version') await writeFile(join(leaseDirectory, stuck), '{}');
          const lock = makeLock(
            'first',
            sparing((name) => name === stuck),
          );
          await renewTimes(lock, 50, lease);
          const files = await readdir(leaseDirectory);
          expect(files.length).toBeLessThanOrEqual(MOST_FILES);
          expect(files).toContain(stuck);
          expect(files.includes(`${version}.json`)).toBe(kind !== 'a temporary creation');
        },
      );

      it('gives no number a second time to a writer that slept, whose temporary file nobody could remove', async () => {
        const lease = await create(makeLock());
        let wake = () => undefined as void;
        const woken = new Promise<void>((resolve) => (wake = resolve));
        let fellAsleep = () => undefined as void;
        const asleep = new Promise<void>((resolve) => (fellAsleep = resolve));
        const link: LeaseFileSystem['link'] = async (from, to) => {
          fellAsleep();
          await woken;
          return localFileSystem.link(from, to);
        };
        const sleeper = makeLock('sleeper', { ...localFileSystem, link });
        const written = sleeper.replace(held('sleeper'), lease, request());
        await asleep;
        const others = makeLock(
          'first',
          sparing((name) => name.endsWith('.tmp')),
        );
        const newest = await renewTimes(others, 12, lease);
        wake();
        expect((await written).kind).toBe('conflict');
        expect(await read(makeLock())).toMatchObject({ revision: newest.revision });
      });

      it('removes no newer version once a directory is so full that it may be listed piecemeal', async () => {
        const lease = await create(makeLock());
        for (let note = 0; note < 40; note++) {
          await writeFile(join(leaseDirectory, `note-${note}`), '');
        }
        const stuck = `${lease.revision + 2n}.${lease.uid}.json`;
        await renewTimes(
          makeLock(
            'first',
            sparing((name) => name === stuck),
          ),
          20,
          lease,
        );
        const { versions } = sortLeaseFileNames(await readdir(leaseDirectory));
        expect(versions.map(({ revision }) => revision - lease.revision)).toEqual(
          Array.from({ length: 19 }, (_, index) => BigInt(index + 2)),
        );
      });
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
      await expect(prepared()).rejects.toThrow(/other users may write to it.*Fix: .*chmod go-w/);
      await expect(prepared()).rejects.not.toThrow('remove');
    });

    it('refuses a relative directory for temporary files, which processes need not share', async () => {
      const relative = new FileLockDirectory(undefined, localFileSystem, 'tmp').prepare();
      await expect(relative).rejects.toThrow(/relative path.*Fix: set TMPDIR to an absolute path/);
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
      await expect(prepared(files)).rejects.toThrow(
        /belongs to user 54321, not \d+\. Fix: name a directory/,
      );
      const lock = new FileLock({}, { ...LEASE, identity: 'first' }, files);
      const creation = await lock.create(held('first'), request());
      expect(creation).toMatchObject({ kind: 'not-applied', error: { reason: 'rejected' } });
      const found = await lock.read(request());
      expect(found).toMatchObject({ kind: 'failed', error: { reason: 'rejected' } });
      const document = lock.sibling('schedule');
      expect(await document.create({}, request())).toMatchObject({
        kind: 'not-applied',
        error: { message: expect.stringContaining('belongs to user 54321') },
      });
      expect(await document.read(request())).toMatchObject({
        kind: 'failed',
        error: { message: expect.stringContaining('belongs to user 54321') },
      });
    });
  });

  describe('when holders have died before', () => {
    const stale = async () => {
      const [own] = await readdir(join(directory, 's'));
      const path = join(directory, 's', `${own!.slice(0, 9)}000000000000`);
      await writeFile(path, ''); // Refuses, as a socket does on which nobody listens.
      return path;
    };

    it('removes their sockets once it has created the lease, or taken it', async () => {
      const lease = await create(makeLock());
      const left = await stale();
      await replace(makeLock('second'), held('second'), lease);
      await expect(stat(left)).rejects.toThrow('ENOENT');
      const again = await stale();
      await rm(leaseDirectory, { recursive: true });
      await makeLock('third').create(held('third'), request());
      await expect(stat(again)).rejects.toThrow('ENOENT');
    });

    it('leaves them while a write has not superseded the record that may name one', async () => {
      const lease = await create(makeLock());
      const left = await stale();
      const newest = await replace(makeLock(), held('first', { renewTimeMicros: 1 }), lease);
      const late = makeLock('late');
      expect((await late.create(held('late'), request())).kind).toBe('conflict');
      expect((await late.replace(held('late'), lease, request())).kind).toBe('conflict');
      expect((await stat(left)).isFile()).toBe(true);
      await replace(makeLock(), held('first', { renewTimeMicros: 2 }), newest);
    });
  });

  describe('when the path is too long for the address of a socket', () => {
    it('listens at that path all the same, and leaves nothing behind', async () => {
      const long = join(directory, 'x'.repeat(120));
      const lock = await fileLock({ directory: long })({ ...LEASE, identity: 'first' });
      const outcome = await lock.create(held('first'), request());
      if (outcome.kind !== 'applied') throw new Error(outcome.kind);
      const [socket] = await readdir(join(long, 's'));
      expect(outcome.stored).toMatchObject({
        source: { holderProcess: { socket: join(long, 's', socket!) } },
      });
      await lock.replace(held(''), outcome.stored, request());
      await lock.close?.();
      expect(await readdir(join(long, 's'))).toEqual([]);
    });
  });

  describe('when no socket can be made for a moment', () => {
    it('names one from the next renewal on', async () => {
      await writeFile(join(directory, 's'), 'in the way');
      const lock = makeLock();
      const lease = await create(lock);
      expect(lease).toMatchObject({ source: { holderProcess: null } });
      await rm(join(directory, 's'));
      const renewed = await replace(lock, held('first', { renewTimeMicros: 1 }), lease);
      expect(renewed).toMatchObject({
        source: { holderProcess: { socket: expect.stringContaining(join(directory, 's')) } },
      });
    });
  });

  describe('when a request is abandoned before its link', () => {
    it.each(['create', 'replace'] as const)('links nothing any more (%s)', async (action) => {
      const lease = action === 'replace' ? await create(makeLock()) : undefined;
      const controller = new AbortController();
      const writeFileAndAbort = (async (...args: Parameters<typeof localFileSystem.writeFile>) => {
        await localFileSystem.writeFile(...args);
        controller.abort();
      }) as LeaseFileSystem['writeFile'];
      const links: string[] = [];
      const link: LeaseFileSystem['link'] = (from, to) => {
        links.push(String(to));
        return localFileSystem.link(from, to);
      };
      const lock = makeLock('slow', { ...localFileSystem, writeFile: writeFileAndAbort, link });
      const options = { ...request(), signal: controller.signal };
      const outcome =
        lease === undefined
          ? await lock.create(held('slow'), options)
          : await lock.replace(held('slow'), lease, options);
      expect(outcome).toMatchObject({ kind: 'unknown' });
      await lock.close();
      expect(links).toEqual([]);
      expect((await readdir(leaseDirectory)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    });

    it.each(['create', 'replace'] as const)(
      'links nothing when it is abandoned during its last look (%s)',
      async (action) => {
        const lease = action === 'replace' ? await create(makeLock()) : undefined;
        const controller = new AbortController();
        const last = action === 'create' ? 'writeFile' : 'readFile';
        const links: string[] = [];
        const files = new Proxy(localFileSystem, {
          get: (target, name: keyof LeaseFileSystem) => {
            const call = target[name] as (...args: unknown[]) => Promise<unknown>;
            return async (...args: unknown[]) => {
              if (name === 'link') links.push(String(args[1]));
              const result = await call(...args);
              if (name === last) controller.abort();
              return result;
            };
          },
        });
        const lock = makeLock('slow', files);
        const options = { ...request(), signal: controller.signal };
        if (lease === undefined) await lock.create(held('slow'), options);
        else await lock.replace(held('slow'), lease, options);
        await lock.close();
        expect(links).toEqual([]);
      },
    );

    it('leaves no listener on the signal of a request that has ended', async () => {
      const { signal } = new AbortController();
      const lock = makeLock();
      await lock.read({ ...request(), signal });
      await lock.close();
      expect(getEventListeners(signal, 'abort')).toEqual([]);
    });

    it('makes no system call when it was aborted before it began', async () => {
      const calls: string[] = [];
      const files = new Proxy(localFileSystem, {
        get: (target, name: keyof LeaseFileSystem) => {
          calls.push(name);
          return target[name];
        },
      });
      const lock = makeLock('slow', files);
      const signal = AbortSignal.abort();
      expect(await lock.create(held('slow'), { ...request(), signal })).toMatchObject({
        kind: 'unknown',
        error: { message: expect.stringContaining('it was aborted') },
      });
      expect(calls).toEqual([]);
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

    const deathsAfter = async (holderProcess: object, readKernel?: () => HostKernel) => {
      const lock = makeLock('second', localFileSystem, readKernel);
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
    /** A path of exactly as many bytes as an address holds, where every connection is refused. */
    const refusing = () => join(directory, 'r'.repeat(108 - Buffer.byteLength(directory) - 1));
    const own = async () => {
      await create(makeLock());
      const holderProcess = await stored();
      await rm(leaseDirectory, { recursive: true });
      return holderProcess;
    };
    const stored = async () => {
      const fields = JSON.parse(await readFile(join(leaseDirectory, 'created.json'), 'utf8'));
      return (fields as { holderProcess: { kernel: string } }).holderProcess;
    };

    it('still names the process after another one has written a request to it', async () => {
      const before = await create(makeLock());
      const named = await stored();
      const asked = {
        id: 'r1',
        asks: 'step-down',
        transitions: 1,
        holderIdentity: 'first',
      } as const;
      await replace(makeLock('operator'), { ...before.record, request: asked }, before);
      const text = await readFile(await newestFile(leaseDirectory), 'utf8');
      expect(JSON.parse(text)).toMatchObject({
        revision: String(before.revision + 1n),
        holderProcess: named,
      });
    });

    it('names no process where the work of the holder outlives it', async () => {
      const lock = await fileLockOfOutlived({ directory })({ ...LEASE, identity: 'first' });
      await create(lock as FileLock);
      expect(await stored()).toBeNull();
    });

    it('does not take it for dead under another kernel', async () => {
      const socket = join(directory, 'refused');
      await writeFile(socket, '');
      expect(await deathsAfter({ kernel: 'another', pid: 1, socket })).toEqual([]);
    });

    it.each([
      ['at a path that is no address: nothing', () => ''],
      ['at a relative path', () => 'package.json'],
      ['at an abstract name', () => '\0refusing'],
      ['at a path that an address would cut', () => `${refusing()}${'x'.repeat(120)}`],
    ])('does not take it for dead %s', async (_, socket) => {
      await writeFile(refusing(), '');
      const { kernel } = await own();
      expect(await deathsAfter({ kernel, pid: 1, socket: socket() })).toEqual([]);
    });

    it('does not take it for dead by a refusal where only the host has the same name', async () => {
      await writeFile(refusing(), '');
      const kernel = { name: 'linux localhost', isUnique: false };
      const holderProcess = { kernel: kernel.name, pid: 1, socket: refusing() };
      expect(await deathsAfter(holderProcess, () => kernel)).toEqual([]);
    });

    it('does not take it for dead when its socket file is out of sight', async () => {
      await create(makeLock());
      const { kernel } = await stored();
      await rm(leaseDirectory, { recursive: true });
      const socket = join(directory, 'nowhere');
      expect(await deathsAfter({ kernel, pid: 1, socket })).toEqual([]);
    });

    it('does not take it for dead when it accepts and hangs up', async () => {
      await create(makeLock());
      const { kernel } = await stored();
      await rm(leaseDirectory, { recursive: true });
      const socket = join(directory, 'busy');
      server = createServer((connection) => connection.destroy()).listen(socket);
      expect(await deathsAfter({ kernel, pid: 1, socket })).toEqual([]);
    });
  });

  describe('when the kernel is named', () => {
    const onLinux = process.platform === 'linux';

    it('is known by its boot on Linux, and by nothing but the host name elsewhere', () => {
      const kernel = hostKernel(() => 'boot-1\n');
      expect(kernel).toEqual(
        onLinux
          ? { name: 'boot-1', isUnique: true }
          : { name: `${process.platform} ${hostname()}`, isUnique: false },
      );
    });

    const missing = (): string => {
      throw Object.assign(new Error('ENOENT: open'), { code: 'ENOENT' });
    };
    it.each([
      ['is missing', missing],
      ['is empty', () => '\n'],
    ])('does not pass for unique when the file with the boot %s', (_, read) => {
      const kernel = hostKernel(read);
      expect(kernel).toEqual({ name: `${process.platform} ${hostname()}`, isUnique: false });
    });

    it('is asked for again after it could not be learned for a moment', async () => {
      let isKnown = false;
      const lock = makeLock('first', localFileSystem, () => ({
        name: isKnown ? 'boot-1' : 'linux localhost',
        isUnique: isKnown,
      }));
      const lease = await create(lock);
      expect(lease).toMatchObject({ source: { holderProcess: { kernel: 'linux localhost' } } });
      isKnown = true;
      expect(await replace(lock, held('first', { renewTimeMicros: 1 }), lease)).toMatchObject({
        source: { holderProcess: { kernel: 'boot-1' } },
      });
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
      const controller = new AbortController();
      const link: LeaseFileSystem['link'] = async (from, to) => {
        controller.abort();
        await gate;
        await sleep(50);
        await localFileSystem.link(from, to);
        isLinked = true;
      };
      const lock = makeLock('first', { ...localFileSystem, link });
      const { signal } = controller;
      const outcome = await lock.create(held('first'), { ...request(), signal });
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
  return outcome.stored;
}

async function replace(
  lock: FileLock,
  record: LeaseRecord,
  expected: ObservedLease,
): Promise<ObservedLease> {
  const outcome = await lock.replace(record, expected, request());
  if (outcome.kind !== 'applied') throw new Error(outcome.kind);
  return outcome.stored;
}

async function read(lock: FileLock): Promise<ObservedLease> {
  const outcome = await lock.read(request());
  if (outcome.kind !== 'found') throw new Error(outcome.kind);
  return outcome.stored;
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
