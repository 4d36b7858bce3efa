import { FaultProxy } from '../fault-proxy/fault-proxy.js';
import { type HttpFault, HttpFaultFront } from '../fault-proxy/http-fault-front.js';

export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** The way of one replica to the API servers: through a proxy, to one of them, or to a load balancer before it. */
export class ReplicaServer {
  static async start(
    ports: readonly number[],
    first: number,
    tls: ServerTls,
  ): Promise<ReplicaServer> {
    const target = { port: ports[first % ports.length]! };
    const proxy = await FaultProxy.start(target.port);
    const front = await HttpFaultFront.start(tls, () => target.port);
    return new ReplicaServer(proxy, front, ports, target);
  }

  private isFronted = false;

  private constructor(
    readonly proxy: FaultProxy,
    private readonly front: HttpFaultFront,
    private readonly ports: readonly number[],
    private readonly target: { port: number },
  ) {}

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
