import { execFileSync } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { fileLockOfVisitor } from '../../../lib/locks/file/file.lock.js';
import { FileLock } from '../../../lib/locks/file/lease-files.js';
import { FileLockDirectory } from '../../../lib/locks/file/lease-paths.js';
import {
  type LeaseFileSystem,
  localFileSystem,
} from '../../../lib/locks/file/system-call-failure.js';
import { held } from '../lease-records.js';
import { request } from '../lock-request.js';
import { RecordedWatch } from '../recorded-watch.js';

const LEASE = { namespace: 'plans', leaseName: 'plan', identity: 'first' };
const SECRET = { auths: { 'registry.example': { auth: 'planted-5f1c9b2e7a' } } };

let folder: string;
let directory: string;
let elsewhere: string;
let locks: FileLock[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hostile-'));
  directory = join(folder, 'leases');
  elsewhere = join(folder, 'elsewhere');
  await mkdir(elsewhere);
  locks = [];
});

afterEach(async () => {
  for (const lock of locks) await lock.close();
  await rm(folder, { recursive: true });
});

function lockIn(path = directory, files?: LeaseFileSystem): FileLock {
  const lock = new FileLock({ directory: path }, LEASE, files);
  locks.push(lock);
  return lock;
}

const lease = () => join(directory, 'plans.plan');

async function modeOf(path: string): Promise<string> {
  return ((await lstat(path)).mode & 0o777).toString(8);
}

/** Modes of the directories in it and of the files in these. */
async function modesIn(path: string): Promise<{ directories: string[]; files: string[] }> {
  const directories = (await readdir(path)).map((name) => join(path, name));
  const files = await Promise.all(
    directories.map(async (each) =>
      (await readdir(each))
        .filter((name) => name.endsWith('.json'))
        .map((name) => join(each, name)),
    ),
  );
  const distinct = async (paths: string[]) => [...new Set(await Promise.all(paths.map(modeOf)))];
  return { directories: await distinct(directories), files: await distinct(files.flat()) };
}

async function errorsOf(lock: FileLock): Promise<string[]> {
  const recorded = new RecordedWatch();
  const watch = lock.watch(recorded, { silenceLimitMs: 60_000 });
  const document = lock.sibling('schedule');
  const outcomes = [
    await lock.read(request()),
    await lock.create(held('first'), request()),
    await document.read(request()),
    await document.create({}, request()),
  ];
  await recorded.until(({ errors, openings }) => errors.length + openings > 0);
  watch.close();
  const told = recorded.errors[0]?.message ?? 'opened';
  return [...outcomes.map((each) => ('error' in each ? each.error.message : each.kind)), told];
}

describe('When fileLock() makes files, whatever the umask', () => {
  let umask: number;
  beforeEach(() => void (umask = process.umask(0)));
  afterEach(() => void process.umask(umask));

  it('makes a directory that is missing for its user alone, and all that is in it', async () => {
    const lock = lockIn(join(directory, 'deep'));
    expect(await lock.create(held('first'), request())).toMatchObject({ kind: 'applied' });
    expect(await lock.sibling('schedule').create({}, request())).toMatchObject({ kind: 'applied' });
    expect(await modeOf(directory)).toBe('700');
    expect(await modeOf(join(directory, 'deep'))).toBe('700');
    const modes = await modesIn(join(directory, 'deep'));
    expect(modes).toEqual({ directories: ['700'], files: ['600'] });
  });

  it.each([
    { of: 'its user', mode: 0o755, directories: '700', files: '600' },
    { of: 'a group', mode: 0o770, directories: '770', files: '660' },
    { of: 'a group, and all may read', mode: 0o775, directories: '770', files: '660' },
    { of: 'everybody', mode: 0o777, directories: '777', files: '666' },
    { of: 'everybody, each their own', mode: 0o1777, directories: '700', files: '600' },
  ])(
    'gives what is in a directory of $of the rights $directories and $files',
    async ({ mode, directories, files }) => {
      await mkdir(directory);
      await chmod(directory, mode);
      await lockIn().create(held('first'), request());
      expect(await modesIn(directory)).toEqual({ directories: [directories], files: [files] });
    },
  );
});

