import type { INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  getLeadershipToken,
  LeaderElectionModule,
  type LeadershipService,
  type MembersOption,
} from '../../lib/index.js';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { leaseLockIn } from '../../lib/locks/kubernetes/lease.lock.js';
import type { ApiObject } from '../../proof/control-plane/api-client.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { ElectionCluster, NAMESPACE, SERVICE_ACCOUNT } from '../../proof/fleet/election-cluster.js';

const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const LIMIT_MS = 30_000;
const LEASES = {
  apiGroups: ['coordination.k8s.io'],
  resources: ['leases'],
  verbs: ['get', 'create', 'update', 'watch'],
};
const KNOWS_PODS = { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] };

let cluster: ElectionCluster;
let applications: INestApplicationContext[];
let app: string;
let runs = 0;

beforeAll(async () => {
  cluster = await ElectionCluster.start();
}, FIRST_START_LIMIT_MS);

beforeEach(async () => {
  applications = [];
  app = `app-${++runs}`;
  await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, [LEASES, KNOWS_PODS]);
});

afterEach(async () => {
  await Promise.all(applications.map((application) => application.close()));
});

afterAll(() => cluster?.stop());

/** A pod of the test's deployment. It runs as soon as a test says so. */
async function createPod(name: string, labels: object = {}): Promise<ApiObject> {
  const { status, body } = await cluster.server.request('POST', PODS, {
    metadata: { name: `${app}-${name}`, labels: { app, ...labels } },
    spec: { nodeName: 'node-1', containers: [{ name: 'c', image: 'i' }] },
  });
  if (status !== 201) throw new Error(`pod ${name}: ${status} ${JSON.stringify(body)}`);
  return body;
}

function setReady(name: string, status: 'True' | 'False') {
  const conditions = [{ type: 'Ready', status }];
  const path = `${PODS}/${app}-${name}/status`;
  return cluster.server.request('PATCH', path, { status: { phase: 'Running', conditions } });
}

const deletePod = (name: string, gracePeriodSeconds?: number) =>
  cluster.server.request('DELETE', `${PODS}/${app}-${name}`, { gracePeriodSeconds });

async function startIn(
  pod: string,
  { roles = ['plans'], members = true }: { roles?: string[]; members?: MembersOption } = {},
): Promise<LeadershipService & { readonly problems: string[] }> {
  const lock = leaseLockIn(new PodEnvironment({ POD_NAME: `${app}-${pod}` }, '/nowhere'), {
    kubeConfigFile: cluster.kubeConfigFile,
  });
  const application = await NestFactory.createApplicationContext(
    {
      module: class Replica {},
      imports: roles.map((role) =>
        LeaderElectionModule.forRoot({
          role,
          leaseName: `${app}-${role}`,
          lock,
          members,
          identity: `${app}-${pod}_${role}`,
        }),
      ),
    },
    { logger: false },
  );
  applications.push(application);
  const token = getLeadershipToken(roles[0]) as Type<LeadershipService>;
  const leadership = application.get<LeadershipService>(token);
  const problems: string[] = [];
  leadership.errors$.subscribe(({ message }) => problems.push(message));
  return Object.assign(leadership, { problems });
}

const namesOf = ({ members }: LeadershipService) =>
  members?.map(({ name }) => name.slice(app.length + 1)).toSorted();

const member = ({ members }: LeadershipService, name: string) =>
  members?.find((each) => each.name === `${app}-${name}`);

async function requestsForPods() {
  const all = await cluster.server.auditLog();
  return all.filter(({ resource, user }) => resource === 'pods' && user.endsWith(SERVICE_ACCOUNT));
}

describe('when pods come and go', () => {
  it(
    'shows which there are, whether they are ready and terminating, and which of them leads',
    async () => {
      await createPod('a', { 'pod-template-hash': 'one' });
      await createPod('b', { 'pod-template-hash': 'two' });
      const leadership = await startIn('a');
      await eventually(() => expect(namesOf(leadership)).toEqual(['a', 'b']), LIMIT_MS);
      expect(member(leadership, 'b')).toMatchObject({
        isReady: false,
        isTerminating: false,
        isSelf: false,
        templateHash: 'two',
        node: 'node-1',
      });
      await eventually(
        () => expect(member(leadership, 'a')).toMatchObject({ isSelf: true, isLeader: true }),
        LIMIT_MS,
      );
      for (const ready of ['True', 'False'] as const) {
        await setReady('b', ready);
        const isReady = ready === 'True';
        await eventually(
          () => expect(member(leadership, 'b')).toMatchObject({ isReady }),
          LIMIT_MS,
        );
      }
      await createPod('c');
      await eventually(() => expect(namesOf(leadership)).toEqual(['a', 'b', 'c']), LIMIT_MS);
      await deletePod('b');
      await eventually(
        () => expect(member(leadership, 'b')).toMatchObject({ isTerminating: true }),
        LIMIT_MS,
      );
      await deletePod('b', 0);
      await eventually(() => expect(namesOf(leadership)).toEqual(['a', 'c']), LIMIT_MS);
      expect(leadership.problems).toEqual([]);
    },
    2 * LIMIT_MS,
  );
});

