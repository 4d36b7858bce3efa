import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { configMapLockIn } from '../../lib/locks/kubernetes/config-map.lock.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { kubeConfigTo } from '../../proof/api-emulator/emulated-cluster.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { Elections } from './support/elections.js';

const ROLES = ['plans', 'mails'];
const CONFLICT = {
  kind: 'Status',
  status: 'Failure',
  reason: 'Conflict',
  code: 409,
  message: 'the object has been modified',
  details: { kind: 'configmaps', name: 'leaders' },
};

describe('when several roles lead in one ConfigMap', () => {
  let elections: Elections;
  let emulator: ApiEmulator;

  beforeEach(async () => {
    elections = new Elections();
    emulator = await ApiEmulator.start();
  });

  afterEach(async () => {
    await elections.end();
    await emulator.stop();
  });

  const config = () =>
    emulator.configMaps.get('default', 'leaders') as unknown as {
      data?: Record<string, string>;
      metadata: { resourceVersion: string };
    };

  async function leading() {
    const lock = configMapLockIn(new PodEnvironment({ POD_NAME: 'pod-a' }, '/nowhere'), {
      kubeConfig: kubeConfigTo(emulator.url, 'default'),
    });
    const application = await elections.create({
      imports: ROLES.map((role) => elections.module({ role, lock, identity: `pod-a_${role}` })),
    });
    const leaderships = ROLES.map((role) => application.leadership(role));
    const revoked: string[] = [];
    for (const { revoked$ } of leaderships) {
      revoked$.subscribe(({ reason }) => revoked.push(reason));
    }
    await application.init();
    await eventually(async () => {
      await elections.clock.advance(500);
      expect(leaderships.map((each) => each.isLeader())).toEqual([true, true]);
    });
    return { application, leaderships, revoked };
  }

  /** Until each role has written again. */
  async function renewed(): Promise<void> {
    const before = Number(config().metadata.resourceVersion);
    await eventually(async () => {
      await elections.clock.advance(500);
      expect(Number(config().metadata.resourceVersion)).toBeGreaterThanOrEqual(before + 4);
    });
  }

  it.each([true, false])(
    'keeps both through their renewals and conflicts, with the watch allowed: %s',
    async (isWatchAllowed) => {
      if (!isWatchAllowed) emulator.forbidden.add('watch');
      const { leaderships, revoked } = await leading();
      const terms = leaderships.map(({ term }) => term?.number);
      for (let conflicts = 0; conflicts < 3; conflicts += 1) {
        const fault = { kind: 'answer', status: 409, body: JSON.stringify(CONFLICT) } as const;
        emulator.fail({ fault, on: ({ verb }) => verb === 'update' });
        await renewed();
      }
      expect(leaderships.map((each) => [each.isLeader(), each.term?.number])).toEqual(
        terms.map((term) => [true, term]),
      );
      expect(revoked).toEqual([]);
      expect(config().data).toEqual({ 'leader.id.plans': 'pod-a', 'leader.id.mails': 'pod-a' });
    },
  );

  it("takes the names of its pod away at the end, where Spring's readers look for them", async () => {
    const { application } = await leading();
    const closing = application.close();
    await eventually(async () => {
      await elections.clock.advance(100);
      expect(config().data).toBeUndefined();
    });
    await closing;
  });
});
