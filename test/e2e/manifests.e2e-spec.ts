import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { loadAllYaml } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { PolicyRule } from '../../proof/control-plane/access-control.js';
import { ControlPlane, FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { resolveElectionOptions } from '../../lib/core/election-options.js';
import { CONTAINER_ANNOTATION } from '../../lib/locks/kubernetes/lease-object.js';
import { firstProcessStartMs } from '../../lib/members/container-death.js';
import { deploymentManifest, electionManifest } from '../../lib/schematics/manifests.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import {
  applied,
  apply,
  built,
  type Manifest,
  type Overlay,
  OVERLAYS,
} from './support/kustomize.js';
import { PodOnPaper } from './support/pods.js';
import { ProbeFleet } from './support/probe-fleet.js';
import { readmeRole } from '../../proof/fleet/readme-role.js';
import { electionFromEnvironment } from '../../sample-app/src/election-from-environment.js';

const ACCOUNT = 'plan-scheduler';
const LEASE = 'plan-scheduler';
const NODE = 'node-1';
const LIMIT_MS = 30_000;

let server: ControlPlane;
let fleet: ProbeFleet;
let pods: PodOnPaper[] = [];
let namespaces = 0;
let podsMade = 0;

beforeAll(async () => {
  server = await ControlPlane.start();
  // The controller of the EndpointSlices passes over pods on nodes that are not there.
  await server.request('POST', '/api/v1/nodes', { metadata: { name: NODE } });
  await server.startControllers('endpointslice-controller');
}, FIRST_START_LIMIT_MS);

afterEach(async () => {
  await fleet?.stop();
  for (const pod of pods) pod.dispose();
  pods = [];
});

afterAll(() => server?.stop());

async function namespaceFor(purpose: string): Promise<string> {
  const name = `${purpose}-${++namespaces}`;
  await server.createNamespace(name);
  return name;
}

function find(manifests: readonly Manifest[], kind: string): Manifest {
  return manifests.find((manifest) => manifest.kind === kind)!;
}

function leasePath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE}`;
}

/** A ready pod of the Deployment, as its controller and the kubelet would make it. */
async function podOf(manifests: readonly Manifest[], namespace: string): Promise<PodOnPaper> {
  const { metadata, spec } = find(manifests, 'Deployment')['spec'].template;
  const name = `${ACCOUNT}-${++podsMade}`;
  const pod = await PodOnPaper.create(server, namespace, {
    name,
    labels: metadata.labels,
    spec: { ...spec, nodeName: NODE },
  });
  pods.push(pod);
  const containerID = `containerd://${String(podsMade).padStart(64, '0')}`;
  const startedAt = `${new Date(firstProcessStartMs()!).toISOString().slice(0, 19)}Z`;
  const [{ name: container }] = spec.containers;
  const state = { running: { startedAt } };
  const ran = { name: container, image: 'i', imageID: 'i', ready: true, restartCount: 0 };
  const status = {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: 'True' }],
    podIPs: [{ ip: `10.1.0.${podsMade}` }],
    containerStatuses: [{ ...ran, containerID, state }],
  };
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
  const answer = await server.request('PATCH', path, { status });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  return pod;
}

/** Replicas with the tokens of pods of their own, with what the sample makes of the environment in the manifests. */
async function replicasIn(
  namespace: string,
  manifests: readonly Manifest[],
  count: number,
): Promise<ProbeFleet['replicas']> {
  const [{ env }] = find(manifests, 'Deployment')['spec'].template.spec.containers as [
    { env: { name: string; value?: string }[] },
  ];
  const environment = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  const { lock, ...inCluster } = electionFromEnvironment(environment);
  fleet = new ProbeFleet({
    role: ACCOUNT,
    leaseName: LEASE,
    isConfigMap: lock === 'config-map',
    inCluster,
  });
  for (let index = 0; index < count; index += 1) {
    const pod = await podOf(manifests, namespace);
    const { serviceAccountDirectory } = pod;
    fleet.add({ serviceAccountDirectory }, pod.env(server));
  }
  return fleet.replicas;
}

