import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { PolicyRule } from '../../proof/control-plane/access-control.js';
import { ControlPlane, FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { resolveElectionOptions } from '../../lib/core/election-options.js';
import { applied, built, type Manifest, type Overlay, OVERLAYS } from './support/kustomize.js';
import { PodOnPaper } from './support/pods.js';
import { ProbeFleet } from './support/probe-fleet.js';
import { readmeRole } from '../../proof/fleet/readme-role.js';

const ACCOUNT = 'plan-scheduler';
const LEASE = 'plan-scheduler';

let server: ControlPlane;
let fleet: ProbeFleet;
let pods: PodOnPaper[] = [];
let namespaces = 0;
let podsMade = 0;

beforeAll(async () => {
  server = await ControlPlane.start();
}, FIRST_START_LIMIT_MS);

afterEach(async () => {
  await fleet?.stop();
  for (const pod of pods) pod.dispose();
  pods = [];
});

afterAll(() => server?.stop());

async function namespaceFor(overlay: Overlay): Promise<string> {
  const name = `${overlay}-${++namespaces}`;
  await server.createNamespace(name);
  return name;
}

function find(manifests: readonly Manifest[], kind: string): Manifest {
  return manifests.find((manifest) => manifest.kind === kind)!;
}

function leasePath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE}`;
}

/** A pod of the Deployment, as its controller would create it. */
async function podOf(manifests: readonly Manifest[], namespace: string): Promise<PodOnPaper> {
  const { metadata, spec } = find(manifests, 'Deployment')['spec'].template;
  const name = `${ACCOUNT}-${++podsMade}`;
  const pod = await PodOnPaper.create(server, namespace, { name, labels: metadata.labels, spec });
  pods.push(pod);
  return pod;
}

/** Replicas with the tokens of pods of their own, on the lease of the manifests. */
async function replicasIn(
  namespace: string,
  manifests: readonly Manifest[],
  count: number,
): Promise<ProbeFleet['replicas']> {
  const env = find(manifests, 'Deployment')['spec'].template.spec.containers[0].env as {
    name: string;
    value: string;
  }[];
  const isOn = (name: string) => env.find((each) => each.name === name)?.value;
  fleet = new ProbeFleet({
    role: ACCOUNT,
    leaseName: LEASE,
    ...(isOn('POD_LABEL') === 'true' && { podLabel: true }),
    ...(isOn('CREATE_LEASE') === 'false' && { createLease: false }),
  });
  for (let index = 0; index < count; index += 1) {
    const pod = await podOf(manifests, namespace);
    const { serviceAccountDirectory } = pod;
    fleet.add({ serviceAccountDirectory }, pod.env(server));
  }
  return fleet.replicas;
}

/** Waits for the authorizer, which follows Roles by watch. */
async function untilAllowed(namespace: string, rules: readonly PolicyRule[]): Promise<void> {
  const { apiGroups, resources, resourceNames = [], verbs } = rules.at(-1)!;
  const review = {
    spec: {
      user: `system:serviceaccount:${namespace}:${ACCOUNT}`,
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

describe('the rights of the overlays', () => {
  it('are those of the README, with what each of them adds or leaves out', async () => {
    const rights = Object.fromEntries(
      await Promise.all(
        OVERLAYS.map(async (overlay) => [overlay, find(await built(overlay), 'Role').rules]),
      ),
    ) as Record<Overlay, PolicyRule[]>;
    const { rules } = readmeRole();
    const pods = (...verbs: string[]) => ({ apiGroups: [''], resources: ['pods'], verbs });
    expect(rights).toEqual({
      plain: rules,
      members: [...rules, pods('get', 'list', 'watch')],
      'pod-label': [...rules, pods('patch')],
      'locked-down': [rules[0]],
    });
  }, 60_000);

  it.each(['get', 'update', 'watch'])(
    'of locked-down without %s make the replica name the rule to add',
    async (verb) => {
      const namespace = await namespaceFor('locked-down');
      const manifests = await applied(server, 'locked-down', namespace);
      const role = find(manifests, 'Role');
      const [rule] = role.rules!;
      const rules = [{ ...rule, verbs: rule!.verbs.filter((each) => each !== verb) }];
      const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles/${role.metadata.name}`;
      await server.request('PUT', path, { ...role, rules });
      await untilAllowed(namespace, rules as PolicyRule[]);
      const [replica] = await replicasIn(namespace, manifests, 1);
      const { message } = await replica!.event('error');
      expect(message).toContain(
        `    resources: ["leases"]\n    resourceNames: ["${LEASE}"]\n    verbs: ["${verb}"]`,
      );
      expect(message).toContain('The service account plan-scheduler of namespace');
    },
    60_000,
  );
});

describe('when the leader’s pod is marked', () => {
  /** The pods that the Service of the leader selects, as its controller would: by the whole selector. */
  async function selected(namespace: string, manifests: readonly Manifest[]): Promise<string[]> {
    const service = manifests.find(({ metadata }) => metadata.name === `${ACCOUNT}-leader`)!;
    const selector = Object.entries(service['spec'].selector as object);
    const query = encodeURIComponent(selector.map(([name, value]) => `${name}=${value}`).join(','));
    const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${query}`;
    const { body } = await server.request<{ items: Manifest[] }>('GET', path);
    return body.items.map(({ metadata }) => metadata.name);
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
      const marked = async (name: string): Promise<void> => {
        const deadline = performance.now() + 10_000;
        const expected = { names: [name], costs: { [name]: '1000' } };
        const now = async () => ({
          names: await selected(namespace, manifests),
          costs: await costs(namespace),
        });
        while (performance.now() < deadline) {
          if (JSON.stringify(await now()) === JSON.stringify(expected)) return;
          await delay(50);
        }
        expect(await now()).toEqual(expected);
      };
      await marked(podNameOf(leader));
      const at = leader.signal(signal);
      const { replica } = await fleet.grantedSince(at);
      expect(replica).not.toBe(leader);
      await marked(podNameOf(replica));
      expect(errorsOf()).toEqual([]);
    },
    90_000,
  );

  it('without the right to patch pods, leads all the same and names the rule to add', async () => {
    const namespace = await namespaceFor('pod-label');
    const manifests = await applied(server, 'pod-label', namespace);
    const role = find(manifests, 'Role');
    const rules = role.rules!.filter(({ resources }) => !resources.includes('pods'));
    const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles/${role.metadata.name}`;
    await server.request('PUT', path, { ...role, rules });
    await untilAllowed(namespace, rules);
    const [replica] = await replicasIn(namespace, manifests, 1);
    const { message } = await replica!.event('error');
    expect(message).toContain(
      'rules:\n  - apiGroups: [""]\n    resources: ["pods"]\n    verbs: ["patch"]',
    );
    expect(replica!.leads).toBe(true);
  }, 60_000);
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
