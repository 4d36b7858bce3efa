import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer as createTcp } from 'node:net';
import { join } from 'node:path';
import { createServer as createTls } from 'node:tls';
import { jest } from '@jest/globals';
import { directoryFindings } from '../../lib/cli/doctor/configuration-checks.js';
import type { Finding } from '../../lib/cli/doctor/finding.js';
import { visitedDirectory } from '../../lib/locks/file/lease-files.js';
import { selfSignedCertificate, withValidity } from '../../proof/api-emulator/certificate.js';
import {
  type Answering,
  type Attributes,
  type Diagnosis,
  diagnoseInPod,
  type DoctorSite,
  LEASE_PATH,
  leaseObject,
  POD,
  renewedAt,
  status,
} from './doctor-site.js';

type Args = string[];

/** Something that is planted, and what doctor must say of it. */
export interface Plant {
  readonly code: Finding['code'];
  /** What is planted. */
  readonly what: string;
  readonly severity: 'ok' | 'warning' | 'error';
  /** What the finding must say, with its fix. */
  readonly says: RegExp;
  /** Plants it, and says with which arguments doctor is called; or calls it in its own way. */
  readonly plant: (site: DoctorSite) => Args | Promise<Args> | Promise<Diagnosis>;
}

type Planting = Plant['plant'];
type Row = readonly [code: Plant['code'], what: string, says: RegExp, plant: Planting];

const withSeverity =
  (severity: Plant['severity']) =>
  ([code, what, says, plant]: Row): Plant => ({ code, what, severity, says, plant });
const faults = (...rows: Row[]): Plant[] => rows.map(withSeverity('error'));
const warnings = (...rows: Row[]): Plant[] => rows.map(withSeverity('warning'));
const well = (...rows: Row[]): Plant[] => rows.map(withSeverity('ok'));

const args =
  (...given: Args): Planting =>
  () =>
    given;

const answers =
  (planted: Answering, ...given: Args): Planting =>
  (site) => {
    site.planted = planted;
    return given;
  };

const holds =
  (
    spec: Record<string, unknown>,
    metadata: Record<string, unknown> = {},
    ...given: Args
  ): Planting =>
  (site) => {
    site.lease = leaseObject(spec, metadata);
    return given;
  };

/** With a kubeconfig whose cluster has these fields. */
const cluster =
  (
    fields: (site: DoctorSite) => Record<string, unknown> | Promise<Record<string, unknown>>,
  ): Planting =>
  async (site) => ['--kubeconfig', site.kubeconfig(await fields(site))];

const at = (port: number) => ({ server: `https://127.0.0.1:${port}` });

const CONFIGURATION: Plant[] = faults(
  ['config.role', 'it has no name', / must .*/, args('--role', '')],
  [
    'config.leaseName',
    'Kubernetes takes no such name',
    / must .*plan-scheduler/,
    args('--lease', 'Plan Scheduler'),
  ],
  [
    'config.namespace',
    'Kubernetes takes no such name',
    / must .*kubectl get namespaces/,
    args('--namespace', 'Not_A_Name'),
  ],
  ['config.profile', 'there is no such profile', / must .*quiet/, args('--profile', 'quick')],
  ['config.leaseDurationMs', 'it is too short', / must .*2000/, args('--lease-duration-ms', '100')],
  [
    'config.renewDeadlineMs',
    'it is not below the duration',
    / must .*12000/,
    args('--renew-deadline-ms', '20000'),
  ],
  [
    'config.retryPeriodMs',
    'it leaves no time for a lost request',
    / must .*use at most/,
    args('--retry-period-ms', '9900'),
  ],
  [
    'config.requestTimeoutMs',
    'it leaves no time for a lost request',
    / must .*use at most/,
    args('--request-timeout-ms', '9900'),
  ],
  ['config.application', 'it is too long', / must .*/, args('--application', 'x'.repeat(300))],
  [
    'config.leaseLock.context',
    'the kubeconfig has no such context',
    / must .*x/,
    args('--context', 'prod'),
  ],
  [
    'config.fileLock.directory',
    'it is relative',
    / must .*from the root/,
    args('--lock', 'file', '--directory', 'leases'),
  ],
);

