import { firstProcessStartMs } from '../../lib/members/container-death.js';
import type { ControlPlane } from '../control-plane/control-plane.js';

let containers = 0;

/** A pod whose status is written by whoever needs it, as there is no kubelet. Its containers began when process 1 did. */
export class WrittenPod {
  private containerId = '';

  private constructor(
    private readonly server: ControlPlane,
    private readonly path: string,
    readonly name: string,
    readonly uid: string,
  ) {}

  static async create(
    server: ControlPlane,
    namespace: string,
    { name, labels }: { readonly name: string; readonly labels: Record<string, string> },
  ): Promise<WrittenPod> {
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    const { status, body } = await server.request('POST', pods, {
      metadata: { name, labels },
      spec: { nodeName: 'node-1', containers: [{ name: 'app', image: 'i' }] },
    });
    if (status !== 201) throw new Error(`pod ${name}: ${status} ${JSON.stringify(body)}`);
    return new WrittenPod(server, `${pods}/${name}`, name, String(body.metadata?.uid));
  }

  /** A container runs and is ready, perhaps after another one. */
  async begin(lastState: object = {}): Promise<void> {
    this.containerId = `containerd://${(++containers).toString(16).padStart(64, '0')}`;
    const startedAt = isoSeconds(firstProcessStartMs()!);
    await this.report({ state: { running: { startedAt } }, lastState });
  }

  /** The end of its container, by the kubelet's word alone: whoever runs in this pod lives on, and renews. */
  async end(reason = 'Error'): Promise<object> {
    const terminated = {
      containerID: this.containerId,
      reason,
      exitCode: 137,
      startedAt: isoSeconds(firstProcessStartMs()!),
      finishedAt: isoSeconds(Date.now() + 1_000),
    };
    await this.report({ state: { terminated } });
    return { terminated };
  }

  /** It stays, terminating, until it is deleted without any grace. */
  async delete(gracePeriodSeconds: number): Promise<void> {
    await this.server.request('DELETE', this.path, { gracePeriodSeconds });
  }

  /** How the holder of a lease names the container. */
  get marks(): string {
    return `${this.uid}/app/${this.containerId}`;
  }

  private async report(change: object): Promise<void> {
    const entry = { name: 'app', image: 'i', imageID: 'i', ready: true, restartCount: 0 };
    const { status, body } = await this.server.request('PATCH', `${this.path}/status`, {
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [{ ...entry, containerID: this.containerId, ...change }],
      },
    });
    if (status !== 200) throw new Error(`status: ${status} ${JSON.stringify(body)}`);
  }
}

function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