/** Waits for the authorizer, which follows Roles by watch. */
async function untilAllowed(
  namespace: string,
  rules: readonly PolicyRule[],
  account = ACCOUNT,
): Promise<void> {
  const { apiGroups, resources, resourceNames = [], verbs } = rules.at(-1)!;
  const review = {
    spec: {
      user: `system:serviceaccount:${namespace}:${account}`,
      resourceAttributes: {
        namespace,
        group: apiGroups[0],
        resource: resources[0],
        verb: verbs.at(-1),
        name: resourceNames[0],
      },
    },
  };
  for (;;) {
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const { body } = await server.request('POST', path, review);
    if ((body.status as { allowed: boolean }).allowed) return;
    await delay(20);
  }
}

const errorsOf = () =>
  fleet.replicas.flatMap(({ events }) => events).filter(({ event }) => event === 'error');

describe.each(OVERLAYS)('when the overlay %s is applied to a namespace', (overlay) => {
  it('creates every object, and its pods meet the restricted Pod Security Standard', async () => {
    const namespace = await namespaceFor(overlay);
    const enforce = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    const path = `/api/v1/namespaces/${namespace}`;
    await server.request('PATCH', path, { metadata: { labels: enforce } });
    const manifests = await applied(server, overlay, namespace);
    await podOf(manifests, namespace);

    const deployment = find(manifests, 'Deployment')['spec'];
    const [container] = deployment.template.spec.containers;
    expect(deployment.replicas).toBe(3);
    expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      expect(container[probe].httpGet).toEqual({ path: '/health', port: 'http' });
    }
    const { drainTimeoutMs, requestTimeoutMs } = resolveElectionOptions({ role: 'x' }, 'x');
    const neededS =
      container.lifecycle.preStop.sleep.seconds + (drainTimeoutMs + 2 * requestTimeoutMs) / 1_000;
    expect(deployment.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(neededS);
    const { selector } = find(manifests, 'Service')['spec'];
    expect(deployment.template.metadata.labels).toMatchObject(selector);
  }, 60_000);

  it('elects and hands over with exactly its Role, without an error', async () => {
    const namespace = await namespaceFor(overlay);
    const manifests = await applied(server, overlay, namespace);
    await untilAllowed(namespace, find(manifests, 'Role').rules!);
    await replicasIn(namespace, manifests, 2);
    await fleet.leader();
    await fleet.settled();
    const leader = await fleet.leader();
    const at = leader.signal('SIGTERM');
    expect((await fleet.grantedSince(at)).replica).not.toBe(leader);
    expect(errorsOf()).toEqual([]);
  }, 60_000);
});

describe('when the manifest of docs/getting-started.md is applied to a namespace', () => {
  it('elects and hands over with the Role of the README, in time for the end of its pods', async () => {
    const page = readFileSync('docs/getting-started.md', 'utf8');
    const [, text] = /```yaml\n([^]*?)```/.exec(page)!;
    const manifests = loadAllYaml(text!) as Manifest[];
    const namespace = await namespaceFor('page');
    await apply(server, manifests, namespace);
    expect(find(manifests, 'Role').rules).toEqual(readmeRole().rules);
    await untilAllowed(namespace, readmeRole().rules, 'plan-service');

    const { replicas, template } = find(manifests, 'Deployment')['spec'];
    await replicasIn(namespace, manifests, replicas);
    const leader = await fleet.leader();
    await fleet.settled();
    const at = leader.signal('SIGTERM');
    expect((await fleet.grantedSince(at)).replica).not.toBe(leader);
    expect(errorsOf()).toEqual([]);
    const { drainTimeoutMs, requestTimeoutMs } = resolveElectionOptions({ role: 'x' }, 'x');
    expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThan(
      (drainTimeoutMs + 2 * requestTimeoutMs) / 1_000,
    );
  }, 60_000);
});