const CONNECTION: Plant[] = faults(
  [
    'connection.unusable',
    'the kubeconfig is none',
    /kubeconfig cannot be read.*Mend what the message names/,
    ({ folder }) => {
      const file = join(folder, 'none');
      writeFileSync(file, '{');
      return ['--kubeconfig', file];
    },
  ],
  [
    'credentials.unreadable',
    'the program that gives them is not there',
    /get-token/,
    (site) => {
      const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: '/nowhere/get-token' };
      const user = { exec: { ...exec, interactiveMode: 'Never' } };
      return ['--kubeconfig', site.kubeconfig({}, user)];
    },
  ],
  [
    'credentials.refused',
    'the API server does not accept them',
    /401.* have not expired/,
    answers(() => status(401, 'Unauthorized')),
  ],
);

const hourAway = (hours: number): Date => new Date(Date.now() + hours * 3_600_000);

/** A server like that of the site, with a certificate that is valid at another time. */
const validBetween = (from: number, until: number): Planting =>
  cluster(async (site) => {
    const certificate = withValidity(site.certificate, hourAway(from), hourAway(until));
    const ca = join(site.folder, 'other-time.crt');
    writeFileSync(ca, certificate.cert);
    const port = await site.serve(createHttps(certificate, (_, response) => response.end('{}')));
    return { ...at(port), 'certificate-authority': ca };
  });

