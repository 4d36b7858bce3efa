import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ElectionCluster,
  NAMESPACE,
  SERVICE_ACCOUNT,
} from '../../test/e2e/support/election-cluster.js';
import { readmeRole } from '../../test/e2e/support/readme-role.js';
import type { AuditEntry } from '../control-plane/audit-log.js';
import type { LeaseFault, ServerFault } from './fault.js';
import { ReplicaServer, type ServerTls } from './replica-server.js';

/** Two real API servers on one etcd, and a way to them for each replica. */
export class ChaosCluster {
  private readonly servers: ReplicaServer[] = [];
  private readonly kubeConfigFiles: string[] = [];

  private constructor(
    private readonly cluster: ElectionCluster,
    private readonly directory: string,
    private readonly tokenSeconds: number,
  ) {}

  static async start(directory: string, minutes: number): Promise<ChaosCluster> {
    const anHourMore = 3_600;
    const tokenSeconds = Math.ceil(minutes * 60) + anHourMore;
    const cluster = await ElectionCluster.start(tokenSeconds, {
      apiServers: 2,
      auditsBodies: true,
    });
    await cluster.server.applyRole(NAMESPACE, SERVICE_ACCOUNT, [
      ...readmeRole().rules,
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        resourceNames: [`${cluster.leaseName}-schedule`],
        verbs: ['get', 'update'],
      },
    ]);
    await cluster.deleteLease();
    return new ChaosCluster(cluster, directory, tokenSeconds);
  }

  get leaseName(): string {
    return this.cluster.leaseName;
  }

  /** Replicas begin at different servers. */
  async addReplica(number: number): Promise<{ server: ReplicaServer; kubeConfigFile: string }> {
    const server = await ReplicaServer.start(this.cluster.server.ports, number, this.tls());
    this.servers.push(server);
    const { port } = server.proxy;
    const config = JSON.parse(readFileSync(this.cluster.kubeConfigFile, 'utf8')) as {
      clusters: { cluster: { server: string } }[];
    };
    config.clusters[0]!.cluster.server = `https://127.0.0.1:${port}`;
    const kubeConfigFile = join(this.directory, `${port}.kubeconfig`);
    writeFileSync(kubeConfigFile, JSON.stringify(config), { mode: 0o600 });
    this.kubeConfigFiles.push(kubeConfigFile);
    return { server, kubeConfigFile };
  }

  /** A line is written a moment after its answer, and a killed server never writes it. */
  auditLog(): Promise<AuditEntry[]> {
    return this.cluster.server.auditLog();
  }

  /** Puts the fault in place, waits, and takes it away. */
  async suffer(
    fault: Exclude<ServerFault, { kind: 'disk-full' }>,
    wait: () => Promise<void>,
  ): Promise<void> {
    const { server } = this.cluster;
    switch (fault.kind) {
      case 'api-server-kill':
        await server.killApiServer('SIGKILL', fault.server);
        await wait();
        return server.startApiServer(fault.server);
      case 'etcd-kill':
        await server.killEtcd();
        await wait();
        return server.startEtcd();
      case 'api-server-stop':
        server.stopApiServer(fault.server);
        await wait();
        return server.contApiServer(fault.server);
      case 'token-rotation':
        return this.rotateTokens(wait);
      case 'etcd-stop':
        server.stopEtcd();
        await wait();
        return server.contEtcd();
      default:
        return fault satisfies never;
    }
  }

  /** Fails while the server is away. */
  async touchLease(fault: LeaseFault, standby: string | undefined): Promise<void> {
    if (fault.kind === 'lease-delete') return this.cluster.deleteLease();
    return this.cluster.editLease(editOf(fault.edit, standby));
  }

  /** Tokens are bound to the service account as it was made: another of that name makes them void. */
  private async rotateTokens(wait: () => Promise<void>): Promise<void> {
    const { server } = this.cluster;
    const account = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${SERVICE_ACCOUNT}`;
    await server.request('DELETE', account);
    await server.createServiceAccount(NAMESPACE, SERVICE_ACCOUNT);
    const token = await server.createToken(NAMESPACE, SERVICE_ACCOUNT, this.tokenSeconds);
    await wait();
    for (const file of this.kubeConfigFiles) {
      const config = JSON.parse(readFileSync(file, 'utf8')) as { users: { user: object }[] };
      config.users[0]!.user = { token };
      writeFileSync(`${file}.new`, JSON.stringify(config), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    }
  }

  private tls(): ServerTls {
    const { directory, caFile } = this.cluster.server;
    const read = (path: string) => readFileSync(path, 'utf8');
    return {
      cert: read(join(directory, 'apiserver.crt')),
      key: read(join(directory, 'apiserver.key')),
      ca: read(caFile),
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
    await this.cluster.stop();
  }
}

function editOf(
  edit: Extract<LeaseFault, { kind: 'lease-edit' }>['edit'],
  standby = 'nobody-in-particular',
): Record<string, unknown> {
  switch (edit) {
    case 'empty-holder':
      return { holderIdentity: '' };
    case 'stranger':
      return { holderIdentity: 'stranger', renewTime: '2026-01-01T00:00:00.000000Z' };
    case 'standby':
      return { holderIdentity: standby };
    case 'transitions':
      return { leaseTransitions: 77 };
    case 'duration':
      return { leaseDurationSeconds: 1 };
    case 'times':
      return { renewTime: null, acquireTime: null };
    default:
      return edit satisfies never;
  }
}
