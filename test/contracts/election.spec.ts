import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  ElectionCapability,
  ElectionFixture,
} from '../../lib/contracts/election-under-test.js';
import { electionContract } from '../../lib/contracts/election.contract.js';
import { RecordingStore } from '../../lib/contracts/recording.store.js';
import type { LockRequester, ResourceLock } from '../../lib/core/resource-lock.js';
import { FileLock } from '../../lib/locks/file/lease-files.js';
import { leaseLock } from '../../lib/locks/kubernetes/lease.lock.js';
import { memoryLock } from '../../lib/locks/memory/memory.lock.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../proof/api-emulator/emulated-cluster.js';
import { storeFaultsOf } from '../locks/emulated-faults.js';
import { FaultyDisk } from '../locks/faulty-disk.js';
import { describeContract, PATIENCE_MS } from './describe-contract.js';

function describeElection(
  name: string,
  createFixture: () => ElectionFixture | Promise<ElectionFixture>,
  without: readonly ElectionCapability[],
): void {
  const cases = electionContract(createFixture, { without, patienceMs: PATIENCE_MS });
  describeContract(`an election on ${name}`, cases);
}

/** A store in memory that is not in the process, as its candidates see it, and has faults. */
function distantStore(lacks: readonly ElectionCapability[]): ElectionFixture {
  const way = new RecordingStore();
  const makeLock = way.record(memoryLock());
  const lock = async (requester: LockRequester): Promise<ResourceLock> => {
    const distant = { ...(await makeLock(requester)), isInProcess: false };
    if (lacks.includes('watch')) Reflect.deleteProperty(distant, 'watch');
    return distant;
  };
  return {
    lock,
    ...(!lacks.includes('lost-answers') && {
      loseAnswer: async () => way.loseAnswers({ verbs: ['create', 'replace'], count: 1 }),
    }),
    ...(!lacks.includes('outages') && {
      interrupt: async () => {
        way.fail();
        return async () => way.restore();
      },
    }),
    dispose: () => Promise.resolve(),
  };
}

const noFaults = ['lost-answers', 'outages'] as const;

describeElection(
  'memoryLock()',
  () => ({ lock: memoryLock(), dispose: () => Promise.resolve() }),
  noFaults,
);

describeElection('a lock with all that it may have', () => distantStore([]), []);

for (const lacking of ['watch', 'lost-answers', 'outages'] as const) {
  describeElection(`a lock without ${lacking}`, () => distantStore([lacking]), [lacking]);
}

describeElection(
  'fileLock()',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'election-contract-'));
    const disk = new FaultyDisk();
    return {
      lock: (requester) => new FileLock({ directory }, requester, disk.calls),
      ...disk.faults,
      dispose: () => rm(directory, { recursive: true }),
    };
  },
  [],
);

describeElection(
  'leaseLock() on the API emulator',
  async () => {
    const emulator = await ApiEmulator.start();
    return {
      lock: leaseLock({ kubeConfig: kubeConfigTo(emulator.url, 'default') }),
      ...storeFaultsOf(emulator),
      dispose: () => emulator.stop(),
    };
  },
  [],
);
