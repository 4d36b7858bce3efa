import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer as createHttps, type Server } from 'node:https';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { runCli } from '../../lib/cli/cli.js';
import { DOCTOR, examine } from '../../lib/cli/doctor/doctor.command.js';
import { directoryFindings } from '../../lib/cli/doctor/configuration-checks.js';
import type { Finding } from '../../lib/cli/doctor/finding.js';
import { latencyFinding } from '../../lib/cli/doctor/write-checks.js';
import type { CommandCall } from '../../lib/cli/command.js';
import { outputTo } from '../../lib/cli/output.js';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { visitedDirectory } from '../../lib/locks/file/file.lock.js';
import { type Certificate, selfSignedCertificate } from '../../proof/api-emulator/certificate.js';

interface Reply {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly delayMs?: number;
}

type Answering = (request: IncomingMessage, body: string) => Reply | undefined;

const LEASE = 'plan-scheduler';
const PATH = `/apis/coordination.k8s.io/v1/namespaces/default/leases`;

let certificate: Certificate;
let folder: string;
/** An API server as it should be, but for what a test plants. */
let server: Server;
let planted: Answering;
let lease: Record<string, unknown> | undefined;
let allowed: (attributes: Record<string, string>) => boolean;

const renewedAt = (agoMs: number): string =>
  new Date(Date.now() - agoMs).toISOString().replace('Z', '000Z');

function leaseObject(spec: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}) {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: LEASE, namespace: 'default', uid: 'u', resourceVersion: '7', ...metadata },
    spec: {
      holderIdentity: 'plan-1_x',
      leaseDurationSeconds: 15,
      leaseTransitions: 3,
      acquireTime: renewedAt(60_000),
      renewTime: renewedAt(1_000),
      ...spec,
    },
  };
}

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'plan-1', labels: { app: 'plan' } },
  spec: { terminationGracePeriodSeconds: 60, containers: [{ name: 'app', image: 'plan:1' }] },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
};

const status = (code: number, message: string, more = {}): Reply => ({
  status: code,
  body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code, ...more },
});

function wellAnswer(request: IncomingMessage, body: string): Reply {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'https://server');
  if (pathname === '/version') return { body: { gitVersion: 'v1.37.0' } };
  if (pathname.includes('accessreviews')) {
    const { spec } = JSON.parse(body) as { spec: { resourceAttributes: Record<string, string> } };
    return { status: 201, body: { status: { allowed: allowed(spec.resourceAttributes) } } };
  }
  if (pathname === `${PATH}/${LEASE}` || pathname === PATH) {
    if (request.method !== 'GET') {
      if (!searchParams.has('dryRun')) return status(500, 'a doctor writes nothing');
      return { status: request.method === 'POST' ? 201 : 200, body: JSON.parse(body) };
    }
    return lease === undefined
      ? status(404, 'not found', { reason: 'NotFound', details: { kind: 'leases', name: LEASE } })
      : { body: lease };
  }
  if (pathname === '/api/v1/namespaces/default/pods')
    return { body: { items: [POD, { ...POD, metadata: { name: 'plan-2' } }] } };
  if (pathname === '/api/v1/namespaces/default/pods/plan-1') return { body: POD };
  return status(404, 'not found', { reason: 'NotFound' });
}

beforeAll(async () => {
  certificate = selfSignedCertificate();
  folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  writeFileSync(join(folder, 'ca.crt'), certificate.cert);
  server = createHttps(certificate, (request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      const reply = planted(request, body) ?? wellAnswer(request, body);
      // Without a date the clocks are not compared, which takes seconds.
      if (reply.headers?.['date'] === undefined) response.sendDate = false;
      const send = (): void => {
        response.writeHead(reply.status ?? 200, {
          'content-type': 'application/json',
          ...reply.headers,
        });
        response.end(
          typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {}),
        );
      };
      if (reply.delayMs === undefined) send();
      else setTimeout(send, reply.delayMs).unref();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(() => {
  planted = () => undefined;
  lease = leaseObject();
  // The README's Role, and the right to read pods.
  allowed = ({ verb, resource, name, namespace }) =>
    namespace === 'default' &&
    ((resource === 'leases' && verb === 'create') ||
      (resource === 'leases' && name === LEASE && ['get', 'update', 'watch'].includes(verb!)));
});

afterEach(() => server.closeAllConnections());

const url = (): string => `https://127.0.0.1:${(server.address() as AddressInfo).port}`;

function kubeconfig(
  cluster: Record<string, unknown> = {},
  user: Record<string, unknown> = { token: 't' },
): string {
  const file = join(folder, 'config');
  const context = { cluster: 'c', user: 'u', namespace: 'default' };
  const own = { server: url(), 'certificate-authority': join(folder, 'ca.crt') };
  writeFileSync(
    file,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { ...own, ...cluster } }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context }],
      'current-context': 'x',
    }),
  );
  return file;
}

