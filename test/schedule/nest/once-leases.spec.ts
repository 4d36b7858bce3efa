import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import type { LockRequester } from '../../../lib/index.js';
import { PodEnvironment } from '../../../lib/kubernetes/connection/pod-environment.js';
import { configMapLockIn } from '../../../lib/locks/kubernetes/config-map.lock.js';
import { LeaderOnce, LeaderSchedule } from '../../../lib/schedule/index.js';
import { ApiEmulator } from '../../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../../proof/api-emulator/emulated-cluster.js';
import { withoutLeaseBeside } from '../support/partial-locks.js';
import { ScheduledApplications } from '../support/scheduled-applications.js';

let elections: ScheduledApplications;

beforeEach(() => {
  elections = new ScheduledApplications();
});
afterEach(() => elections.end());

@Injectable()
class Migration {
  runs = 0;

  @LeaderOnce({ key: 'schema', version: 1, waitForOthers: true, waitTimeoutMs: 20_000 })
  migrate(): void {
    this.runs += 1;
  }
}

const never = (): Promise<void> => new Promise(() => {});

describe('when a run of one key lasts', () => {
  it('keeps no other key from running, in this replica or another', async () => {
    @Injectable()
    class Backfill {
      @LeaderOnce({ key: 'backfill', version: 1 })
      backfill(): Promise<void> {
        return never();
      }
    }
    await elections.started(Backfill);
    const application = await elections.create(elections.metadata([Backfill, Migration]));
    const starting = application.init();
    await elections.clock.advance(5_000);
    await starting;
    expect(application.get(Migration).runs).toBe(1);
  });

  it('says which lease its replicas compete for', async () => {
    const application = await elections.started(Migration);
    const schedule = application.get(LeaderSchedule);
    expect(await schedule.inspectOnce('schema')).toMatchObject({
      leaseName: 'plan-scheduler-once-schema',
    });
    await schedule.once('Größe', 1, () => undefined);
    const { leaseName } = (await schedule.inspectOnce('Größe'))!;
    expect(leaseName).toMatch(/^plan-scheduler-once-[0-9a-f]{16}$/);
    await elections.clock.settle();
    expect(elections.holder(leaseName)).toBe('');
  });

  it('holds its lease under an identity that is not that of the role, and is recorded under that', async () => {
    let holder: string | undefined;
    const application = await elections.started();
    await application.get(LeaderSchedule).once('schema', 1, () => {
      holder = elections.holder('plan-scheduler-once-schema');
    });
    const { identity } = application.leadership();
    expect(holder).toBe(`${identity}_once`);
    expect(await application.get(LeaderSchedule).inspectOnce('schema')).toMatchObject({
      holderIdentity: identity,
    });
  });
});

describe('when the lock is a ConfigMap', () => {
  it.each([false, true])(
    'runs, and never writes into that of the role (clientGo: %s)',
    async (clientGo) => {
      const emulator = await ApiEmulator.start();
      const pod = new PodEnvironment({ POD_NAME: 'pod-a' }, '/nowhere');
      const kubeConfig = kubeConfigTo(emulator.url, 'default');
      const lock = configMapLockIn(pod, { kubeConfig, clientGo });
      const application = await elections.create(elections.metadata([Migration], { lock }));
      let end: unknown = 'starting';
      application.init().then(
        () => (end = 'started'),
        (error: unknown) => (end = error),
      );
      await elections.advanceUntil(() => end !== 'starting');
      expect(end).toBe('started');
      expect(application.get(Migration).runs).toBe(1);
      const [beside, ofRole] = ['plan-scheduler-once-schema', 'leaders'].map((name) =>
        emulator.configMaps.get('default', name),
      );
      expect(beside).toMatchObject({ metadata: { name: 'plan-scheduler-once-schema' } });
      expect(beside).not.toHaveProperty('data');
      expect(JSON.stringify(ofRole ?? {})).not.toContain('_once');
      const closing = application.close();
      let isClosed = false;
      void closing.then(() => (isClosed = true));
      await elections.advanceUntil(() => isClosed);
      await emulator.stop();
    },
  );
});

describe('when a factory makes the lock of the role whatever name it is asked for', () => {
  it.each([
    ['and nobody holds it', false],
    ['and another replica leads', true],
  ])('runs nothing, and ends with an error, %s', async (_when, isLed) => {
    if (isLed) await elections.leadingRival('another');
    const lock = () => withoutLeaseBeside(elections.lock('plan-scheduler'));
    const application = await elections.create(elections.metadata([Migration], { lock }));
    const failed = application.init().catch(String);
    await elections.clock.advance(30_000);
    expect(await failed).toContain('OnceTimeoutError');
    expect(application.get(Migration).runs).toBe(0);
    expect(elections.holder('plan-scheduler')).toBe(isLed ? 'another' : '');
  });
});

describe('when a factory makes a lock for each name', () => {
  it('runs, whatever the lock calls itself', async () => {
    const lock = ({ leaseName }: LockRequester) => withoutLeaseBeside(elections.lock(leaseName));
    const application = await elections.create(elections.metadata([Migration], { lock }));
    const starting = application.init();
    await elections.clock.advance(5_000);
    await starting;
    expect(application.get(Migration).runs).toBe(1);
    expect(elections.holder('plan-scheduler-once-schema')).toBe('');
  });

  it('starts and closes in time though the lock of the second lease never comes', async () => {
    const made: (() => void)[] = [];
    let closed = 0;
    const lock = ({ leaseName }: LockRequester) => {
      const own = withoutLeaseBeside(elections.lock(leaseName));
      if (leaseName === 'plan-scheduler') return own;
      return new Promise<typeof own>((resolve) => {
        made.push(() => resolve({ ...own, close: async () => void (closed += 1) }));
      });
    };
    const application = await elections.create(elections.metadata([Migration], { lock }));
    const failed = application.init().catch(String);
    await elections.clock.advance(40_000);
    expect(await failed).toContain('OnceTimeoutError');
    let isClosed = false;
    void application.close().then(() => (isClosed = true));
    await elections.clock.advance(60_000);
    expect(isClosed).toBe(true);
    expect(made).toHaveLength(1);
    for (const make of made) make();
    await elections.clock.settle();
    expect(closed).toBe(1);
  });
});
