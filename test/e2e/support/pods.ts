import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiObject } from '../../../proof/control-plane/api-client.js';
import type { ControlPlane } from '../../../proof/control-plane/control-plane.js';

/** A Pod of the API server, without a kubelet: the object, and the files that would be mounted into it. */
export class PodOnPaper {
  private constructor(
    readonly name: string,
    readonly namespace: string,
    readonly token: string,
    readonly serviceAccountDirectory: string,
  ) {}

  /** Creates it, with a token that is bound to it as the kubelet's is. */
  static async create(
    server: ControlPlane,
    namespace: string,
    { name, labels = {}, spec }: { name: string; labels?: object; spec: ApiObject },
  ): Promise<PodOnPaper> {
    const metadata = { name, labels };
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    const pod = await demanded(server, pods, { metadata, spec });
    const account = String(spec['serviceAccountName']);
    const answer = await demanded(
      server,
      `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
      {
        spec: {
          expirationSeconds: 3_600,
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid: pod.metadata?.uid },
        },
      },
    );
    const { token } = answer.status as { token: string };
    const directory = mkdtempSync(join(tmpdir(), 'pod-'));
    copyFileSync(server.caFile, join(directory, 'ca.crt'));
    writeFileSync(join(directory, 'namespace'), namespace);
    writeFileSync(join(directory, 'token'), token);
    return new PodOnPaper(name, namespace, token, directory);
  }

  /** As the kubelet and the manifest set them. */
  env(server: ControlPlane): Record<string, string> {
    const { hostname, port } = new URL(server.url);
    return {
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
      POD_NAME: this.name,
    };
  }

  dispose(): void {
    rmSync(this.serviceAccountDirectory, { recursive: true, force: true });
  }
}

async function demanded(server: ControlPlane, path: string, body: unknown): Promise<ApiObject> {
  const answer = await server.request('POST', path, body);
  if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}