async function doctor(args: readonly string[], env: Record<string, string> = {}) {
  let [out, err] = ['', ''];
  const stdout = { write: (text: string) => void (out += text) };
  const stderr = { write: (text: string) => void (err += text) };
  const code = await runCli(['doctor', '--json', ...args], { env, stdout, stderr }, [DOCTOR]);
  const { findings = [] } = JSON.parse(out || '{}') as { findings?: Finding[] };
  return { code, findings, err };
}

const ask = (...args: string[]) => {
  const file = args.includes('--kubeconfig') ? [] : ['--kubeconfig', kubeconfig()];
  return doctor(['--lease', LEASE, ...file, ...args]);
};

/** Each finding that is not well has something to do. */
function found(findings: readonly Finding[], code: string): Finding {
  const finding = findings.find((each) => each.code === code);
  expect(findings.map((each) => each.code)).toContain(code);
  return finding!;
}

describe('when nothing is wrong', () => {
  it('says so of each part, and ends with 0', async () => {
    const { code, findings } = await ask('--application', 'plan', '--selector', 'app=plan');
    const bad = findings.filter(({ severity }) => severity !== 'ok').map((each) => each.code);
    expect(bad).toEqual(['clock.unknown', 'lease.foreign-holder']);
    expect(findings.map((each) => each.code)).toEqual(
      expect.arrayContaining([
        'config.fit',
        'server.reachable',
        'rights.fit',
        'write.fast',
        'fleet.ready',
        'lease.held',
      ]),
    );
    expect(code).toBe(0);
  });

  it('writes nothing but dry runs', async () => {
    const writes: string[] = [];
    planted = ({ method, url: path = '' }) => {
      if (method !== 'GET' && !path.includes('accessreviews')) writes.push(path);
      return undefined;
    };
    await ask();
    expect(writes.length).toBeGreaterThan(0);
    expect(writes.filter((path) => !path.includes('dryRun=All'))).toEqual([]);
  });
});

describe('when the configuration is wrong', () => {
  it.each<[string, string, string[]]>([
    [
      'a lease duration that is too short',
      'config.leaseDurationMs',
      ['--lease-duration-ms', '100'],
    ],
    [
      'a deadline that is not below the duration',
      'config.renewDeadlineMs',
      ['--renew-deadline-ms', '20000'],
    ],
    ['an unknown profile', 'config.profile', ['--profile', 'quick']],
    ['a name that Kubernetes does not take', 'config.namespace', ['--namespace', 'Not_A_Name']],
    [
      'a lease name that Kubernetes does not take',
      'config.leaseName',
      ['--lease', 'Plan Scheduler'],
    ],
  ])('names %s, its rule and its fix', async (_, code, args) => {
    const { code: exit, findings } = await ask(...args);
    const { fix, severity, what } = found(findings, code);
    expect(severity).toBe('error');
    expect(what).toMatch(/ must /);
    expect(fix).not.toBe('');
    expect(exit).toBe(1);
  });

  it('names a kubeconfig that is not there', async () => {
    const { findings } = await doctor(['--lease', LEASE, '--kubeconfig', join(folder, 'none')]);
    expect(findings.find(({ severity }) => severity === 'error')?.what).toContain('none');
  });

  it('names a context that the kubeconfig does not have, and those that it has', async () => {
    const { findings } = await ask('--context', 'prod');
    expect(found(findings, 'config.leaseLock.context').fix).toContain('x');
  });
});

