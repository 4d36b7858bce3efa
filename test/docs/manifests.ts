/** The kinds of objects that manifests of the documentation may have, by their version. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  v1: ['ConfigMap', 'Namespace', 'Pod', 'Secret', 'Service', 'ServiceAccount'],
  'admissionregistration.k8s.io/v1': [
    'ValidatingAdmissionPolicy',
    'ValidatingAdmissionPolicyBinding',
  ],
  'apps/v1': ['DaemonSet', 'Deployment', 'StatefulSet'],
  'batch/v1': ['CronJob', 'Job'],
  'coordination.k8s.io/v1': ['Lease'],
  'monitoring.coreos.com/v1': ['PodMonitor', 'PrometheusRule', 'ServiceMonitor'],
  'networking.k8s.io/v1': ['NetworkPolicy'],
  'policy/v1': ['PodDisruptionBudget'],
  'rbac.authorization.k8s.io/v1': ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'],
};

/** What a Role of the documentation may name, by its API group. */
const RESOURCES: Readonly<Record<string, readonly string[]>> = {
  '': ['configmaps', 'events', 'pods', 'serviceaccounts', 'services'],
  apps: ['deployments', 'replicasets', 'statefulsets'],
  'authorization.k8s.io': ['selfsubjectaccessreviews', 'subjectaccessreviews'],
  'coordination.k8s.io': ['leases'],
  policy: ['poddisruptionbudgets'],
};

const VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'];

/** What is wrong with a manifest, or with the part of one that a page shows. */
export function wrongInManifest(document: unknown): string[] {
  return [...wrongInObject(document), ...rulesIn(document).flatMap(wrongInRule)];
}

function wrongInObject(document: unknown): string[] {
  if (!isRecord(document)) return [];
  const { apiVersion, kind, metadata } = document;
  if (apiVersion === undefined && kind === undefined && metadata === undefined) return [];
  if (!KINDS[String(apiVersion)]?.includes(String(kind)))
    return [`there is no ${String(kind)} of ${String(apiVersion)}`];
  return isRecord(metadata) && typeof metadata['name'] === 'string' ? [] : ['it has no name'];
}

function wrongInRule(rule: Readonly<Record<string, unknown>>): string[] {
  const [groups, resources, verbs] = ['apiGroups', 'resources', 'verbs'].map((part) =>
    Array.isArray(rule[part]) ? rule[part].map(String) : [],
  );
  const known = groups!.flatMap((group) => RESOURCES[group] ?? []);
  return [
    ...resources!
      .filter((resource) => !known.includes(resource))
      .map((resource) => `there are no ${resource} in ${JSON.stringify(groups)}`),
    ...verbs!.filter((verb) => !VERBS.includes(verb)).map((verb) => `there is no verb ${verb}`),
    ...(groups!.length && resources!.length && verbs!.length ? [] : ['a rule is not complete']),
  ];
}

/** The rules of a Role, wherever they are. */
function rulesIn(value: unknown): Readonly<Record<string, unknown>>[] {
  if (Array.isArray(value)) return value.flatMap(rulesIn);
  if (!isRecord(value)) return [];
  return 'verbs' in value ? [value] : Object.values(value).flatMap(rulesIn);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
