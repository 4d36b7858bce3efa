import { isJsonObject } from '../../core/json-document.js';
import {
  configMapAddress,
  describeMissingRule,
  eventAddress,
  leaseAddress,
  podAddress,
  type ObjectAddress,
  type Verb,
} from '../../kubernetes/object-request.js';
import { bodyOf, type ClusterApi } from './cluster-api.js';
import { fault, type FaultCode, type Finding, ok, warning } from './finding.js';

/** What an application uses beside the election. */
export const FEATURES = ['schedule', 'pods', 'pod-label', 'events'] as const;
export type Feature = (typeof FEATURES)[number];

/** Whose rights are looked at. */
export interface RightsOf {
  /** Null: those of the credentials in use. */
  readonly serviceAccount: string | null;
  readonly leaseName: string;
  /** The ConfigMap that holds the lease; undefined for the Lease lock. */
  readonly configMap?: string | undefined;
  readonly features: readonly Feature[];
}

interface Need {
  readonly verb: Verb;
  readonly address: ObjectAddress;
  /** What does not work without it. */
  readonly without: string;
  readonly isOptional?: boolean;
}

interface Attributes {
  readonly namespace: string;
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly name: string;
}

/** Each verb that is needed and missing, and what is granted beyond that. */
export async function rightsFindings(api: ClusterApi, of: RightsOf): Promise<readonly Finding[]> {
  const needs = needsOf(api.namespace, of);
  const [first] = needs;
  const isKnown = await isAllowed(api, of, attributesOf(first!));
  if (isKnown === undefined) {
    return [
      warning(
        'rights.unknown',
        'the API server does not say which rights there are',
        of.serviceAccount === null
          ? 'Allow this user to create selfsubjectaccessreviews (the ClusterRole system:basic-user).'
          : 'Allow this user to create subjectaccessreviews, or call doctor in the pod.',
      ),
    ];
  }
  const [missing, wide] = await Promise.all([
    Promise.all(needs.map((need) => missingOf(api, of, need))),
    widthOf(api, of),
  ]);
  const findings = [...missing.flat(), ...wide];
  return findings.length > 0
    ? findings
    : [
        ok(
          'rights.fit',
          `${subjectOf(of)} has each right that is needed, and no other that was looked for`,
        ),
      ];
}

function lockObject(namespace: string, { leaseName, configMap }: RightsOf): ObjectAddress {
  return configMap === undefined
    ? leaseAddress(namespace, leaseName)
    : configMapAddress(namespace, configMap);
}

function needsOf(namespace: string, of: RightsOf): Need[] {
  const { features } = of;
  const lease = lockObject(namespace, of);
  // What is beside a lease has its name, also where the lease is one of several in a ConfigMap.
  const schedule = { ...lease, name: `${of.leaseName}-schedule` };
  const pods = podAddress(namespace);
  const events = eventAddress(namespace);
  const leads = 'no replica can lead';
  const needs: Need[] = [
    { verb: 'get', address: lease, without: leads },
    { verb: 'create', address: lease, without: `${leads} until the lease has been created` },
    { verb: 'update', address: lease, without: leads },
    {
      verb: 'watch',
      address: lease,
      without: 'a handover takes up to a retry period',
      isOptional: true,
    },
  ];
  if (features.includes('schedule')) {
    const without = 'no job of @LeaderCron() runs';
    needs.push(
      { verb: 'get', address: schedule, without },
      { verb: 'update', address: schedule, without },
    );
  }
  if (features.includes('pods')) {
    for (const verb of ['get', 'list', 'watch'] as const) {
      needs.push({
        verb,
        address: pods,
        without: 'members and the death of containers are unknown',
      });
    }
  }
  if (features.includes('pod-label')) {
    needs.push({ verb: 'patch', address: pods, without: "the leader's pod has no label" });
  }
  if (features.includes('events')) {
    for (const verb of ['create', 'patch'] as const) {
      needs.push({ verb, address: events, without: 'no Kubernetes Event is recorded' });
    }
  }
  return needs;
}

function attributesOf({ verb, address }: Need): Attributes {
  const { namespace, apiGroup: group, resource, name } = address;
  return { namespace, verb, group, resource, name: verb === 'create' ? '' : name };
}

