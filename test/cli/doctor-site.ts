import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer as createHttps, type Server as HttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../../lib/cli/cli.js';
import type { CommandCall } from '../../lib/cli/command.js';
import { DOCTOR, examine } from '../../lib/cli/doctor/doctor.command.js';
import type { Finding } from '../../lib/cli/doctor/finding.js';
import { outputTo } from '../../lib/cli/output.js';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { type Certificate, selfSignedCertificate } from '../../proof/api-emulator/certificate.js';

interface Reply {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly delayMs?: number;
}

export type Answering = (request: IncomingMessage, body: string) => Reply | undefined;
export type Attributes = Record<string, string>;

export const LEASE = 'plan-scheduler';
const PATH = `/apis/coordination.k8s.io/v1/namespaces/default/leases`;
export const LEASE_PATH = `${PATH}/${LEASE}`;

export const renewedAt = (agoMs: number): string =>
  new Date(Date.now() - agoMs).toISOString().replace('Z', '000Z');

export function leaseObject(
  spec: Record<string, unknown> = {},
  metadata: Record<string, unknown> = {},
): Record<string, unknown> {
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

export const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'plan-1', labels: { app: 'plan' } },
  spec: { terminationGracePeriodSeconds: 60, containers: [{ name: 'app', image: 'plan:1' }] },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
};

export const status = (code: number, message: string, more = {}): Reply => ({
  status: code,
  body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code, ...more },
});

/** An API server, and all else that a doctor looks at, as it should be but for what a test plants. */
export class DoctorSite {
  planted: Answering = () => undefined;
  lease: Record<string, unknown> | undefined;
  /** Which rights there are. */
  allowed: (attributes: Attributes) => boolean = () => false;
  private readonly others: Server[] = [];
  private readonly sockets: Socket[] = [];

  private constructor(
    readonly folder: string,
    readonly certificate: Certificate,
    private readonly server: HttpsServer,
  ) {}

  static async start(): Promise<DoctorSite> {
    const certificate = selfSignedCertificate();
    const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
    writeFileSync(join(folder, 'ca.crt'), certificate.cert);
    const server = createHttps(certificate);
    const site = new DoctorSite(folder, certificate, server);
    site.answer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    site.mend();
    return site;
  }

  /** As before each plant. */
  mend(): void {
    this.planted = () => undefined;
    this.lease = leaseObject();
    // The README's Role.
    this.allowed = ({ verb, resource, name, namespace }) =>
      namespace === 'default' &&
      ((resource === 'leases' && verb === 'create') ||
        (resource === 'leases' && name === LEASE && ['get', 'update', 'watch'].includes(verb!)));
    this.server.closeAllConnections();
    for (const other of this.others.splice(0)) other.close();
    for (const socket of this.sockets.splice(0)) socket.destroy();
  }

  stop(): void {
    this.mend();
    this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Another server; resolves with its port. */
  async serve(server: Server): Promise<number> {
    this.others.push(server);
    server.on('connection', (socket: Socket) => {
      this.sockets.push(socket);
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  async portWithoutServer(): Promise<number> {
    const probe = createTcp();
    const port = await this.serve(probe);
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }

  /** Writes the file, and returns its path. */
  kubeconfig(
    cluster: Record<string, unknown> = {},
    user: Record<string, unknown> = { token: 't' },
  ): string {
    const file = join(this.folder, 'config');
    const context = { cluster: 'c', user: 'u', namespace: 'default' };
    const own = {
      server: `https://127.0.0.1:${this.port}`,
      'certificate-authority': join(this.folder, 'ca.crt'),
    };
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

  /** Runs the command with these arguments, and `--lease` and `--kubeconfig` where they are not among them. */
  ask(...args: string[]): Promise<Diagnosis> {
    const isFile = args.includes('file') || args.includes('--kubeconfig');
    const lease = args.includes('--lease') ? [] : ['--lease', LEASE];
    return diagnose([...lease, ...(isFile ? [] : ['--kubeconfig', this.kubeconfig()]), ...args]);
  }

  wellAnswer(request: IncomingMessage, body: string): Reply {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'https://server');
    if (pathname === '/version') return { body: { gitVersion: 'v1.37.0' } };
    if (pathname.includes('accessreviews')) {
      const { spec } = JSON.parse(body) as { spec: { resourceAttributes: Attributes } };
      const allowed = this.allowed(spec.resourceAttributes);
      return { status: 201, body: { status: { allowed } } };
    }
    if (pathname === LEASE_PATH || pathname === PATH) {
      if (request.method !== 'GET') {
        if (!searchParams.has('dryRun')) return status(500, 'a doctor writes nothing');
        return { status: request.method === 'POST' ? 201 : 200, body: JSON.parse(body) };
      }
      return this.lease === undefined
        ? status(404, 'not found', { reason: 'NotFound', details: { kind: 'leases', name: LEASE } })
        : { body: this.lease };
    }
    if (pathname === '/api/v1/namespaces/default/pods')
      return { body: { items: [POD, { ...POD, metadata: { name: 'plan-2' } }] } };
    if (pathname === '/api/v1/namespaces/default/pods/plan-1') return { body: POD };
    return status(404, 'not found', { reason: 'NotFound' });
  }

  private answer(): void {
    this.server.on('request', (request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        const reply = this.planted(request, body) ?? this.wellAnswer(request, body);
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
  }
}

export interface Diagnosis {
  readonly code: number;
  readonly findings: readonly Finding[];
  readonly err: string;
}

async function diagnose(args: readonly string[]): Promise<Diagnosis> {
  let [out, err] = ['', ''];
  const stdout = { write: (text: string) => void (out += text) };
  const stderr = { write: (text: string) => void (err += text) };
  const code = await runCli(['doctor', '--json', ...args], { env: {}, stdout, stderr }, [DOCTOR]);
  const { findings = [] } = JSON.parse(out || '{}') as { findings?: Finding[] };
  return { code, findings, err };
}

/** The command as it runs in a pod, whose files are in this directory. */
export async function diagnoseInPod(
  env: Record<string, string>,
  directory: string,
  values: Record<string, string> = {},
): Promise<Diagnosis> {
  const nowhere = { write: () => undefined };
  const call: CommandCall = {
    values: { lease: LEASE, ...values },
    positionals: [],
    program: undefined,
    env,
    output: outputTo({ stdout: nowhere, stderr: nowhere }, true),
  };
  const findings = await examine(call, new PodEnvironment(env, directory));
  const code = findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  return { code, findings, err: '' };
}
