import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadAllYaml } from '@kubernetes/client-node';
import type { PolicyRule } from '../../../proof/control-plane/access-control.js';
import { findBinary } from '../../../proof/control-plane/binaries.js';
import type { ControlPlane } from '../../../proof/control-plane/control-plane.js';

export const OVERLAYS = [
  'plain',
  'members',
  'pod-label',
  'events',
  'config-map',
  'locked-down',
] as const;
export type Overlay = (typeof OVERLAYS)[number];

const MANIFESTS = fileURLToPath(new URL('../../../sample-app/k8s/', import.meta.url));

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: PolicyRule[];
  // eslint-disable-next-line typescript/no-explicit-any -- the manifests are read, not typed
  readonly [field: string]: any;
}

/** What `kubectl kustomize` makes of an overlay; with a namespace, of a copy whose one line says that namespace. */
export async function built(overlay: Overlay, namespace?: string): Promise<Manifest[]> {
  const kubectl = await findBinary('kubectl');
  const directory = mkdtempSync(join(tmpdir(), 'kustomize-'));
  try {
    cpSync(MANIFESTS, directory, { recursive: true });
    const file = join(directory, 'overlays', overlay, 'kustomization.yaml');
    const text = readFileSync(file, 'utf8');
    const inPlace = namespace && text.replace(/^namespace: .*$/m, `namespace: ${namespace}`);
    if (inPlace) writeFileSync(file, inPlace);
    const run = promisify(execFile);
    const { stdout } = await run(kubectl, ['kustomize', join(directory, 'overlays', overlay)]);
    return loadAllYaml(stdout) as Manifest[];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** `kubectl apply --server-side -k` of an overlay by the administrator. */
export async function applied(
  server: ControlPlane,
  overlay: Overlay,
  namespace: string,
): Promise<Manifest[]> {
  const manifests = await built(overlay, namespace);
  await apply(server, manifests, namespace);
  return manifests;
}

/** `kubectl apply --server-side` by the administrator, which refuses a field that is unknown or given twice. */
export async function apply(
  server: ControlPlane,
  manifests: readonly Manifest[],
  namespace: string,
): Promise<void> {
  for (const manifest of manifests) {
    const path = `${pathOf(manifest, namespace)}?fieldManager=test&force=true&fieldValidation=Strict`;
    const contentType = 'application/apply-patch+yaml';
    const { status, body } = await server.request('PATCH', path, manifest, { contentType });
    if (status > 201) throw new Error(`${manifest.kind}: ${status} ${JSON.stringify(body)}`);
  }
}

const RESOURCES: Readonly<Record<string, string>> = {
  Deployment: 'deployments',
  Lease: 'leases',
  PodDisruptionBudget: 'poddisruptionbudgets',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  Service: 'services',
  ServiceAccount: 'serviceaccounts',
  ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
  ValidatingAdmissionPolicyBinding: 'validatingadmissionpolicybindings',
};

function pathOf({ apiVersion, kind, metadata: { name } }: Manifest, namespace: string): string {
  const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  const scope = kind.startsWith('ValidatingAdmission') ? '' : `/namespaces/${namespace}`;
  const resource = RESOURCES[kind];
  if (resource === undefined) throw new Error(`no path for a ${kind}`);
  return `${root}${scope}/${resource}/${name}`;
}
