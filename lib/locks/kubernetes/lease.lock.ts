import { LeaderElectionOptionsError, type OptionFault } from '../../core/errors.js';
import { type GivenLockOptions, givenLockOptions } from '../../core/option-reader.js';
import type { LockRequester, ResourceLock, ResourceLockFactory } from '../../core/resource-lock.js';
import { PodEnvironment } from '../../kubernetes/connection/pod-environment.js';
import type { ClusterChoice } from './cluster-choice.js';
import type { LockObject } from './lease-target.js';
import type { KubeConfigLike } from '../../kubernetes/connection/kubeconfig.loader.js';

/** The options of `leaseLock()`. */
export interface LeaseLockOptions {
  /**
   * Where the API server is: a `KubeConfig` of `@kubernetes/client-node` that the application already has, `'default'`
   * (KUBECONFIG, then `~/.kube/config`), or `'in-cluster'` (the pod's service account).
   * @default 'in-cluster' inside a pod; outside one you have to choose
   * @see docs/kubeconfig.md
   * @example
   * kubeConfig: 'default'
   */
  readonly kubeConfig?: KubeConfigLike | 'default' | 'in-cluster';
  /**
   * Path of a kubeconfig file, instead of `kubeConfig`.
   * @default none
   * @see docs/kubeconfig.md
   * @example
   * kubeConfigFile: './kubeconfig.yaml'
   */
  readonly kubeConfigFile?: string;
  /**
   * A context of the kubeconfig.
   * @default its current context
   * @example
   * kubeConfig: 'default', context: 'staging'
   */
  readonly context?: string;
}

/** The locks in an object of a cluster, as messages name their options. */
export type ClusterLockFactory = 'leaseLock' | 'configMapLock';

const FIELDS = ['kubeConfig', 'kubeConfigFile', 'context'];

/** The methods that tell a KubeConfig from any other object. */
const KUBE_CONFIG_METHODS: readonly (keyof KubeConfigLike)[] = [
  'getCurrentContext',
  'setCurrentContext',
  'getContexts',
  'getContextObject',
  'getCurrentCluster',
  'applyToHTTPSOptions',
];

/**
 * The lock that Kubernetes' own components use: a Lease of `coordination.k8s.io/v1`. Needs the verbs get, create and
 * update on it; with watch a handover takes milliseconds instead of a retry period.
 *
 * @throws LeaderElectionOptionsError with every fault at once
 */
export function leaseLock(options: LeaseLockOptions = {}): ResourceLockFactory {
  return leaseLockIn(new PodEnvironment(), options);
}

export function leaseLockIn(pod: PodEnvironment, options: LeaseLockOptions): ResourceLockFactory {
  const { faults } = clusterFaults('leaseLock', options);
  if (faults.length > 0) throw new LeaderElectionOptionsError(faults);
  return (requester) => openLock('leaseLock', options, { kind: 'Lease' }, requester, pod);
}

/** Most of what a cluster takes is loaded with the first lock: an application without one starts sooner. */
export async function openLock(
  factory: ClusterLockFactory,
  options: LeaseLockOptions,
  object: LockObject,
  requester: LockRequester,
  pod: PodEnvironment,
): Promise<ResourceLock> {
  const choice = chooseCluster(factory, options, pod);
  const { openObjectLock } = await import('./lease-store.js');
  return openObjectLock(choice, object, requester, pod);
}

/** Which cluster checked options mean in this process. */
export function chooseCluster(
  factory: ClusterLockFactory,
  { kubeConfig, kubeConfigFile, context }: LeaseLockOptions,
  pod: PodEnvironment,
): ClusterChoice {
  if (kubeConfigFile !== undefined) {
    return { kind: 'kubeconfig', source: { kind: 'file', file: kubeConfigFile }, context };
  }
  if (kubeConfig === 'default') return { kind: 'kubeconfig', source: { kind: 'default' }, context };
  if (typeof kubeConfig === 'object') {
    return { kind: 'kubeconfig', source: { kind: 'instance', kubeConfig }, context };
  }
  // A token that is not mounted yet is left to the requests; an address that is missing from the environment never
  // comes.
  if (kubeConfig === 'in-cluster' && pod.env['KUBERNETES_SERVICE_HOST']) {
    return { kind: 'in-cluster' };
  }
  const sign = pod.sign();
  if (sign === undefined) {
    throw new LeaderElectionOptionsError([outsideAPod(factory, kubeConfig)]);
  }
  checkPod(`${factory}.kubeConfig`, kubeConfig, pod);
  return { kind: 'in-cluster' };
}