describe('when the API server cannot be used', () => {
  const CASES: [string, string, (() => Promise<string[]>) | (() => string[])][] = [
    [
      'nothing listens',
      'server.refused',
      async () => {
        const port = await new Promise<number>((resolve) => {
          const probe = createTcp().listen(0, '127.0.0.1', () => {
            const { port: free } = probe.address() as AddressInfo;
            probe.close(() => resolve(free));
          });
        });
        return ['--kubeconfig', kubeconfig({ server: `https://127.0.0.1:${port}` })];
      },
    ],
    [
      'its name does not resolve',
      'server.name',
      () => ['--kubeconfig', kubeconfig({ server: 'https://api.invalid:6443' })],
    ],
    [
      'its CA is another one',
      'certificate.untrusted',
      () => {
        writeFileSync(join(folder, 'other.crt'), selfSignedCertificate().cert);
        return ['--kubeconfig', kubeconfig({ 'certificate-authority': join(folder, 'other.crt') })];
      },
    ],
    [
      'its certificate has another name',
      'certificate.name',
      () => ['--kubeconfig', kubeconfig({ 'tls-server-name': 'kubernetes.default' })],
    ],
    [
      'it asks for other credentials',
      'credentials.refused',
      () => {
        planted = () => status(401, 'Unauthorized');
        return [];
      },
    ],
    [
      'it fails',
      'server.failing',
      () => {
        planted = () => status(503, 'etcd is away');
        return [];
      },
    ],
    [
      'it is overloaded',
      'server.throttled',
      () => {
        planted = ({ url: path }) =>
          path?.startsWith('/version') === true ? status(429, 'too many requests') : undefined;
        return [];
      },
    ],
    [
      'it sends its clients elsewhere',
      'server.redirects',
      () => {
        planted = () => ({ status: 302, headers: { location: 'https://login.example.com/' } });
        return [];
      },
    ],
    [
      'it is another server',
      'server.not-kubernetes',
      () => {
        planted = () => ({ status: 200, body: '<html>Welcome</html>' });
        return [];
      },
    ],
    [
      'it does not answer',
      'server.timeout',
      () => {
        planted = () => ({ delayMs: 60_000 });
        return [];
      },
    ],
  ];

  it.each(CASES)('says that %s: %s', async (_, code, plant) => {
    const args = await plant();
    const { code: exit, findings, err } = await ask(...args);
    expect(found(findings, code).fix).not.toBe('');
    expect(exit).toBe(code === 'server.throttled' ? 0 : 1);
    expect(err).toBe('');
  });

  it('gives what is asked later only what is left of its time', async () => {
    planted = ({ url: path }) => ({
      ...(path!.startsWith('/version') && { body: { gitVersion: 'v1.37.0' } }),
      delayMs: path!.startsWith('/version') ? 2_000 : 60_000,
    });
    const { what } = found((await ask()).findings, 'lease.unreadable');
    const [, withinMs] = /(\d+) ms/.exec(what) ?? [];
    expect(Number(withinMs)).toBeLessThanOrEqual(2_500);
  });

  it('says that it does not speak TLS: server.not-tls', async () => {
    const plain = createTcp((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as AddressInfo;
    const { findings } = await ask(
      '--kubeconfig',
      kubeconfig({ server: `https://127.0.0.1:${port}` }),
    );
    plain.close();
    expect(found(findings, 'server.not-tls').fix).toContain('https://');
  });

  it('names what a pod lacks, and a token that has expired', async () => {
    const directory = join(folder, 'service-account');
    mkdirSync(directory, { recursive: true });
    const claims = Buffer.from(JSON.stringify({ exp: 1_000_000_000 })).toString('base64url');
    writeFileSync(join(directory, 'token'), `a.${claims}.c`);
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', POD_NAMESPACE: 'plans' };
    const call = callOf(['--namespace', 'default'], env);
    const findings = await examine(call, new PodEnvironment(env, directory));
    for (const code of ['pod.incomplete', 'token.expired', 'pod.other-namespace'])
      expect(found(findings, code).fix).not.toBe('');
  });
});

function callOf(args: readonly string[], env: Record<string, string>): CommandCall {
  const values: Record<string, string> = { lease: LEASE };
  for (let index = 0; index < args.length; index += 2)
    values[args[index]!.slice(2)] = args[index + 1]!;
  const nowhere = { write: () => undefined };
  return {
    values,
    positionals: [],
    program: undefined,
    env,
    output: outputTo({ stdout: nowhere, stderr: nowhere }, true),
  };
}

describe('when rights are missing or too wide', () => {
  it.each(['get', 'create', 'update', 'watch'])(
    'names the verb %s and the rule to add',
    async (verb) => {
      const granted = allowed;
      allowed = (attributes) => attributes['verb'] !== verb && granted(attributes);
      const { findings } = await ask();
      const { fix, severity } = found(findings, `rights.missing-${verb}-leases`);
      expect(severity).toBe(verb === 'watch' ? 'warning' : 'error');
      expect(fix).toContain(`verbs: ["${verb}"]`);
    },
  );

  it('looks at what the application uses beside the election', async () => {
    const { findings } = await ask('--features', 'schedule,pods,pod-label,events');
    const codes = findings.map(({ code }) => code);
    expect(codes).toEqual(
      expect.arrayContaining([
        'rights.missing-get-leases',
        'rights.missing-list-pods',
        'rights.missing-patch-pods',
        'rights.missing-create-events',
      ]),
    );
  });

  it.each<[string, string, (attributes: Record<string, string>) => boolean]>([
    [
      'every lease',
      'rights.any-lease',
      ({ verb, name, namespace }) => verb === 'update' && name === '' && namespace === 'default',
    ],
    ['to delete the lease', 'rights.delete', ({ verb }) => verb === 'delete'],
    ['other namespaces', 'rights.other-namespaces', ({ namespace }) => namespace === 'kube-system'],
    ['Secrets', 'rights.secrets', ({ resource }) => resource === 'secrets'],
    ['everything', 'rights.everything', () => true],
  ])('warns of too wide a right, %s: %s', async (_, code, also) => {
    const granted = allowed;
    allowed = (attributes) => granted(attributes) || also(attributes);
    const { code: exit, findings } = await ask();
    expect(found(findings, code).severity).toBe('warning');
    expect(exit).toBe(0);
  });

  it('looks at the ConfigMap where that is the lock', async () => {
    const { findings } = await ask('--lock', 'config-map', '--config-map', 'plan-leaders');
    const { fix } = found(findings, 'rights.missing-update-configmaps');
    expect(fix).toContain('resourceNames: ["plan-leaders"]');
    expect(findings.map(({ code }) => code)).not.toContain('rights.missing-update-leases');
  });

  it('asks for a service account by its name', async () => {
    const users: unknown[] = [];
    planted = ({ url: path }, body) => {
      if (path?.includes('/subjectaccessreviews'))
        users.push((JSON.parse(body) as { spec: { user: string } }).spec.user);
      return undefined;
    };
    await ask('--service-account', 'plan');
    expect(new Set(users)).toEqual(new Set(['system:serviceaccount:default:plan']));
  });

  it('says so where the server does not tell them', async () => {
    planted = ({ url: path }) =>
      path?.includes('accessreviews') ? status(403, 'forbidden') : undefined;
    const { findings } = await ask();
    expect(found(findings, 'rights.unknown').fix).toContain('selfsubjectaccessreviews');
  });
});

describe('when writes of the lease go wrong', () => {
  const onWrite =
    (reply: (body: string) => Reply): Answering =>
    ({ method, url: path }, body) =>
      method !== 'GET' && path?.includes('dryRun') ? reply(body) : undefined;

  it.each<[string, string, (body: string) => Reply]>([
    [
      'denied',
      'write.denied',
      () => status(403, 'admission webhook "policy.example.com" denied the request: no'),
    ],
    [
      'unmeasurable',
      'write.unmeasured',
      () => status(400, 'admission webhook "x" does not support dry run'),
    ],
    ['refused', 'write.refused', () => status(422, 'Lease.coordination.k8s.io is invalid')],
    [
      'altered',
      'write.altered',
      (body) => {
        const sent = JSON.parse(body) as { spec: object };
        return { body: { ...sent, spec: { ...sent.spec, leaseDurationSeconds: 99 } } };
      },
    ],
    [
      'in a namespace that is missing',
      'namespace.missing',
      () => status(404, 'namespaces "default" not found', { details: { kind: 'namespaces' } }),
    ],
  ])('says that they are %s: %s', async (_, code, reply) => {
    planted = onWrite(reply);
    const { findings } = await ask();
    expect(found(findings, code).fix).not.toBe('');
  });

  const TIMES = { requestTimeoutMs: 3_000, renewDeadlineMs: 10_000 };
  it.each<[string, number[], string, RegExp]>([
    ['fast ones', [20, 25, 90], 'write.fast', /profile 'fast' fits/],
    ['slower ones', [200, 210, 600], 'write.fast', /profile 'default' fits/],
    ['one in five of the deadline', [200, 210, 2_100], 'write.slow', /profile 'quiet' fits/],
    [
      'one longer than the request timeout',
      [200, 210, 3_100],
      'write.too-slow',
      /profile 'quiet' fits/,
    ],
    ['one longer than any profile allows', [9_000], 'write.too-slow', /no profile fits/],
  ])('measures %s, and recommends a profile', (_, tookMs, code, recommended) => {
    const { code: said, what, fix = '' } = latencyFinding(tookMs, TIMES);
    expect(said).toBe(code);
    expect(`${what} ${fix}`).toMatch(recommended);
  });
});

describe('when the lease is not as it should be', () => {
  it.each<[string, string, () => void, string[]?]>([
    [
      'missing, and nobody may create it',
      'lease.missing',
      () => (lease = undefined),
      ['--no-create'],
    ],
    ['expired', 'lease.expired', () => (lease = leaseObject({ renewTime: renewedAt(120_000) }))],
    [
      'renewed in the future',
      'lease.future',
      () => (lease = leaseObject({ renewTime: renewedAt(-60_000) })),
    ],
    [
      'without a holder and a release',
      'lease.without-holder',
      () => (lease = leaseObject({ holderIdentity: '' })),
    ],
    ['malformed', 'lease.malformed', () => (lease = leaseObject({ renewTime: 'yesterday' }))],
    [
      'held with other times',
      'lease.mixed-settings',
      () => (lease = leaseObject({ leaseDurationSeconds: 60 })),
    ],
    [
      'left to a coordinator',
      'lease.coordinated',
      () => (lease = leaseObject({ strategy: 'OldestEmulationVersion' })),
    ],
    [
      'of another application',
      'lease.two-applications',
      () =>
        (lease = leaseObject(
          {},
          { annotations: { 'nestjs-leader-election/application': 'mail (term 3)' } },
        )),
      ['--application', 'plan'],
    ],
    ['held by another program', 'lease.foreign-holder', () => undefined, ['--application', 'plan']],
    [
      'being deleted',
      'lease.being-deleted',
      () => (lease = leaseObject({}, { deletionTimestamp: 'now' })),
    ],
    [
      'owned',
      'lease.owned',
      () => (lease = leaseObject({}, { ownerReferences: [{ kind: 'Deployment', name: 'plan' }] })),
    ],
    [
      'held by what is no pod',
      'holder.no-pod',
      () => (lease = leaseObject({ holderIdentity: 'gone_x' })),
    ],
    [
      'held by a pod of another application',
      'holder.other-fleet',
      () => (lease = leaseObject({ holderIdentity: 'gone_x' })),
      ['--selector', 'app=plan'],
    ],
  ])('says that it is %s: %s', async (_, code, plant, args = []) => {
    plant();
    const { findings } = await ask(...args);
    const { fix } = found(findings, code);
    expect(fix).not.toBe('');
  });
});

describe('when the pods do not fit', () => {
  const pods =
    (...items: unknown[]): Answering =>
    ({ url: path }) =>
      path?.startsWith('/api/v1/namespaces/default/pods?') ? { body: { items } } : undefined;
  const withSpec = (spec: object, name = 'plan-2') => ({
    ...POD,
    metadata: { name },
    spec: { ...POD.spec, ...spec },
  });
  const notReady = { ...POD, status: { phase: 'Running', conditions: [] } };

  it.each<[string, string, unknown[]]>([
    [
      'less time to shut down than the drain takes',
      'pod.grace-period',
      [withSpec({ terminationGracePeriodSeconds: 5 })],
    ],
    ['no pod', 'fleet.empty', []],
    ['none that is ready', 'fleet.none-ready', [notReady]],
    ['a single one that is ready', 'fleet.single', [POD, notReady]],
    [
      'different images',
      'fleet.mixed-images',
      [POD, withSpec({ containers: [{ image: 'mail:1' }] })],
    ],
    [
      'different settings',
      'fleet.mixed-pods',
      [POD, withSpec({ terminationGracePeriodSeconds: 90 })],
    ],
  ])('names %s: %s', async (_, code, items) => {
    planted = pods(...items);
    const { findings } = await ask('--selector', 'app=plan');
    expect(found(findings, code).fix).not.toBe('');
  });

  it.each([
    ['has ended', 'holder.ended', { phase: 'Failed' }],
    ['is not ready', 'holder.not-ready', { phase: 'Running' }],
  ])('says that the pod of the holder %s: %s', async (_, code, podStatus) => {
    planted = ({ url: path }) =>
      path?.includes('/pods/plan-1') ? { body: { ...POD, status: podStatus } } : undefined;
    const { findings } = await ask();
    expect(found(findings, code).fix).not.toBe('');
  });
});

describe('when clocks differ', () => {
  const dated =
    (serverMs: () => number): Answering =>
    (request, body) => ({
      ...wellAnswer(request, body),
      headers: { date: new Date(serverMs()).toUTCString() },
    });

  it('says that this one is behind that of the server: clock.skew', async () => {
    planted = dated(() => Date.now() + 30_000);
    expect(found((await ask()).findings, 'clock.skew').what).toMatch(
      / behind that of the API server/,
    );
  });

  it('says that that of the server runs faster: clock.rate', async () => {
    const begun = Date.now();
    planted = dated(() => begun + 2 * (Date.now() - begun));
    expect(found((await ask()).findings, 'clock.rate').what).toContain('faster');
  });
});

describe('when the lock is a file', () => {
  const inDirectory = (directory: string) =>
    doctor(['--lease', LEASE, '--lock', 'file', '--directory', directory]);

  it('says that the first candidate creates a lease, where the directory has others', async () => {
    const directory = join(folder, 'leases');
    mkdirSync(directory, { recursive: true });
    const { code, findings } = await inDirectory(directory);
    expect(findings.map((each) => each.code)).toEqual(['config.fit', 'lease.missing']);
    expect(code).toBe(0);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('says that no process elects in a directory that is not there, and makes none: file.no-directory', async () => {
    const directory = join(folder, 'nowhere', 'leases');
    const { code, findings } = await inDirectory(directory);
    const { severity, what, fix } = found(findings, 'file.no-directory');
    expect(what).toBe(`${directory} does not exist, so no process elects a leader there`);
    expect(fix).toMatch(/^Name the directory that the application uses; /);
    expect([severity, code]).toEqual(['warning', 0]);
    expect(readdirSync(folder)).not.toContain('nowhere');
  });

  it('names a directory that is none', async () => {
    writeFileSync(join(folder, 'no-directory'), '');
    const { code, findings } = await inDirectory(join(folder, 'no-directory'));
    expect(found(findings, 'lease.unreadable').what).toContain('it is not a directory');
    expect(code).toBe(1);
  });

  it('warns of a directory that other machines share: file.network', async () => {
    const directory = visitedDirectory({ directory: folder });
    const findings = await directoryFindings(directory, () => ({ type: 0x6969 }));
    expect(found(findings, 'file.network').what).toContain('NFS');
  });
});

describe('when a secret is among what is found', () => {
  it('is in no line', async () => {
    const secret = 'eyJhbGciOiJSUzI1NiJ9.c2VjcmV0LXNlY3JldC1zZWNyZXQ.c2lnbmF0dXJl';
    planted = () => status(401, `bad token ${secret}`);
    const { findings } = await doctor([
      '--lease',
      LEASE,
      '--kubeconfig',
      kubeconfig({}, { token: secret }),
    ]);
    expect(JSON.stringify(findings)).not.toContain(secret);
  });
});

describe('when the list of what it finds is read', () => {
  it('has each code that the program knows', () => {
    const folderOfChecks = new URL('../../lib/cli/doctor/', import.meta.url);
    const source = readdirSync(folderOfChecks)
      .map((name) => readFileSync(new URL(name, folderOfChecks), 'utf8'))
      .join('\n');
    const areas =
      'clock|config|connection|credentials|certificate|file|fleet|holder|lease|lock|namespace|pod|rights|server|token|write';
    const codes = [...source.matchAll(new RegExp(`'((?:${areas})\\.[a-z-]+)'`, 'g'))].map(
      ([, code]) => code!,
    );
    expect(codes.length).toBeGreaterThan(60);
    const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
    expect([...new Set(codes)].filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });
});