const SERVER: Plant[] = [
  ...faults(
    [
      'server.refused',
      'nothing listens',
      /Start the API server/,
      cluster(async (site) => at(await site.portWithoutServer())),
    ],
    [
      'server.name',
      'its name does not resolve',
      /DNS/,
      cluster(() => ({ server: 'https://api.invalid:6443' })),
    ],
    // No connection goes to the address of all hosts.
    [
      'server.no-route',
      'no way leads to its address',
      /network policy/,
      cluster(() => ({ server: 'https://255.255.255.255:6443' })),
    ],
    ['server.timeout', 'it does not answer', /an overload/, answers(() => ({ delayMs: 60_000 }))],
    [
      'server.reset',
      'something closes the connection',
      /closes the connection/,
      cluster(async (site) =>
        at(await site.serve(createTcp((socket) => socket.resetAndDestroy()))),
      ),
    ],
    [
      'server.not-tls',
      'it does not speak TLS',
      /https:\/\//,
      cluster(async (site) => {
        const plain = createTcp((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
        return at(await site.serve(plain));
      }),
    ],
    [
      'server.proxy',
      'the proxy refuses to connect',
      /502.*NO_PROXY/s,
      cluster(async (site) => {
        const proxy = createHttp();
        proxy.on('connect', (_, socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
        return { 'proxy-url': `http://127.0.0.1:${await site.serve(proxy)}` };
      }),
    ],
    [
      'server.unreachable',
      'it speaks another protocol over TLS',
      /names/,
      cluster(async (site) => {
        const other = createTls(site.certificate, (socket) => socket.end('SSH-2.0-OpenSSH\r\n'));
        return at(await site.serve(other));
      }),
    ],
    ['server.failing', 'it fails', /readyz/, answers(() => status(503, 'etcd is away'))],
    [
      'server.redirects',
      'it sends its clients elsewhere',
      /login\.example\.com.* URL of the API server itself/,
      answers(() => ({ status: 302, headers: { location: 'https://login.example.com/' } })),
    ],
    [
      'server.not-kubernetes',
      'it is another server',
      /is not an API server/,
      answers(() => ({ body: '<html>Welcome</html>' })),
    ],
    [
      'certificate.untrusted',
      'its CA is another one',
      /certificate-authority/,
      cluster(({ folder }) => {
        const file = join(folder, 'other.crt');
        writeFileSync(file, selfSignedCertificate().cert);
        return { 'certificate-authority': file };
      }),
    ],
    [
      'certificate.name',
      'its certificate has another name',
      /tls-server-name/,
      cluster(() => ({ 'tls-server-name': 'kubernetes.default' })),
    ],
    [
      'certificate.expired',
      'its certificate has expired',
      /Renew the certificate/,
      validBetween(-48, -1),
    ],
    [
      'certificate.not-yet-valid',
      'its certificate is of tomorrow',
      /Set the clock/,
      validBetween(24, 48),
    ],
  ),
  ...warnings([
    'server.throttled',
    'it is overloaded',
    /priority/,
    answers(({ url }) =>
      url?.startsWith('/version') === true ? status(429, 'too many requests') : undefined,
    ),
  ]),
];

/** In a pod that has all but what is taken from it: its token has these claims. */
const inPod =
  (
    claims: Record<string, number> | undefined,
    env: Record<string, string> = { POD_NAMESPACE: 'default' },
    values: Record<string, string> = {},
  ): Planting =>
  async (site) => {
    const directory = mkdtempSync(join(site.folder, 'service-account-'));
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'ca.crt'), site.certificate.cert);
    const body = Buffer.from(JSON.stringify(claims ?? {})).toString('base64url');
    writeFileSync(join(directory, 'token'), claims === undefined ? '\n' : `a.${body}.c`);
    const service = {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(site.port),
    };
    return diagnoseInPod({ ...service, ...env }, directory, values);
  };

const soonS = (hours: number): number => Math.floor(hourAway(hours).getTime() / 1_000);

const POD_OF_THE_COMMAND: Plant[] = [
  ...faults(
    [
      'pod.incomplete',
      'it has no CA',
      /ca\.crt/,
      (site) => {
        const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', POD_NAMESPACE: 'default' };
        return diagnoseInPod(env, join(site.folder, 'nothing-mounted'));
      },
    ],
    ['token.empty', 'its token is empty', /automountServiceAccountToken/, inPod(undefined)],
    ['token.expired', 'its token has expired', /kubelet/, inPod({ exp: soonS(-1) })],
    ['token.not-yet-valid', 'its token is of tomorrow', /Set the clock/, inPod({ nbf: soonS(24) })],
  ),
  ...warnings(
    [
      'pod.no-namespace',
      'nothing says its namespace',
      /POD_NAMESPACE/,
      inPod({ exp: soonS(1) }, {}),
    ],
    [
      'pod.other-namespace',
      'the lease is in another namespace',
      /Leave the option namespace out/,
      inPod({ exp: soonS(1) }, { POD_NAMESPACE: 'plans' }, { namespace: 'default' }),
    ],
  ),
];

const ALL_FEATURES = ['--features', 'schedule,pods,pod-label,events'];

/** All rights but this one; what is needed beside the lease is needed, too. */
const without =
  (verb: string, resource: string, ...given: Args): Planting =>
  (site) => {
    site.allowed = (right) => right['verb'] !== verb || right['resource'] !== resource;
    return [...ALL_FEATURES, ...given];
  };

const lacking = (resource: string, verbs: readonly string[], ...given: Args): Row[] =>
  verbs.map((verb) => [
    `rights.missing-${verb}-${resource}` as Plant['code'],
    'it is not granted',
    new RegExp(`may not ${verb} .*verbs: \\[.*"${verb}"`, 's'),
    without(verb, resource, ...given),
  ]);

const IN_CONFIG_MAP = ['--lock', 'config-map', '--config-map', 'plan-leaders'];

const also =
  (isGranted: (attributes: Attributes) => boolean): Planting =>
  (site) => {
    const { allowed } = site;
    site.allowed = (attributes) => allowed(attributes) || isGranted(attributes);
    return [];
  };

const RIGHTS: Plant[] = [
  ...faults(
    ...lacking('leases', ['get', 'create', 'update']),
    ...lacking('configmaps', ['get', 'create', 'update'], ...IN_CONFIG_MAP),
    ...lacking('pods', ['get', 'list', 'watch', 'patch']),
    ...lacking('events', ['create', 'patch']),
  ),
  ...warnings(
    ...lacking('leases', ['watch']),
    ...lacking('configmaps', ['watch'], ...IN_CONFIG_MAP),
    [
      'rights.any-lease',
      'every lease may be updated',
      /resourceNames/,
      also(
        ({ verb, name, namespace }) => verb === 'update' && name === '' && namespace === 'default',
      ),
    ],
    [
      'rights.delete',
      'the lease may be deleted',
      /Take the verb delete out/,
      also(({ verb }) => verb === 'delete'),
    ],
    [
      'rights.other-namespaces',
      'leases of other namespaces may be updated',
      /Role in this namespace/,
      also(({ namespace }) => namespace === 'kube-system'),
    ],
    [
      'rights.secrets',
      'Secrets may be read',
      /ServiceAccount/,
      also(({ resource }) => resource === 'secrets'),
    ],
    ['rights.everything', 'everything is granted', /cluster-admin/, also(() => true)],
    [
      'rights.unknown',
      'the server does not tell them',
      /selfsubjectaccessreviews/,
      answers(({ url }) => (url?.includes('accessreviews') ? status(403, 'forbidden') : undefined)),
    ],
  ),
];

const onWrite = (reply: (body: string) => ReturnType<Answering>, ...given: Args): Planting =>
  answers(
    ({ method, url }, body) =>
      method !== 'GET' && url?.includes('dryRun') ? reply(body) : undefined,
    ...given,
  );

/** One write that takes so long. */
const slowly = (delayMs: number, ...given: Args): Planting => {
  return (site) => {
    let writes = 0;
    return onWrite(
      (body) => {
        writes += 1;
        return writes === 1 ? { body: JSON.parse(body) as unknown, delayMs } : undefined;
      },
      ...given,
    )(site);
  };
};

const WRITES: Plant[] = [
  ...faults(
    [
      'write.denied',
      'a webhook denies them',
      /Exempt the lease/,
      onWrite(() => status(403, 'admission webhook "policy.example.com" denied the request: no')),
    ],
    [
      'write.refused',
      'they are refused',
      /422/,
      onWrite(() => status(422, 'Lease.coordination.k8s.io is invalid')),
    ],
    [
      'write.altered',
      'a webhook changes them',
      /spec\.leaseDurationSeconds .*mutating webhook/,
      onWrite((body) => {
        const sent = JSON.parse(body) as { spec: object };
        return { body: { ...sent, spec: { ...sent.spec, leaseDurationSeconds: 99 } } };
      }),
    ],
    [
      'write.too-slow',
      'one takes longer than a request may',
      /requestTimeoutMs \(300\).* profile/,
      slowly(500, '--request-timeout-ms', '300'),
    ],
    [
      'namespace.missing',
      'their namespace is missing',
      /Create the namespace/,
      onWrite(() =>
        status(404, 'namespaces "default" not found', { details: { kind: 'namespaces' } }),
      ),
    ],
  ),
  ...warnings(
    [
      'write.slow',
      'one takes a fifth of the deadline',
      /profile 'quiet' fits/,
      slowly(2_100, '--request-timeout-ms', '5000', '--retry-period-ms', '2000'),
    ],
    [
      'write.unmeasured',
      'a webhook knows no dry runs',
      /sideEffects/,
      onWrite(() => status(400, 'admission webhook "x" does not support dry run')),
    ],
  ),
];

const LEASES: Plant[] = [
  ...faults(
    [
      'lease.missing',
      'there is none, and no replica may create it',
      /Create it/,
      (site) => {
        site.lease = undefined;
        return ['--no-create'];
      },
    ],
    [
      'lease.unreadable',
      'it may not be read',
      /403/,
      answers(({ method, url }) =>
        method === 'GET' && url?.startsWith(LEASE_PATH) ? status(403, 'forbidden') : undefined,
      ),
    ],
    [
      'lease.two-applications',
      'another application holds it',
      /"mail".*leaseName of its own/,
      holds(
        {},
        { annotations: { 'nestjs-leader-election/application': 'mail (term 3)' } },
        '--application',
        'plan',
      ),
    ],
  ),
  ...warnings(
    [
      'lease.expired',
      'it has expired',
      /Start a replica/,
      holds({ renewTime: renewedAt(120_000) }),
    ],
    [
      'lease.future',
      'it was renewed in the future',
      /NTP/,
      holds({ renewTime: renewedAt(-3_600_000) }),
    ],
    ['lease.without-holder', 'its holder was removed', /step-down/, holds({ holderIdentity: '' })],
    [
      'lease.malformed',
      'its time cannot be read',
      /Find out who writes it/,
      holds({ renewTime: 'yesterday' }),
    ],
    [
      'lease.mixed-settings',
      'its holder has other times',
      /same times/,
      holds({ leaseDurationSeconds: 60 }),
    ],
    [
      'lease.coordinated',
      'it is left to a coordinator',
      /Remove spec\.strategy/,
      holds({ strategy: 'OldestEmulationVersion' }),
    ],
    [
      'lease.foreign-holder',
      'another program holds it',
      /leaseName of its own/,
      args('--application', 'plan'),
    ],
    [
      'lease.being-deleted',
      'it is being deleted',
      /Remove the finalizers/,
      holds({}, { deletionTimestamp: 'now' }),
    ],
    [
      'lease.owned',
      'it has an owner',
      /Deployment plan.*Remove the ownerReferences/,
      holds({}, { ownerReferences: [{ kind: 'Deployment', name: 'plan' }] }),
    ],
  ),
];

const pods = (...items: unknown[]): Planting =>
  answers(
    ({ url }) =>
      url?.startsWith('/api/v1/namespaces/default/pods?') ? { body: { items } } : undefined,
    '--selector',
    'app=plan',
  );
const podWith = (spec: object) => ({
  ...POD,
  metadata: { name: 'plan-2' },
  spec: { ...POD.spec, ...spec },
});
const NOT_READY = { ...POD, status: { phase: 'Running', conditions: [] } };
const holder = (change: object): Planting =>
  answers(({ url }) =>
    url?.includes('/pods/plan-1') ? { body: { ...POD, ...change } } : undefined,
  );

const PODS: Plant[] = [
  ...faults(
    [
      'pod.grace-period',
      'a pod has less time to shut down than the drain takes',
      /Set terminationGracePeriodSeconds/,
      pods(podWith({ terminationGracePeriodSeconds: 5 })),
    ],
    [
      'pod.grace-period',
      'it is enough for the drain and one request of the release, which may take two',
      /may take 26 s.*Set terminationGracePeriodSeconds to at least 26 /s,
      pods(podWith({ terminationGracePeriodSeconds: 25 })),
    ],
    [
      'pod.grace-period',
      'it is enough without the sleep of the preStop hook, which counts too',
      /may take 31 s.*Set terminationGracePeriodSeconds to at least 31 /s,
      pods(
        podWith({
          terminationGracePeriodSeconds: 30,
          containers: [
            { image: 'plan:1', lifecycle: { preStop: { sleep: { seconds: 5 } } } },
            { image: 'proxy:1', lifecycle: { preStop: { sleep: { seconds: 2 } } } },
          ],
        }),
      ),
    ],
    ['fleet.empty', 'there is none', /Correct --selector/, pods()],
    ['fleet.none-ready', 'none is ready', /probes/, pods(NOT_READY)],
  ),
  ...warnings(
    ['fleet.single', 'one is ready', /at least two/, pods(POD, NOT_READY)],
    [
      'fleet.mixed-images',
      'they run different images',
      /Finish the rollout/,
      pods(POD, podWith({ containers: [{ image: 'mail:1' }] })),
    ],
    [
      'fleet.mixed-pods',
      'they have different settings',
      /Finish the rollout/,
      pods(POD, podWith({ terminationGracePeriodSeconds: 90 })),
    ],
    [
      'holder.no-pod',
      'the holder is none of them',
      /Wait until the lease expires/,
      holds({ holderIdentity: 'gone_x' }),
    ],
    [
      'holder.other-fleet',
      'the holder is of another application',
      /compare the leaseName/,
      holds({ holderIdentity: 'gone_x' }, {}, '--selector', 'app=plan'),
    ],
    [
      'holder.ended',
      'that of the holder has ended',
      /podWatch/,
      holder({ status: { phase: 'Failed' } }),
    ],
    [
      'holder.not-ready',
      'that of the holder is not ready',
      /probes/,
      holder({ status: { phase: 'Running' } }),
    ],
  ),
];

/** By a clock that no test sets. */
const trueMs = (): number => performance.timeOrigin + performance.now();

/** With the time of the server in each answer. */
const dated =
  (serverMs: () => number): Planting =>
  (site) => {
    site.planted = (request, body) => ({
      ...site.wellAnswer(request, body),
      headers: { date: new Date(serverMs()).toUTCString() },
    });
    return [];
  };

const CLOCKS: Plant[] = warnings(
  [
    'clock.skew',
    'this one is behind',
    /behind that of the API server.*NTP/,
    dated(() => trueMs() + 30_000),
  ],
  [
    'clock.rate',
    "the server's runs faster",
    /faster.*mend the clock/,
    (site) => {
      const begun = trueMs();
      return dated(() => begun + 2 * (trueMs() - begun))(site);
    },
  ],
  [
    'clock.step',
    'this one is set meanwhile',
    /slew/,
    (site) => {
      let asked = 0;
      jest.spyOn(Date, 'now').mockImplementation(() => trueMs() + (asked > 5 ? 300 : 0));
      return dated(() => {
        asked += 1;
        return trueMs();
      })(site);
    },
  ],
  ['clock.unknown', 'the server does not tell the time', /Date header/, args()],
);

const FILES: Plant[] = warnings(
  [
    'file.no-directory',
    'the directory is not there',
    /no process elects a leader there.*Name the directory/,
    ({ folder }) => ['--lock', 'file', '--directory', join(folder, 'nowhere')],
  ],
  [
    'file.network',
    'the directory is on a network share',
    /NFS.*local disk/,
    async ({ folder }) => {
      const directory = visitedDirectory({ directory: folder });
      const findings = await directoryFindings(directory, () => ({ type: 0x6969 }));
      return { code: 0, findings, err: '' };
    },
  ],
);

/** Each fault that doctor can name, planted at least once. */
export const FAULT_PLANTS: readonly Plant[] = [
  ...CONFIGURATION,
  ...CONNECTION,
  ...SERVER,
  ...POD_OF_THE_COMMAND,
  ...RIGHTS,
  ...WRITES,
  ...LEASES,
  ...PODS,
  ...CLOCKS,
  ...FILES,
];

/** What it says of what is well. */
export const WELL_PLANTS: readonly Plant[] = well(
  ['config.fit', 'the times are the default', /15 s, 10 s and 2 s/, args()],
  ['server.reachable', 'the API server answers', /v1\.37\.0/, args()],
  ['rights.fit', "there are those of the README's Role", /no other/, args()],
  ['write.fast', 'writes are fast', /profile '(fast|default)' fits/, args()],
  ['lease.held', 'a process leads', /leads in term 3/, args()],
  [
    'lease.released',
    'it was released',
    /released in term 3/,
    holds({ holderIdentity: '' }, { annotations: { 'nestjs-leader-election/released': '3' } }),
  ],
  [
    'lease.missing',
    'no replica has created it yet',
    /the first candidate creates it/,
    (site) => {
      site.lease = undefined;
      return [];
    },
  ],
  ['fleet.ready', 'two pods are ready', /2 of 2/, args('--selector', 'app=plan')],
  [
    'holder.terminating',
    'the pod of the holder shuts down',
    /hands over/,
    holder({ metadata: { ...POD.metadata, deletionTimestamp: '2026-11-27T00:00:00Z' } }),
  ],
  ['clock.sane', 'the clocks agree', /agree/, dated(trueMs)],
);