async function missingOf(api: ClusterApi, of: RightsOf, need: Need): Promise<Finding[]> {
  if ((await isAllowed(api, of, attributesOf(need))) !== false) return [];
  const { verb, address, without, isOptional } = need;
  const named =
    verb === 'create' || address.name === ''
      ? address.resource
      : `${address.resource} "${address.name}"`;
  const what = `${subjectOf(of)} may not ${verb} ${named} in namespace ${address.namespace}: ${without}`;
  const code = `rights.missing-${verb}-${address.resource}` as const;
  const fix = describeMissingRule(
    verb,
    address,
    of.serviceAccount === null ? 'user' : 'service account',
  );
  return [isOptional === true ? warning(code, what, fix) : fault(code, what, fix)];
}

/** A right that nothing of this library needs. */
interface Excess {
  readonly code: FaultCode;
  readonly attributes: Attributes;
  readonly what: string;
  readonly fix: string;
}

async function widthOf(api: ClusterApi, of: RightsOf): Promise<Finding[]> {
  const { namespace } = api;
  const { apiGroup: group, resource, name } = lockObject(namespace, of);
  const lease = { namespace, group, resource, name };
  const everything: Attributes = { namespace: '', verb: '*', group: '*', resource: '*', name: '' };
  if ((await isAllowed(api, of, everything)) === true) {
    const whose =
      of.serviceAccount === null
        ? 'these are your own rights: look at those of the application with --service-account'
        : 'a compromised replica owns the cluster';
    return [
      warning(
        'rights.everything',
        `${subjectOf(of)} may do everything in the cluster; ${whose}`,
        'Bind a Role with the rules of the README instead of cluster-admin.',
      ),
    ];
  }
  const excesses: Excess[] = [
    {
      code: 'rights.any-lease',
      attributes: { ...lease, verb: 'update', name: '' },
      what: `may update every object of ${resource} in the namespace`,
      fix: 'Name the lease in the rule (resourceNames); only create cannot be limited so.',
    },
    {
      code: 'rights.delete',
      attributes: { ...lease, verb: 'delete' },
      what: 'may delete the lease, which ends terms that were certain',
      fix: 'Take the verb delete out of the rule: nothing of this library deletes a lease.',
    },
    {
      code: 'rights.other-namespaces',
      attributes: { ...lease, namespace: 'kube-system', verb: 'update', name: '' },
      what: `may update ${resource} of other namespaces, those of the control plane among them`,
      fix: 'Bind a Role in this namespace instead of a ClusterRole.',
    },
    {
      code: 'rights.secrets',
      attributes: { namespace, group: '', resource: 'secrets', verb: 'get', name: '' },
      what: 'may read every Secret of the namespace',
      fix: 'Give the election a ServiceAccount or a Role that does not.',
    },
  ];
  const found = await Promise.all(
    excesses.map(async ({ code, attributes, what, fix }) =>
      (await isAllowed(api, of, attributes)) === true
        ? [warning(code, `${subjectOf(of)} ${what}`, fix)]
        : [],
    ),
  );
  return found.flat();
}

function subjectOf({ serviceAccount }: RightsOf): string {
  return serviceAccount === null
    ? 'the user of these credentials'
    : `the service account ${serviceAccount}`;
}

/** Undefined: the server does not say. */
async function isAllowed(
  api: ClusterApi,
  { serviceAccount }: RightsOf,
  resourceAttributes: Attributes,
): Promise<boolean | undefined> {
  const isOwn = serviceAccount === null;
  const kind = isOwn ? 'SelfSubjectAccessReview' : 'SubjectAccessReview';
  const user = `system:serviceaccount:${api.namespace}:${serviceAccount}`;
  const groups = [
    'system:authenticated',
    'system:serviceaccounts',
    `system:serviceaccounts:${api.namespace}`,
  ];
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind,
    spec: { resourceAttributes, ...(!isOwn && { user, groups }) },
  };
  const path = `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`;
  const answer = await api.ask({ method: 'POST', path, body, isRepeatable: true });
  const { status } = bodyOf(answer, 200, 201) ?? {};
  const { allowed } = isJsonObject(status) ? status : {};
  return typeof allowed === 'boolean' ? allowed : undefined;
}