describe('When a symbolic link is where fileLock() keeps a lease', () => {
  it('does not follow one in place of the directory of a lease or a document', async () => {
    await mkdir(directory);
    await symlink(elsewhere, lease());
    await symlink(elsewhere, join(directory, 'plans.plan-schedule'));
    for (const message of await errorsOf(lockIn())) {
      expect(message).toMatch(/it is a symbolic link, which is not followed\. Fix: remove it, or/);
    }
    expect(await readdir(elsewhere)).toEqual([]);
  });

  it('makes no socket where one leads, and leads without', async () => {
    await mkdir(directory);
    await symlink(elsewhere, join(directory, 's'));
    const outcome = await lockIn().create(held('first'), request());
    expect(outcome).toMatchObject({ kind: 'applied', stored: { source: { holderProcess: null } } });
    expect(await readdir(elsewhere)).toEqual([]);
  });

  it('follows the one that the named directory is', async () => {
    await symlink(elsewhere, directory);
    expect(await lockIn().create(held('first'), request())).toMatchObject({ kind: 'applied' });
    expect(await readdir(elsewhere)).toContain('plans.plan');
  });

  const planted = async (name: string) => {
    const secret = join(elsewhere, 'config.json');
    await writeFile(secret, JSON.stringify(SECRET));
    await mkdir(lease(), { recursive: true });
    await rm(join(lease(), name), { force: true });
    await symlink(secret, join(lease(), name));
  };
  const copied = async () => {
    const names = await readdir(lease(), { withFileTypes: true });
    const files = names.filter((each) => each.isFile());
    const texts = await Promise.all(files.map(({ name }) => readFile(join(lease(), name), 'utf8')));
    return texts.filter((text) => text.includes('auths'));
  };
  const NOT_FOLLOWED = /ELOOP.*Fix: a file of a lease is a symbolic link, which is not followed/;

  it('does not read the file to which a first version leads, and so copies nothing of it', async () => {
    await planted('created.json');
    const lock = lockIn();
    const found = await lock.read(request());
    if (found.kind === 'found') await lock.replace(held('first'), found.stored, request());
    expect(found).toMatchObject({
      kind: 'failed',
      error: { message: expect.stringMatching(NOT_FOLLOWED) },
    });
    expect(await copied()).toEqual([]);
  });

  it('does not read the file to which a later version leads, and so copies nothing of it', async () => {
    const lock = lockIn();
    const created = await lock.create(held('first'), request());
    if (created.kind !== 'applied') throw new Error(created.kind);
    const { uid, revision } = created.stored;
    await planted(`${revision + 1n}.${uid}.json`);
    const found = await lock.read(request());
    if (found.kind === 'found') await lock.replace(held('first'), found.stored, request());
    expect(found).toMatchObject({
      kind: 'failed',
      error: { message: expect.stringMatching(NOT_FOLLOWED) },
    });
    expect(await lock.replace(held('first'), created.stored, request())).toMatchObject({
      kind: 'not-applied',
    });
    expect(await copied()).toEqual([]);
  });
});

describe('When a pipe is where fileLock() keeps a lease', () => {
  it('waits for nobody who would write into it', async () => {
    await mkdir(lease(), { recursive: true });
    execFileSync('mkfifo', [join(lease(), 'created.json')]);
    const found = await lockIn().read(request(60_000));
    expect(found).toMatchObject({
      kind: 'found',
      stored: { record: { holderIdentity: expect.stringContaining('unreadable') } },
    });
  });
});

