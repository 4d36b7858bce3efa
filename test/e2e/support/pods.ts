import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiObject } from '../../../proof/control-plane/api-client.js';
import type { ControlPlane } from '../../../proof/control-plane/control-plane.js';

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly containers: readonly ContainerSpec[];
}

interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
  }[];
}

/** A Pod of the API server, without a kubelet: the object, and the files that would be mounted into it. */
export class PodOnPaper {
  private constructor(
    readonly name: string,
    readonly namespace: string,
    readonly uid: string,
    readonly token: string,
    readonly serviceAccountDirectory: string,
    private readonly spec: PodSpec,
  ) {}

  /** Creates it, with a token that is bound to it as the kubelet's is. */
  static async create(
    server: ControlPlane,
    namespace: string,
    { name, labels = {}, spec }: { name: string; labels?: object; spec: PodSpec },
  ): Promise<PodOnPaper> {
    const metadata = { name, labels };
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    const pod = await demanded(server, pods, { metadata, spec });
    const uid = String(pod.metadata?.uid);
    const account = spec.serviceAccountName;
    const answer = await demanded(
      server,
      `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
      {
        spec: {
          expirationSeconds: 3_600,
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
        },
      },
    );
    const { token } = answer.status as { token: string };
    const directory = mkdtempSync(join(tmpdir(), 'pod-'));
    copyFileSync(server.caFile, join(directory, 'ca.crt'));
    writeFileSync(join(directory, 'namespace'), namespace);
    writeFileSync(join(directory, 'token'), token);
    return new PodOnPaper(name, namespace, uid, token, directory, spec);
  }

  /** As the kubelet and the manifest set them. */
  env(server: ControlPlane): Record<string, string> {
    const { hostname, port } = new URL(server.url);
    return {
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
      ...Object.fromEntries(
        (this.spec.containers[0]?.env ?? []).map(({ name, value, valueFrom }) => [
          name,
          value ?? this.field(valueFrom!.fieldRef.fieldPath),
        ]),
      ),
    };
  }

  private field(path: string): string {
    const fields: Record<string, string> = {
      'metadata.name': this.name,
      'metadata.uid': this.uid,
    };
    const value = fields[path];
    if (value === undefined) throw new Error(`the test knows no ${path} of a pod`);
    return value;
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
