import { monotonicMs } from '../../../proof/fleet/monotonic-clock.js';
import { type ElectionCluster, NAMESPACE } from '../../../proof/fleet/election-cluster.js';
import { LeaseClient } from './lease-client.js';

type Lease = Awaited<ReturnType<LeaseClient['get']>>;

/**
 * A PUT by one client, its delivery to a watch, and a PUT by another, on connections that are open: no election can hand over
 * faster on this server.
 */
export class HandoverFloor {
  private released: (lease: Lease) => void = () => {};
  private rounds = 0;

  private constructor(
    private readonly old: LeaseClient,
    private readonly next: LeaseClient,
    private lease: Lease,
    private stopWatching: () => void,
  ) {}

  /** @param name of a Lease that is not there yet */
  static async open({ server }: ElectionCluster, name = 'floor'): Promise<HandoverFloor> {
    const collection = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
    const body = { metadata: { name }, spec: { holderIdentity: 'a' } };
    await server.request('POST', collection, body);
    const path = `${collection}/${name}`;
    const [old, next] = [new LeaseClient(server, path), new LeaseClient(server, path)];
    await next.get();
    const floor = new HandoverFloor(old, next, await old.get(), () => {});
    floor.stopWatching = await next.watch((seen) => {
      if (seen.spec?.['holderIdentity'] === '') floor.released(seen);
    });
    return floor;
  }

  /** Milliseconds from the first PUT to the answer of the second. */
  async measure(): Promise<number> {
    const seen = new Promise<Lease>((resolve) => (this.released = resolve));
    const { lease, old, next } = this;
    const start = monotonicMs();
    await old.put({ ...lease, spec: { ...lease.spec, holderIdentity: '' } });
    const free = await seen;
    this.rounds += 1;
    const holderIdentity = `b${this.rounds}`;
    this.lease = await next.put({ ...free, spec: { ...free.spec, holderIdentity } });
    return monotonicMs() - start;
  }

  close(): void {
    this.stopWatching();
    this.old.close();
    this.next.close();
  }
}
