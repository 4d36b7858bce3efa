import { describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileLock } from '../../lib/locks/file/lease-files.js';
import { sortLeaseFileNames } from '../../lib/locks/file/lease-paths.js';
import { MemoryLeaseStore, memoryLock } from '../../lib/locks/memory/memory.lock.js';
import { leaseLock } from '../../lib/locks/kubernetes/lease.lock.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../proof/api-emulator/emulated-cluster.js';
import { storeFaultsOf } from './emulated-faults.js';
import { FaultyDisk } from './faulty-disk.js';
import { describeDocumentStore } from './document-store.contract.js';
import { request } from './lock-request.js';

const REQUESTER = { leaseName: 'plan', namespace: 'default', identity: 'first' };
const ANNOTATION = 'nestjs-leader-election/schedule';

describeDocumentStore(
  'memoryLock().sibling()',
  async () => {
    const store = new MemoryLeaseStore();
    const makeLock = memoryLock(store);
    return {
      first: await makeLock(REQUESTER),
      second: await makeLock({ ...REQUESTER, identity: 'second' }),
      deleteByHand: () => Promise.resolve(void store.documents.delete('default/plan-schedule')),
      dispose: () => Promise.resolve(),
    };
  },
  ['lost-answers', 'outages', 'spoiling'],
);

describeDocumentStore(
  'fileLock().sibling()',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'document-store-'));
    const documentDirectory = join(directory, 'default.plan-schedule');
    const disk = new FaultyDisk();
    return {
      first: new FileLock({ directory }, REQUESTER, disk.calls),
      second: new FileLock({ directory }, { ...REQUESTER, identity: 'second' }),
      deleteByHand: () => rm(documentDirectory, { recursive: true }),
      spoilByHand: async () => {
        const { versions } = sortLeaseFileNames(await readdir(documentDirectory));
        await writeFile(join(documentDirectory, versions.at(-1)!.name), '{"document":');
      },
      ...disk.faults,
      dispose: () => rm(directory, { recursive: true }),
    };
  },
  [],
);

describeDocumentStore(
  'leaseLock().sibling() on the API emulator',
  async () => {
    const emulator = await ApiEmulator.start();
    const lock = () => leaseLock({ kubeConfig: kubeConfigTo(emulator.url) });
    return {
      first: await lock()(REQUESTER),
      second: await lock()({ ...REQUESTER, identity: 'second' }),
      deleteByHand: async () => void emulator.store.delete('default', 'plan-schedule'),
      spoilByHand: async () => annotate(emulator, { [ANNOTATION]: 'not json' }),
      ...storeFaultsOf(emulator),
      dispose: () => emulator.stop(),
    };
  },
  [],
);

describe('leaseLock().sibling(), when it talks to the API server', () => {
  it('keeps what others put on the object, and names version and uid in every PUT', async () => {
    const emulator = await ApiEmulator.start();
    const lock = await leaseLock({ kubeConfig: kubeConfigTo(emulator.url) })(REQUESTER);
    try {
      const store = lock.sibling!('schedule');
      await store.create({ n: 1 }, request());
      annotate(emulator, { 'example.com/owner': 'somebody' });
      const found = await store.read(request());
      if (found.kind !== 'found') throw new Error(found.kind);
      expect((await store.replace({ n: 2 }, found.stored, request())).kind).toBe('applied');
      expect(stored(emulator).metadata.annotations).toEqual({
        [ANNOTATION]: '{"n":2}',
        'example.com/owner': 'somebody',
      });
      const put = emulator.requests.findLast(({ verb }) => verb === 'update')!;
      expect(put.body).toMatchObject({
        metadata: { uid: expect.any(String), resourceVersion: expect.any(String) },
      });
    } finally {
      await lock.close?.();
      await emulator.stop();
    }
  });

  it('refuses a lease whose second name would be too long', async () => {
    const makeLock = leaseLock({ kubeConfig: kubeConfigTo('https://127.0.0.1:1') });
    const lock = await makeLock({ ...REQUESTER, leaseName: 'a'.repeat(250) });
    expect(() => lock.sibling!('schedule')).toThrow(
      expect.objectContaining({
        code: 'ERR_LEADER_ELECTION_OPTIONS',
        faults: [expect.objectContaining({ field: 'leaseName' })],
      }),
    );
    await lock.close?.();
  });
});

interface StoredLease {
  metadata: { annotations?: Record<string, string>; uid: string; resourceVersion: string };
}

function stored(emulator: ApiEmulator): StoredLease {
  return emulator.store.get('default', 'plan-schedule') as unknown as StoredLease;
}

function annotate(emulator: ApiEmulator, change: Record<string, string>): void {
  const lease = stored(emulator);
  const annotations = { ...lease.metadata.annotations, ...change };
  const body = { ...lease, metadata: { ...lease.metadata, annotations } };
  emulator.store.update('default', 'plan-schedule', body as never, 'kubectl-edit');
}
