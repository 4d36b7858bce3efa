import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ContainerMark, ContainerUnknown } from '../../lib/core/container.js';
import { competingMember, type MemberObserver } from '../../lib/core/member.js';
import type { ResourceLock } from '../../lib/core/resource-lock.js';
import type { LeadershipService, LockRequester } from '../../lib/index.js';
import { memoryLock } from '../../lib/index.js';
import { memoryLeaseKey } from '../../lib/locks/memory/memory.lock.js';
import { Elections, ROLE } from './support/elections.js';
import { RecordedLog } from './support/recorded-log.js';

const CONTAINER: ContainerMark = {
  podUid: 'uid-1',
  containerName: 'app',
  containerId: `containerd://${'a'.repeat(64)}`,
};

const OF_THE_ONE_BEFORE: ContainerUnknown = { why: '0 containers began', mayPass: true };

let elections: Elections;
let log: RecordedLog;
/** What the source of the members answers next, and the last one again and again. */
let answers: (ContainerMark | ContainerUnknown)[];
let reads: number;
let observer: MemberObserver | undefined;

beforeEach(() => {
  elections = new Elections();
  log = new RecordedLog();
  answers = [CONTAINER];
  reads = 0;
});

afterEach(() => elections.end());

/** The memory lock, with members of whom the test tells. */
function lockWithPods(requester: LockRequester): ResourceLock {
  const lock = memoryLock(elections.store)(requester) as {
    -readonly [K in keyof ResourceLock]: ResourceLock[K];
  };
  lock.competitors = () => ({
    start(told) {
      observer = told;
      told.members([competingMember(requester.identity, new Date(0), true)]);
    },
    async close() {},
    async ownContainer() {
      reads++;
      return answers.length > 1 ? answers.shift()! : answers[0]!;
    },
  });
  return lock;
}

async function started(podWatch = true): Promise<LeadershipService> {
  const module = elections.module({
    lock: lockWithPods,
    identity: 'me',
    members: true,
    podWatch,
  });
  const application = await elections.create({ imports: [module] });
  application.useLogger(log);
  await application.init();
  await elections.clock.settle();
  return application.leadership();
}

const record = () =>
  elections.store.read(memoryLeaseKey({ leaseName: ROLE, namespace: undefined }))!.record;

/** Another process leads, and its record names its container. */
async function otherLeads(): Promise<void> {
  const rival = await elections.leadingRival('other');
  rival.setContainer(rival.term!.number, CONTAINER);
  await elections.clock.advance(2_500);
  expect(record()).toMatchObject({ holderIdentity: 'other', container: CONTAINER });
}

function containerEnds(): void {
  const finishedAtMicros = Math.floor(elections.clock.wallMicros() / 1_000_000) * 1_000_000;
  observer!.containerEnded!({ ...CONTAINER, finishedAtMicros });
}

describe('when podWatch is on and the container of the leader is proved to have ended', () => {
  it('leads at once', async () => {
    await otherLeads();
    const leadership = await started();
    containerEnds();
    await elections.clock.advance(100);
    expect(leadership.isLeader()).toBe(true);
  });

  it('names its own container with the next renewal, and not that of the dead', async () => {
    await otherLeads();
    answers = [{ ...CONTAINER, podUid: 'uid-2' }];
    await started();
    containerEnds();
    await elections.clock.advance(100);
    expect(record()).toMatchObject({ holderIdentity: 'me', container: undefined });
    await elections.clock.advance(2_000);
    expect(record().container?.podUid).toBe('uid-2');
  });
});

describe('when podWatch is off', () => {
  it('waits for the lease to run out, whatever is proved', async () => {
    await otherLeads();
    const leadership = await started(false);
    containerEnds();
    await elections.clock.advance(1_000);
    expect(leadership.isLeader()).toBe(false);
  });

  it('does not ask in which container it runs', async () => {
    await started(false);
    await elections.clock.advance(3_000);
    expect([reads, record().container]).toEqual([0, undefined]);
  });
});

describe('when podWatch is on and this process leads', () => {
  it('asks once a term in which container it runs, and names it until the release', async () => {
    const leadership = await started();
    await elections.clock.advance(3_000);
    expect([reads, record().container]).toMatchObject([1, CONTAINER]);
    leadership.stepDown();
    await elections.clock.settle();
    expect(record()).toMatchObject({ holderIdentity: '', container: undefined });
    await elections.clock.advance(20_000);
    expect([leadership.term?.number, reads, record().container]).toMatchObject([2, 2, CONTAINER]);
  });

  it('asks again while the status of its pod is that of its predecessor, and says nothing of it', async () => {
    answers = [OF_THE_ONE_BEFORE, OF_THE_ONE_BEFORE, CONTAINER];
    await started();
    await elections.clock.advance(6_000);
    expect([reads, record().container]).toMatchObject([3, CONTAINER]);
    expect(log.texts('warn')).toEqual([]);
  });

  it('says once why the record does not name it, and then leads on without', async () => {
    answers = [{ why: 'the pod sets hostPID', mayPass: false }];
    const leadership = await started();
    await elections.clock.advance(120_000);
    leadership.stepDown();
    await elections.clock.advance(120_000);
    expect(leadership.isLeader()).toBe(true);
    const told = log.texts('warn').filter((text) => text.includes('podWatch'));
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(
      /does not name the container of this process, because the pod sets hostPID$/,
    );
  });

  it('asks no more in a term that cannot tell it, whatever the status of the pod will be', async () => {
    answers = [{ why: 'the pod sets hostPID', mayPass: false }];
    await started();
    await elections.clock.advance(300_000);
    expect(reads).toBe(1);
  });

  it('asks once a minute for as long as it may still be told, and says each reason once', async () => {
    const down = { why: 'its pod cannot be read: down', mayPass: true };
    answers = [...Array.from({ length: 8 }, () => down), OF_THE_ONE_BEFORE, down, CONTAINER];
    await started();
    await elections.clock.advance(61_000);
    expect(reads).toBe(7);
    await elections.clock.advance(180_000);
    expect([reads, record().container]).toEqual([10, undefined]);
    await elections.clock.advance(63_000);
    expect([reads, record().container]).toMatchObject([11, CONTAINER]);
    const told = log.texts('warn').filter((text) => text.includes('podWatch'));
    expect(told).toEqual([
      expect.stringContaining('cannot be read: down'),
      expect.stringContaining('0 containers began'),
    ]);
  });

  it('asks no more when the term is over', async () => {
    answers = [OF_THE_ONE_BEFORE];
    const leadership = await started();
    leadership.suspend();
    await elections.clock.advance(60_000);
    expect(reads).toBe(1);
  });
});

describe('when podWatch is on without members', () => {
  it('does not start, and says what to add', async () => {
    const failed = elections.create({ imports: [elections.module({ podWatch: true })] });
    await expect(failed).rejects.toThrow(
      /podWatch = true: needs the members of the application.*add members: true, or leave podWatch out/s,
    );
  });
});