describe('when the manifests that `nest add` writes are applied', () => {
  it('elects a leader with exactly their Role, in pods of their Deployment', async () => {
    const namespace = await namespaceFor('nest-add');
    const written = `${electionManifest(ACCOUNT)}---\n${deploymentManifest(ACCOUNT)}`;
    const manifests = loadAllYaml(written) as Manifest[];
    await apply(server, manifests, namespace);
    await untilAllowed(namespace, find(manifests, 'Role').rules!);
    await replicasIn(namespace, manifests, 1);
    await fleet.leader();
    expect(errorsOf()).toEqual([]);
  }, 60_000);
});

describe('the rights of the overlays', () => {
  it('are those of the README, with what each of them adds or leaves out', async () => {
    const rights = Object.fromEntries(
      await Promise.all(
        OVERLAYS.map(async (overlay) => [overlay, find(await built(overlay), 'Role').rules]),
      ),
    ) as Record<Overlay, PolicyRule[]>;
    const { rules } = readmeRole();
    const on = (resource: string, ...verbs: string[]) => ({
      apiGroups: [''],
      resources: [resource],
      verbs,
    });
    expect(rights).toEqual({
      plain: rules,
      members: [...rules, on('pods', 'get', 'list', 'watch')],
      'pod-label': [...rules, on('pods', 'patch')],
      events: [...rules, on('events', 'create', 'patch')],
      'config-map': [
        { ...on('configmaps', 'get', 'update', 'watch'), resourceNames: ['leaders'] },
        on('configmaps', 'create'),
      ],
      'locked-down': [rules[0]],
    });
  }, 60_000);

  const named = (resource: string, name: string, verb: string): string =>
    `    resources: ["${resource}"]\n    resourceNames: ["${name}"]\n    verbs: ["${verb}"]`;
  const unnamed = (resource: string, ...verbs: string[]): string =>
    `  - apiGroups: [""]\n    resources: ["${resource}"]\n    verbs: ["${verbs.join('", "')}"]`;
  const ofMembers = unnamed('pods', 'get', 'list', 'watch');

  it.each<[Overlay, string, string, string, boolean]>([
    ['locked-down', 'leases', 'get', named('leases', LEASE, 'get'), false],
    ['locked-down', 'leases', 'update', named('leases', LEASE, 'update'), false],
    ['locked-down', 'leases', 'watch', named('leases', LEASE, 'watch'), true],
    ['members', 'pods', 'get', ofMembers, true],
    ['members', 'pods', 'list', ofMembers, true],
    ['members', 'pods', 'watch', ofMembers, true],
    ['pod-label', 'pods', 'patch', unnamed('pods', 'patch'), true],
    ['config-map', 'configmaps', 'get', named('configmaps', 'leaders', 'get'), false],
    ['config-map', 'configmaps', 'create', unnamed('configmaps', 'create'), false],
    ['config-map', 'configmaps', 'update', named('configmaps', 'leaders', 'update'), false],
    ['config-map', 'configmaps', 'watch', named('configmaps', 'leaders', 'watch'), true],
  ])(
    'of %s without %s %s make the replica name the rule to add',
    async (overlay, resource, verb, rule, leadsWithout) => {
      const namespace = await namespaceFor(overlay);
      const manifests = await applied(server, overlay, namespace);
      const role = find(manifests, 'Role');
      const rules = role
        .rules!.map((each) =>
          each.resources.includes(resource)
            ? { ...each, verbs: each.verbs.filter((allowed) => allowed !== verb) }
            : each,
        )
        .filter(({ verbs }) => verbs.length > 0);
      const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles/${role.metadata.name}`;
      await server.request('PUT', path, { ...role, rules });
      await untilAllowed(namespace, rules);
      const [replica] = await replicasIn(namespace, manifests, 1);
      const { message } = await replica!.event('error');
      expect(message).toMatch(new RegExp(`may not ${verb} ${resource}`));
      expect(message).toContain(rule);
      expect(message).toContain('The service account plan-scheduler of namespace');
      if (leadsWithout) await fleet.leader(LIMIT_MS);
    },
    60_000,
  );
});

describe('when the overlay members is applied', () => {
  it('knows the other replicas and names its container in the Lease, with exactly these rights', async () => {
    const namespace = await namespaceFor('members');
    const manifests = await applied(server, 'members', namespace);
    await untilAllowed(namespace, find(manifests, 'Role').rules!);
    await replicasIn(namespace, manifests, 3);
    const all = pods.map(({ name }) => name).toSorted();
    const known = (replica: ProbeFleet['replicas'][number]) =>
      replica.events.findLast(({ event }) => event === 'members')?.members?.toSorted();
    await eventually(
      () => expect(fleet.replicas.map(known)).toEqual(fleet.replicas.map(() => all)),
      LIMIT_MS,
    );
    const leader = await fleet.leader();
    const { uid } = pods[fleet.replicas.indexOf(leader)]!;
    await eventually(async () => {
      const { body } = await server.request('GET', leasePath(namespace));
      const annotations = body.metadata?.['annotations'] as Record<string, string> | undefined;
      expect(annotations?.[CONTAINER_ANNOTATION]).toContain(`/${uid}/plan-scheduler/containerd://`);
    }, LIMIT_MS);
    expect(errorsOf()).toEqual([]);
  }, 90_000);
});

