import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from '../control-plane/control-plane.js';
import { FaultProxy } from '../fault-proxy/fault-proxy.js';
import { type HttpFault, HttpFaultFront } from '../fault-proxy/http-fault-front.js';

interface KubeConfigFile {
  readonly clusters: readonly { readonly cluster: { server: string } }[];
  readonly users: readonly { user: object }[];
}

/** The way of one replica to the API servers: through a proxy, to one of them, or to a load balancer before it. */
export class ReplicaServer {
  /** `first` numbers the API server that it begins at. */
  static async start(
    { directory, caFile, ports }: ControlPlane,
    kubeConfigFile: string,
    first: number,
  ): Promise<ReplicaServer> {
    const target = { port: ports[first % ports.length]! };
    const proxy = await FaultProxy.start(target.port);
    const read = (path: string) => readFileSync(path, 'utf8');
    const tls = {
      cert: read(join(directory, 'apiserver.crt')),
      key: read(join(directory, 'apiserver.key')),
      ca: read(caFile),
    };
    const front = await HttpFaultFront.start(tls, () => target.port);
    const config = JSON.parse(read(kubeConfigFile)) as KubeConfigFile;
    config.clusters[0]!.cluster.server = `https://127.0.0.1:${proxy.port}`;
    const file = join(directory, `${proxy.port}.kubeconfig`);
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
    return new ReplicaServer(file, proxy, front, ports, target);
  }

  private isFronted = false;

  private constructor(
    /** Leads through the proxy. */
    readonly kubeConfigFile: string,
    readonly proxy: FaultProxy,
    private readonly front: HttpFaultFront,
    private readonly ports: readonly number[],
    private readonly target: { port: number },
  ) {}

  /** Swapped, never half written. */
  changeToken(token: string): void {
    const { kubeConfigFile: file } = this;
    const config = JSON.parse(readFileSync(file, 'utf8')) as KubeConfigFile;
    config.users[0]!.user = { token };
    writeFileSync(`${file}.new`, JSON.stringify(config), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** To the next API server, which has a watch cache of its own. */
  change(): void {
    const { ports, target } = this;
    target.port = ports[(ports.indexOf(target.port) + 1) % ports.length]!;
    if (this.isFronted) return;
    this.proxy.redirect(target.port);
    this.proxy.reset();
  }

  putFront(fault: HttpFault): void {
    this.isFronted = true;
    this.front.answer(fault);
    this.proxy.redirect(this.front.port);
    this.proxy.reset();
  }

  takeFrontAway(): void {
    this.isFronted = false;
    this.front.answer(undefined);
    this.proxy.redirect(this.target.port);
    this.proxy.close();
  }

  async stop(): Promise<void> {
    await this.proxy.stop();
    await this.front.stop();
  }
}
