import { readFileSync, writeFileSync } from 'node:fs';
import type { ControlPlane } from '../../proof/control-plane/control-plane.js';
import { prepareLease, type ContenderKey } from '../contenders/contender.js';

/** A Lease in a namespace of its own: one of the contenders watches all Leases of its namespace. */
export class CrowdGround {
  readonly leaseName = 'shared';

  static async create(
    server: ControlPlane,
    key: ContenderKey,
    namespace: string,
  ): Promise<CrowdGround> {
    await server.createNamespace(namespace);
    const ground = new CrowdGround(server, namespace);
    await prepareLease(key, server, ground.leaseName, namespace);
    return ground;
  }

  private constructor(
    readonly server: ControlPlane,
    readonly namespace: string,
  ) {}

  /** A service account, so that the audit log tells whose a request is; answers its kubeconfig file. */
  async account(name: string, port?: number): Promise<string> {
    const { server, namespace } = this;
    const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch'];
    const rules = [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs }];
    await server.createServiceAccount(namespace, name);
    await server.applyRole(namespace, name, rules);
    const token = await server.createToken(namespace, name, 3_600);
    const file = server.kubeconfigFor(token, namespace);
    return port === undefined ? file : through(file, port);
  }
}

/** The same way to the server, by another port of this machine. */
function through(kubeConfigFile: string, port: number): string {
  const config = JSON.parse(readFileSync(kubeConfigFile, 'utf8')) as {
    clusters: { cluster: { server: string } }[];
  };
  config.clusters[0]!.cluster.server = `https://127.0.0.1:${port}`;
  const file = `${kubeConfigFile}.${port}`;
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}
