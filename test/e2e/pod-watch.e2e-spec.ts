import type { INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  getLeadershipToken,
  LeaderElectionModule,
  type LeadershipService,
} from '../../lib/index.js';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { CONTAINER_ANNOTATION } from '../../lib/locks/kubernetes/lease-object.js';
import { leaseLockIn } from '../../lib/locks/kubernetes/lease.lock.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster, NAMESPACE, SERVICE_ACCOUNT } from '../../proof/fleet/election-cluster.js';
import { RULES_WITH_PODS } from '../../proof/fleet/readme-role.js';
import { WrittenPod } from '../../proof/fleet/written-pod.js';
import { Figures } from './support/figures.js';
import { PodOnPaper } from './support/pods.js';

const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const LIMIT_MS = 30_000;
const ROLE = 'plans';
let cluster: ElectionCluster;
let applications: INestApplicationContext[];
let app: string;
let runs = 0;
const figures = new Figures();

beforeAll(async () => {
  cluster = await ElectionCluster.start();
  await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, RULES_WITH_PODS);
}, FIRST_START_LIMIT_MS);

beforeEach(() => {
  applications = [];
  app = `dies-${++runs}`;
});

afterEach(async () => {
  await Promise.all(applications.map((application) => application.close()));
});

afterAll(async () => {
  figures.print();
  await cluster?.stop();
});

async function createRunningPod(name: string): Promise<WrittenPod> {
  const pod = await WrittenPod.create(cluster.server, NAMESPACE, {
    name: `${app}-${name}`,
    labels: { app },
  });
  await pod.begin();
  return pod;
}

async function startIn({ name, uid }: WrittenPod, leaseDurationMs: number) {
  const environment = new PodEnvironment({ POD_NAME: name, POD_UID: uid }, '/nowhere');
  const application = await NestFactory.createApplicationContext(
    {
      module: class Replica {},
      imports: [
        LeaderElectionModule.forRoot({
          role: ROLE,
          leaseName: app,
          lock: leaseLockIn(environment, { kubeConfigFile: cluster.kubeConfigFile }),
          identity: `${name}_${ROLE}`,
          members: true,
          podWatch: true,
          leaseDurationMs,
        }),
      ],
    },
    { logger: false },
  );
  applications.push(application);
  return application.get<LeadershipService>(getLeadershipToken(ROLE) as Type<LeadershipService>);
}

async function namedContainer(): Promise<string> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${app}`;
  const { body } = await cluster.server.request('GET', path);
  const annotations = body.metadata?.['annotations'] as Record<string, string> | undefined;
  return annotations?.[CONTAINER_ANNOTATION] ?? '';
}

function granted({ granted$ }: LeadershipService): Promise<number> {
  return new Promise((resolve) => {
    const subscription = granted$.subscribe(() => {
      resolve(performance.now());
      queueMicrotask(() => subscription.unsubscribe());
    });
  });
}

describe('when the status of a pod says that the container of the leader has ended', () => {
  it.each([15_000, 60_000])(
    'another replica leads long before a lease of %d ms has run out',
    async (leaseDurationMs) => {
      const pods = [await createRunningPod('a'), await createRunningPod('b')] as const;
      const services = [
        await startIn(pods[0], leaseDurationMs),
        await startIn(pods[1], leaseDurationMs),
      ] as const;
      const measured: number[] = [];
      for (let round = 0; round < 9; round++) {
        await eventually(
          () => expect(services.some((each) => each.isLeader())).toBe(true),
          LIMIT_MS,
        );
        const leading = services[0].isLeader() ? 0 : 1;
        const pod = pods[leading];
        await eventually(async () => expect(await namedContainer()).toContain(pod.marks), LIMIT_MS);
        const next = granted(services[1 - leading]!);
        const start = performance.now();
        const lastState = await pod.end();
        measured.push((await next) - start);
        await pod.begin(lastState);
      }
      figures.add(
        `takeover after the end of the container, lease of ${leaseDurationMs} ms`,
        measured,
      );
      // The last renewal was at most a retry period before.
      expect(Math.max(...measured)).toBeLessThan(leaseDurationMs / 2);
    },
    6 * LIMIT_MS,
  );
});

describe('when the status of a pod says something else', () => {
  it(
    'waits for the lease to run out, though the kubelet has lost track of the container of the leader',
    async () => {
      const pods = [await createRunningPod('a'), await createRunningPod('b')] as const;
      const leader = await startIn(pods[0], 15_000);
      await eventually(() => expect(leader.isLeader()).toBe(true), LIMIT_MS);
      const other = await startIn(pods[1], 15_000);
      await eventually(
        async () => expect(await namedContainer()).toContain(pods[0].marks),
        LIMIT_MS,
      );
      await eventually(() => expect(other.members).toHaveLength(2), LIMIT_MS);
      await pods[0].end('ContainerStatusUnknown');
      await cluster.server.request('PATCH', `${PODS}/${pods[0].name}/status`, {
        status: { phase: 'Failed' },
      });
      // It hears of the phase, and so of what came before it.
      await eventually(() => expect(other.members).toHaveLength(1), LIMIT_MS);
      expect([leader.isLeader(), other.isLeader()]).toEqual([true, false]);
    },
    4 * LIMIT_MS,
  );
});

describe('when a pod has a token of a real API server', () => {
  it('knows its uid by it, whatever the environment says', async () => {
    const spec = {
      serviceAccountName: SERVICE_ACCOUNT,
      containers: [{ name: 'app', image: 'i' }],
    };
    const pod = await PodOnPaper.create(cluster.server, NAMESPACE, { name: app, spec });
    try {
      const { body } = await cluster.server.request('GET', `${PODS}/${app}`);
      const environment = new PodEnvironment({ POD_UID: 'other' }, pod.serviceAccountDirectory);
      expect(environment.uid()).toBe(body.metadata?.uid);
    } finally {
      pod.dispose();
    }
  });
});