/** @throws LeaderElectionOptionsError that names everything that a process in a pod lacks to use its Lease */
export function checkPod(field: string, value: unknown, pod: PodEnvironment): void {
  const lacks = pod.lacks();
  if (lacks.length === 0) return;
  const what = lacks.map((lack) => lack.what).join(', and ');
  const fixes = [...new Set(lacks.map(({ fix }) => fix))];
  throw new LeaderElectionOptionsError([
    {
      field,
      value,
      ...(value === 'auto' && { isDefault: true }),
      rule: `this process runs in a pod (${pod.sign()}), whose Lease it must use, and ${what}`,
      fix: fixes.join('; '),
    },
  ]);
}

function outsideAPod(factory: ClusterLockFactory, kubeConfig: unknown): OptionFault {
  return {
    field: `${factory}.kubeConfig`,
    value: kubeConfig,
    rule:
      'this process does not run in a pod (no KUBERNETES_SERVICE_HOST, no mounted service account), ' +
      'and joins a cluster from outside only on request',
    fix: `${factory}({ kubeConfig: 'default' }) to use your kubeconfig, or fileLock({ directory }) with a directory that all processes of one machine share`,
  };
}

/**
 * Every fault of the options, of which `more` are beside those of a cluster.
 *
 * @returns what was given, unless that is not an object
 */
export function clusterFaults(
  factory: ClusterLockFactory,
  options: unknown,
  more: readonly string[] = [],
): GivenLockOptions {
  const example = `${factory}({ … }) or ${factory}()`;
  const { given, faults } = givenLockOptions(factory, options, [...more, ...FIELDS], example);
  if (given === undefined) return { given, faults };
  const { kubeConfig, kubeConfigFile, context } = given;
  if (kubeConfig !== undefined && !isKubeConfigOption(kubeConfig)) {
    faults.push(
      fault(
        `${factory}.kubeConfig`,
        kubeConfig,
        "must be 'default', 'in-cluster' or a KubeConfig of @kubernetes/client-node",
        "pass the KubeConfig, or kubeConfigFile: '<path>' for a file",
      ),
    );
  }
  if (kubeConfigFile !== undefined) {
    faults.push(...fileFaults(`${factory}.kubeConfigFile`, kubeConfigFile, kubeConfig));
  }
  if (context !== undefined) {
    faults.push(...contextFaults(`${factory}.context`, context, kubeConfig, kubeConfigFile));
  }
  return { given, faults };
}

function fileFaults(field: string, kubeConfigFile: unknown, kubeConfig: unknown): OptionFault[] {
  if (!isText(kubeConfigFile)) {
    return [
      fault(field, kubeConfigFile, 'must be the path of a kubeconfig', "e.g. './kubeconfig'"),
    ];
  }
  if (kubeConfig === undefined) return [];
  return [
    fault(field, kubeConfigFile, 'cannot be combined with kubeConfig', 'leave one of the two out'),
  ];
}

function contextFaults(
  field: string,
  context: unknown,
  kubeConfig: unknown,
  file: unknown,
): OptionFault[] {
  if (!isText(context)) {
    return [
      fault(field, context, 'must be the name of a context', 'leave it out for the current one'),
    ];
  }
  if (file !== undefined || (kubeConfig !== undefined && kubeConfig !== 'in-cluster')) return [];
  return [
    fault(
      field,
      context,
      'belongs to a kubeconfig, and none is chosen',
      "add kubeConfig: 'default' or kubeConfigFile, or leave context out",
    ),
  ];
}

function isKubeConfigOption(value: unknown): boolean {
  if (value === 'default' || value === 'in-cluster') return true;
  if (typeof value !== 'object' || value === null) return false;
  const methods = value as Record<string, unknown>;
  return KUBE_CONFIG_METHODS.every((method) => typeof methods[method] === 'function');
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

function fault(field: string, value: unknown, rule: string, fix: string): OptionFault {
  return { field, value, rule, fix };
}
