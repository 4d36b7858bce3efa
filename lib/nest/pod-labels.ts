import type { Clock } from '../core/clock.js';
import { LeaderElectionOptionsError, type LockRequestError } from '../core/errors.js';
import type { ResourceLock } from '../core/resource-lock.js';
import { atHome } from '../elector/system-clock.js';
import type { LeaderMark, RoleMark } from '../kubernetes/leader-mark.js';
import { ClusterLock } from '../locks/kubernetes/cluster-lock.js';
import type { ResolvedModuleOptions } from './leader-election.options.js';

/** Who asks for the label: one role of the application. */
interface LabelledRole {
  readonly options: Pick<
    ResolvedModuleOptions,
    'role' | 'identity' | 'podLabel' | 'requestTimeoutMs'
  >;
  readonly lock: ResourceLock;
}

/** The option `podLabel` of all roles of an application, which share one pod. */
export class PodLabels {
  private mark: LeaderMark | undefined;

  constructor(private readonly clock: Clock) {}

  /**
   * Undefined where there is no pod to mark: on a laptop, or under a test runner.
   *
   * @throws LeaderElectionOptionsError in a pod whose namespace is unknown
   */
  markOf(
    { options: { role, identity, podLabel, requestTimeoutMs }, lock }: LabelledRole,
    report: (error: LockRequestError) => void,
  ): RoleMark | undefined {
    if (!podLabel || !(lock instanceof ClusterLock) || lock.cluster.kind !== 'in-cluster') {
      return undefined;
    }
    this.mark ??= this.markIn(lock);
    return this.mark.join(role, { requestTimeoutMs, identity, report });
  }

  private markIn(lock: ClusterLock): LeaderMark {
    const { pod } = lock;
    const namespace = pod.namespace();
    if (namespace === undefined) {
      throw new LeaderElectionOptionsError([
        {
          field: 'podLabel',
          value: true,
          rule: `needs the namespace of the pod, and there is no ${pod.namespaceFile}`,
          fix: 'set POD_NAMESPACE from the field metadata.namespace of the pod',
        },
      ]);
    }
    const podName = pod.name();
    return atHome(() => lock.leaderMark({ namespace, podName, clock: this.clock }));
  }
}
