import { LeaderElectionOptionsError, type OptionFault } from '../../core/errors.js';
import type { LockRequester, ResourceLockFactory } from '../../core/resource-lock.js';
import { PodEnvironment } from '../../kubernetes/connection/pod-environment.js';
import { clusterFaults, type LeaseLockOptions, openLock } from './lease.lock.js';
import { WriteTurns } from './write-turns.js';

/** The options of `configMapLock()`. */
export interface ConfigMapLockOptions extends LeaseLockOptions {
  /**
   * Name of the ConfigMap, a DNS-1123 subdomain. Several roles may share one.
   * @default 'leaders', as in Spring Cloud Kubernetes
   * @see docs/kubernetes.md#configmap
   * @example
   * name: 'plan-leaders'
   */
  readonly name?: string;
  /**
   * Keep the record in the annotation of client-go's ConfigMap lock, `control-plane.alpha.kubernetes.io/leader`, so that
   * its candidates and tools understand it. It has room for one record: give the role a ConfigMap of its own.
   * @default false: an annotation for each lease, `leader.nestjs-leader-election/<leaseName>`
   * @see docs/kubernetes.md#configmap
   * @example
   * name: 'plan-leader', clientGo: true
   */
  readonly clientGo?: boolean;
}

const DEFAULT_NAME = 'leaders';
const LONGEST_NAME = 253;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** Of the part of an annotation's name behind the slash. */
const LONGEST_IN_ANNOTATION = 63;
const SPRING_PREFIX_LENGTH = 'leader.id.'.length;

/**
 * The lock of teams that come from Spring Cloud Kubernetes: a record in an annotation of a ConfigMap, and beside it
 * `leader.id.<role>` with the name of the leader's pod, where readers of Spring's first integration look for it. Needs the
 * verbs get, create and update on the ConfigMap; with watch a handover takes milliseconds instead of a retry period. Pass
 * one to all roles of an application, so that their writes do not meet.
 *
 * @throws LeaderElectionOptionsError with every fault at once
 */
export function configMapLock(options: ConfigMapLockOptions = {}): ResourceLockFactory {
  return configMapLockIn(new PodEnvironment(), options);
}

export function configMapLockIn(
  pod: PodEnvironment,
  options: ConfigMapLockOptions,
): ResourceLockFactory {
  const { given, faults } = clusterFaults('configMapLock', options, ['name', 'clientGo']);
  if (given !== undefined) faults.push(...ownFaults(given));
  if (faults.length > 0) throw new LeaderElectionOptionsError(faults);
  const { name = DEFAULT_NAME, clientGo: isClientGo = false } = options;
  const turnsOf = new Map<string | undefined, WriteTurns>();
  return async (requester) => {
    const unfit = requesterFaults(requester, isClientGo);
    if (unfit.length > 0) throw new LeaderElectionOptionsError(unfit);
    const turns = turnsOf.get(requester.namespace) ?? new WriteTurns();
    turnsOf.set(requester.namespace, turns);
    const object = { kind: 'ConfigMap', name, isClientGo, turns } as const;
    return openLock('configMapLock', options, object, requester, pod);
  };
}

function ownFaults({ name, clientGo }: Record<string, unknown>): OptionFault[] {
  const faults: OptionFault[] = [];
  if (name !== undefined && !isObjectName(name)) {
    faults.push({
      field: 'configMapLock.name',
      value: name,
      rule: `must be a DNS-1123 subdomain: lower-case letters, digits, "-" and ".", at most ${LONGEST_NAME} characters`,
      fix: `use for example '${DEFAULT_NAME}', or leave it out`,
    });
  }
  if (clientGo !== undefined && typeof clientGo !== 'boolean') {
    const rule = 'must be true or false';
    const fix = 'use true for a ConfigMap of one role that client-go reads, or leave it out';
    faults.push({ field: 'configMapLock.clientGo', value: clientGo, rule, fix });
  }
  return faults;
}

/** What names an entry of the ConfigMap has to be allowed there. */
function requesterFaults(
  { leaseName, role = leaseName }: LockRequester,
  isClientGo: boolean,
): OptionFault[] {
  const faults: OptionFault[] = [];
  const longest = LONGEST_NAME - SPRING_PREFIX_LENGTH;
  if (!/^[-._a-zA-Z0-9]+$/.test(role) || role.length > longest) {
    faults.push({
      field: 'role',
      value: role,
      rule: `must make a key of the ConfigMap, leader.id.<role>: letters, digits, "-", "_" and ".", at most ${longest} characters`,
      fix: "rename it, or use lock: 'lease'",
    });
  }
  if (!isClientGo && leaseName.length > LONGEST_IN_ANNOTATION) {
    faults.push({
      field: 'leaseName',
      value: leaseName,
      rule: `must have at most ${LONGEST_IN_ANNOTATION} characters, as it names an annotation of the ConfigMap`,
      fix: 'shorten it, or give a shorter leaseName than the role',
    });
  }
  return faults;
}

function isObjectName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= LONGEST_NAME && DNS_SUBDOMAIN.test(value);
}
