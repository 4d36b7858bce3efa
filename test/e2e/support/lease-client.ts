import { request as httpsRequest, Agent } from 'node:https';
import { readFileSync } from 'node:fs';
import type { ControlPlane } from '../../../proof/control-plane/control-plane.js';

interface LeaseObject {
  metadata: { name: string; namespace?: string; resourceVersion?: string; uid?: string };
  spec?: Record<string, unknown>;
}

/** A bare client on one kept-alive connection: what the fastest possible handover is measured with. */
export class LeaseClient {
  private readonly agent: Agent;

  constructor(
    private readonly server: ControlPlane,
    private readonly path: string,
  ) {
    this.agent = new Agent({ keepAlive: true, maxSockets: 2, ca: readFileSync(server.caFile) });
  }

  get(): Promise<LeaseObject> {
    return this.send('GET', this.path);
  }

  put(lease: LeaseObject): Promise<LeaseObject> {
    return this.send('PUT', this.path, lease);
  }

  /** Calls back for every event of the lease; answers how to stop once the watch is open. */
  watch(changed: (lease: LeaseObject) => void): Promise<() => void> {
    const [collection, name] = [
      this.path.slice(0, this.path.lastIndexOf('/')),
      this.path.split('/').at(-1),
    ];
    const path = `${collection}?watch=1&fieldSelector=metadata.name%3D${name}`;
    return new Promise((resolve, reject) => {
      const request = httpsRequest(this.options('GET', path), (response) => {
        let rest = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          const lines = (rest + text).split('\n');
          rest = lines.pop()!;
          for (const line of lines) changed((JSON.parse(line) as { object: LeaseObject }).object);
        });
        resolve(() => request.destroy());
      });
      request.on('error', reject).end();
    });
  }

  close(): void {
    this.agent.destroy();
  }

  private options(method: string, path: string): object {
    const { hostname, port } = new URL(this.server.url);
    return {
      method,
      hostname,
      port,
      path,
      agent: this.agent,
      headers: {
        Authorization: `Bearer ${this.server.adminToken}`,
        'Content-Type': 'application/json',
        'User-Agent': 'floor',
      },
    };
  }

  private send(method: string, path: string, body?: LeaseObject): Promise<LeaseObject> {
    return new Promise((resolve, reject) => {
      const request = httpsRequest(this.options(method, path), (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          if (response.statusCode! >= 300)
            reject(new Error(`${method}: ${response.statusCode} ${text}`));
          else resolve(JSON.parse(text) as LeaseObject);
        });
      });
      request.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