describe('when the overlay events is applied', () => {
  it('shows on the Lease who leads, with exactly these rights', async () => {
    const namespace = await namespaceFor('events');
    const manifests = await applied(server, 'events', namespace);
    await untilAllowed(namespace, find(manifests, 'Role').rules!);
    await replicasIn(namespace, manifests, 1);
    await fleet.leader();
    const { body: lease } = await server.request('GET', leasePath(namespace));
    const about = `involvedObject.uid=${String(lease.metadata?.['uid'])}`;
    const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=${encodeURIComponent(about)}`;
    await eventually(async () => {
      const { body } = await server.request<{ items: { message: string }[] }>('GET', path);
      const became = `${String(lease.spec?.['holderIdentity'])} became leader (term 1)`;
      expect(body.items.map(({ message }) => message)).toEqual([became]);
    }, LIMIT_MS);
  }, 60_000);
});

describe('when the overlay config-map is applied', () => {
  it('keeps the name of the leader’s pod where the readers of Spring look for it', async () => {
    const namespace = await namespaceFor('config-map');
    const manifests = await applied(server, 'config-map', namespace);
    await untilAllowed(namespace, find(manifests, 'Role').rules!);
    await replicasIn(namespace, manifests, 2);
    const named = async (): Promise<unknown> => {
      const path = `/api/v1/namespaces/${namespace}/configmaps/leaders`;
      const { body } = await server.request('GET', path);
      return body['data'];
    };
    const leader = await fleet.leader();
    const podNameOf = (replica: typeof leader) => pods[fleet.replicas.indexOf(replica)]!.name;
    expect(await named()).toEqual({ 'leader.id.plan-scheduler': podNameOf(leader) });
    await fleet.settled();
    const { replica: next } = await fleet.grantedSince(leader.signal('SIGTERM'));
    expect(next).not.toBe(leader);
    expect(await named()).toEqual({ 'leader.id.plan-scheduler': podNameOf(next) });
    expect(errorsOf()).toEqual([]);
  }, 60_000);
});

interface EndpointSlice {
  readonly endpoints?: readonly {
    readonly conditions: { readonly ready?: boolean };
    readonly targetRef: { readonly name: string };
  }[];
}

describe('when the leader’s pod is marked', () => {
  /** The pods to which the Service of the leader leads, by its EndpointSlices. */
  async function selected(namespace: string): Promise<string[]> {
    const query = encodeURIComponent(`kubernetes.io/service-name=${ACCOUNT}-leader`);
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${query}`;
    const { body } = await server.request<{ items: EndpointSlice[] }>('GET', path);
    return body.items
      .flatMap(({ endpoints }) => endpoints ?? [])
      .filter(({ conditions }) => conditions.ready)
      .map(({ targetRef }) => targetRef.name);
  }

  async function costs(namespace: string): Promise<Record<string, string>> {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const { body } = await server.request<{ items: Manifest[] }>('GET', path);
    const costly = body.items.flatMap(({ metadata }) => {
      const { annotations } = metadata as { annotations?: Record<string, string> };
      const cost = annotations?.['controller.kubernetes.io/pod-deletion-cost'];
      return cost === undefined ? [] : [[metadata.name, cost]];
    });
    return Object.fromEntries(costly) as Record<string, string>;
  }

  const podNameOf = (replica: ProbeFleet['replicas'][number]): string =>
    pods[fleet.replicas.indexOf(replica)]!.name;

  it.each([
    ['hands over', 'SIGTERM'],
    ['is killed, and its mark is left', 'SIGKILL'],
  ] as const)(
    'the Service follows a leader that %s',
    async (_, signal) => {
      const namespace = await namespaceFor('pod-label');
      const manifests = await applied(server, 'pod-label', namespace);
      await untilAllowed(namespace, find(manifests, 'Role').rules!);
      await replicasIn(namespace, manifests, 2);
      const leader = await fleet.leader();
      await fleet.settled();
      const marked = (name: string) =>
        eventually(async () => {
          const now = { names: await selected(namespace), costs: await costs(namespace) };
          expect(now).toEqual({ names: [name], costs: { [name]: '1000' } });
        }, LIMIT_MS);
      await marked(podNameOf(leader));
      const at = leader.signal(signal);
      const { replica } = await fleet.grantedSince(at);
      expect(replica).not.toBe(leader);
      await marked(podNameOf(replica));
      expect(errorsOf()).toEqual([]);
    },
    90_000,
  );
});

describe('when the Lease is locked down', () => {
  const HOLDER = /^plan-scheduler-\d+_/;
  let namespace: string;
  let manifests: Manifest[];
  let editor: string;

  /** Another service account, which may do anything with Leases. */
  async function createEditor(): Promise<void> {
    await server.createServiceAccount(namespace, 'editor');
    const all = { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['*'] };
    await server.applyRole(namespace, 'editor', [all]);
    editor = await server.createToken(namespace, 'editor');
  }

  beforeAll(async () => {
    namespace = await namespaceFor('locked-down');
    manifests = await applied(server, 'locked-down', namespace);
    await untilAllowed(namespace, find(manifests, 'Role').rules!);
    await createEditor();
    // Policies are followed by watch as well.
    const isInForce = async () => {
      const edit = { spec: { holderIdentity: 'editor' } };
      const path = `${leasePath(namespace)}?dryRun=All`;
      return (await server.request('PATCH', path, edit, { token: editor })).status === 403;
    };
    while (!(await isInForce())) await delay(50);
  }, 60_000);

  const holder = async (): Promise<string> => {
    const { body } = await server.request('GET', leasePath(namespace));
    return String(body.spec?.['holderIdentity']);
  };

  it('accepts none of 50 foreign edits and deletes, and the election runs on unharmed', async () => {
    await replicasIn(namespace, manifests, 2);
    const leader = await fleet.leader();
    await fleet.settled();
    const identity = await holder();
    expect(identity).toMatch(HOLDER);
    const standby = pods[fleet.replicas.indexOf(fleet.standbys()[0]!)]!;
    const foreignPod = await PodOnPaper.create(server, namespace, {
      name: 'foreign',
      spec: { serviceAccountName: 'editor', containers: [{ name: 'a', image: 'a' }] },
    });
    pods.push(foreignPod);
    const unbound = await server.createToken(namespace, ACCOUNT);

    const edits: object[] = [
      { holderIdentity: 'editor' },
      { holderIdentity: `${foreignPod.name}_1` },
      { holderIdentity: '' },
      { holderIdentity: null },
      { renewTime: '2030-01-02T03:04:05.000006Z' },
      { leaseDurationSeconds: 1 },
      { leaseTransitions: 9 },
      { strategy: 'OldestEmulationVersion', preferredHolder: 'editor' },
    ];
    type Attempt = { token: string; method: string; body?: object; collection?: boolean };
    const attempts: Attempt[] = [editor, foreignPod.token].flatMap((token) => [
      ...edits.map((spec) => ({ token, method: 'PATCH', body: { spec } })),
      { token, method: 'PATCH', body: { metadata: { annotations: { a: 'b' } } } },
      { token, method: 'DELETE' },
      { token, method: 'DELETE', collection: true },
      { token, method: 'PUT' },
    ]);
    // Pods of the fleet may update: in their own name alone. A token without a pod may not at all.
    for (const token of [standby.token, unbound]) {
      for (const spec of edits) attempts.push({ token, method: 'PUT', body: spec });
    }
    while (attempts.length < 50) attempts.push({ token: editor, method: 'DELETE' });

    const statuses: number[] = [];
    for (const { token, method, body, collection } of attempts) {
      const path = leasePath(namespace);
      const url = collection ? path.replace(/\/[^/]+$/, '') : path;
      for (;;) {
        const { body: lease } = await server.request('GET', path);
        const spec = { ...lease.spec, ...(body ?? { holderIdentity: 'x' }) };
        const sent = method === 'PUT' ? { ...lease, spec } : body;
        const { status } = await server.request(method, url, sent, { token });
        // The leader has renewed since the GET: that is no refusal of the policy.
        if (status === 409) continue;
        statuses.push(status);
        break;
      }
    }
    expect(statuses).toHaveLength(50);
    expect(statuses.filter((status) => status !== 403)).toEqual([]);

    expect(await holder()).toBe(identity);
    expect(leader.leads).toBe(true);
    expect(errorsOf()).toEqual([]);
    expect(leader.events.filter(({ event }) => event === 'revoked')).toEqual([]);
    const at = leader.signal('SIGTERM');
    expect((await fleet.grantedSince(at)).replica).not.toBe(leader);
    expect(fleet.overlaps().overlapping).toBe(0);
  }, 120_000);

  it('says what to apply while the Lease is missing, sends no POST, and leads once it is there', async () => {
    const { status } = await server.request('DELETE', leasePath(namespace));
    expect(status).toBe(200);
    const [replica] = await replicasIn(namespace, manifests, 1);
    const { message } = await replica!.event('error');
    expect(message).toContain(`Lease ${namespace}/${LEASE} does not exist, and createLease: false`);
    await delay(3_000);
    await applied(server, 'locked-down', namespace);
    await replica!.event('granted', { withinMs: 20_000 });
    const creates = (await server.auditLog()).filter(
      ({ user, verb, resource }) =>
        user.startsWith(`system:serviceaccount:${namespace}:${ACCOUNT}`) &&
        verb === 'create' &&
        resource === 'leases',
    );
    expect(creates).toEqual([]);
  }, 60_000);

  it('explains to a replica with an identity of its own why it cannot hold the Lease', async () => {
    await replicasIn(namespace, manifests, 0);
    const pod = await podOf(manifests, namespace);
    const { serviceAccountDirectory } = pod;
    const options = { identity: 'my-own-name' };
    const replica = fleet.add({ serviceAccountDirectory, options }, pod.env(server));
    const { message } = await replica.event('error', { withinMs: 40_000 });
    expect(message).toContain(
      `a pod writes only itself as holder: holderIdentity must begin with '${pod.name}_'`,
    );
    expect(message).toContain('not from missing rights');
  }, 60_000);

  it('lets the Lease go with its namespace', async () => {
    await server.request('DELETE', `/api/v1/namespaces/${namespace}`);
    const remove = () =>
      server.request('DELETE', leasePath(namespace), undefined, { token: editor });
    const deadline = performance.now() + 10_000;
    let { status } = await remove();
    // The policy's view of the namespace follows by watch.
    while (status === 403 && performance.now() < deadline) ({ status } = await remove());
    expect(status).toBe(200);
  }, 60_000);
});