describe('when an application has several roles', () => {
  it(
    'asks for its pod once, lists the pods once in pages, and has one watch',
    async () => {
      const pods = Array.from({ length: 120 }, (_, index) => `p${index}`);
      await Promise.all(pods.map((name) => createPod(name)));
      const before = (await requestsForPods()).length;
      const leadership = await startIn('p0', { roles: ['plans', 'reports', 'mails'] });
      await eventually(() => expect(namesOf(leadership)).toHaveLength(120), LIMIT_MS);
      await eventually(async () => {
        const verbs = (await requestsForPods()).slice(before).map(({ verb }) => verb);
        expect(verbs).toEqual(['get', 'list', 'list', 'watch']);
      }, LIMIT_MS);
    },
    3 * LIMIT_MS,
  );
});

describe('when a right is missing', () => {
  it.each(['get', 'list', 'watch'])(
    'names the rule (%s), leads without it, and knows the members once it is granted',
    async (verb) => {
      const verbs = KNOWS_PODS.verbs.filter((each) => each !== verb);
      await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, [
        LEASES,
        { ...KNOWS_PODS, verbs },
      ]);
      await createPod('a');
      const leadership = await startIn('a');
      await eventually(() => expect(leadership.problems).toHaveLength(1), LIMIT_MS);
      expect(leadership.problems[0]).toContain(`may not ${verb} pods`);
      expect(leadership.problems[0]).toContain(
        'resources: ["pods"]\n    verbs: ["get", "list", "watch"]',
      );
      await eventually(() => expect(leadership.isLeader()).toBe(true), LIMIT_MS);
      expect(leadership.members).toBeUndefined();
      await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, [LEASES, KNOWS_PODS]);
      await eventually(() => expect(namesOf(leadership)).toEqual(['a']), 2 * LIMIT_MS);
      expect(leadership.isLeader()).toBe(true);
    },
    4 * LIMIT_MS,
  );
});

describe('when the selector is wrong', () => {
  it.each([
    ['matches nothing', 'app=nobody', /app=nobody matches 0 pods, and this pod \(app-\d+-a\)/],
    ['does not match this pod', 'tier=other', /tier=other matches 1 pod, and this pod/],
    ['is no selector', 'app in (', /answered 400: unable to parse requirement/],
  ])('because it %s, says so and leads without members', async (_, labelSelector, message) => {
    await createPod('a');
    await createPod('b', { tier: 'other' });
    const leadership = await startIn('a', { members: { labelSelector } });
    await eventually(() => expect(leadership.problems[0]).toMatch(message), LIMIT_MS);
    await eventually(() => expect(leadership.isLeader()).toBe(true), LIMIT_MS);
    expect(leadership.members).toBeUndefined();
    await deletePod('b', 0);
  });
});

describe('when there is no pod of that name', () => {
  it('says which name was tried, and knows the members once it is there', async () => {
    const leadership = await startIn('late');
    await eventually(
      () =>
        expect(leadership.problems[0]).toMatch(
          /answered 404: pods "app-\d+-late" not found\. This process takes app-\d+-late for the name of its pod/,
        ),
      LIMIT_MS,
    );
    await createPod('late');
    await eventually(() => expect(namesOf(leadership)).toEqual(['late']), LIMIT_MS);
  }, 60_000);
});

describe('when the API server is restarted', () => {
  it(
    'misses nothing, and keeps what it knew while the new one refuses all',
    async () => {
      await createPod('a');
      await createPod('b');
      const leadership = await startIn('a');
      await eventually(() => expect(namesOf(leadership)).toEqual(['a', 'b']), LIMIT_MS);
      await cluster.server.killApiServer('SIGKILL');
      await cluster.server.startApiServer();
      await deletePod('b', 0);
      await createPod('c');
      await eventually(() => expect(namesOf(leadership)).toEqual(['a', 'c']), 2 * LIMIT_MS);
      expect(leadership.problems.filter((each) => each.includes('members'))).toEqual([]);
    },
    4 * LIMIT_MS,
  );
});

describe('when etcd has forgotten the version that the watch continues from', () => {
  it(
    'is told 410, lists the pods again, and misses nothing',
    async () => {
      await createPod('a');
      await createPod('b');
      const leadership = await startIn('a');
      await eventually(() => expect(namesOf(leadership)).toEqual(['a', 'b']), LIMIT_MS);
      const { body } = await cluster.server.request('GET', PODS);
      const known = body.metadata!.resourceVersion!;
      const lists = async () =>
        (await requestsForPods()).filter(({ verb, requestURI }) => {
          return verb === 'list' && requestURI.includes(app);
        }).length;
      expect(await lists()).toBe(1);
      await deletePod('b', 0);
      await eventually(() => expect(namesOf(leadership)).toEqual(['a']), LIMIT_MS);
      // The process is deaf, and so has no version that is any newer.
      await cluster.server.killApiServer('SIGKILL');
      await cluster.server.compactEtcd();
      await cluster.server.startApiServer();
      await createPod('c');
      const watch = `${PODS}?watch=1&timeoutSeconds=1&resourceVersion=${known}`;
      const events = await cluster.server.request<unknown>('GET', watch);
      expect(JSON.stringify(events.body)).toContain('"code":410');
      await eventually(() => expect(namesOf(leadership)).toEqual(['a', 'c']), 2 * LIMIT_MS);
      await eventually(async () => expect(await lists()).toBe(2), LIMIT_MS);
      expect(leadership.problems.filter((each) => each.includes('members'))).toEqual([]);
    },
    4 * LIMIT_MS,
  );
});