describe('When the directory of a lease is that of somebody else', () => {
  const another = (change: { uid?: number }): LeaseFileSystem => ({
    ...localFileSystem,
    lstat: (async (path: string) => {
      const stats = await localFileSystem.lstat(path);
      return Object.assign(stats, path === directory ? {} : change);
    }) as unknown as LeaseFileSystem['lstat'],
  });

  const makeLeases = async (mode: number) => {
    for (const name of ['', 'plans.plan', 'plans.plan-schedule']) {
      await mkdir(join(directory, name));
    }
    await chmod(directory, mode);
  };

  it.each([
    { of: 'its user', mode: 0o755 },
    { of: 'everybody, each their own', mode: 0o1777 },
  ])('refuses it in a directory of $of', async ({ mode }) => {
    await makeLeases(mode);
    for (const message of await errorsOf(lockIn(directory, another({ uid: 54_321 })))) {
      expect(message).toMatch(/belongs to user 54321, not \d+\. Fix: name a directory/);
    }
    expect(await readdir(lease())).toEqual([]);
  });

  it('takes it in a directory that is shared', async () => {
    await makeLeases(0o777);
    const lock = lockIn(directory, another({ uid: 54_321 }));
    expect(await lock.create(held('first'), request())).toMatchObject({ kind: 'applied' });
  });

  it('refuses one that others may write to, in a directory where they may not', async () => {
    await makeLeases(0o755);
    for (const name of ['plans.plan', 'plans.plan-schedule']) {
      await chmod(join(directory, name), 0o777);
    }
    for (const message of await errorsOf(lockIn())) {
      expect(message).toMatch(/other users may write to it\. Fix: .*\(chmod go-w .*plans\.plan/);
    }
  });
});

describe('When a visitor looks, who never competes', () => {
  async function visitor(): Promise<FileLock> {
    const lock = (await fileLockOfVisitor({ directory })({ ...LEASE, role: 'plan' })) as FileLock;
    locks.push(lock);
    return lock;
  }

  it('is told that a directory does not exist, at each request, and makes none', async () => {
    for (const message of await errorsOf(await visitor())) {
      expect(message).toMatch(
        /leases does not exist, so no process elects a leader there\. Fix: name/,
      );
    }
    expect(await readdir(folder)).toEqual(['elsewhere']);
  });

  it('makes no directory of a lease: to read and to watch find none, and a write is not applied', async () => {
    await mkdir(directory);
    const said = await errorsOf(await visitor());
    expect(said.map((each) => each.replace(/ENOENT.*/, 'ENOENT'))).toEqual([
      'absent',
      expect.stringMatching(/^Cannot create the lease in .*plans\.plan: ENOENT$/),
      'absent',
      expect.stringMatching(/^Cannot create the lease in .*plans\.plan-schedule: ENOENT$/),
      'opened',
    ]);
    expect(await readdir(directory)).toEqual([]);
  });

  it('does not follow a symbolic link in place of a lease', async () => {
    await mkdir(directory);
    await symlink(elsewhere, lease());
    await symlink(elsewhere, join(directory, 'plans.plan-schedule'));
    for (const message of await errorsOf(await visitor())) {
      expect(message).toMatch(/it is a symbolic link, which is not followed/);
    }
  });

  it('refuses a directory that is a file', async () => {
    await writeFile(directory, '');
    for (const message of await errorsOf(await visitor())) {
      expect(message).toMatch(/it is not a directory\. Fix: remove it, or name a directory/);
    }
  });

  it('asks something of the leader in what the leader has made', async () => {
    await lockIn().create(held('first'), request());
    const lock = await visitor();
    const read = await lock.read(request());
    if (read.kind !== 'found') throw new Error(read.kind);
    const { stored } = read;
    const written = await lock.replace(
      { ...stored.record, leaseTransitions: 9 },
      stored,
      request(),
    );
    expect(written).toMatchObject({ kind: 'applied' });
  });

  describe('in the default directory', () => {
    const path = () => join(folder, `nestjs-leader-election-${process.getuid?.() ?? ''}`);
    const prepared = () =>
      new FileLockDirectory(undefined, localFileSystem, folder, true).prepare();

    it('is told whose directory it is, and makes none', async () => {
      await expect(prepared()).rejects.toThrow(/does not exist.* run this as the user .* TMPDIR;/);
      await expect(lstat(path())).rejects.toThrow('ENOENT');
    });

    it('refuses a symbolic link, and one that others may write to', async () => {
      await symlink(elsewhere, path());
      await expect(prepared()).rejects.toThrow('it is not a directory');
      await rm(path());
      await mkdir(path());
      await chmod(path(), 0o777);
      await expect(prepared()).rejects.toThrow('other users may write to it');
    });
  });
});
