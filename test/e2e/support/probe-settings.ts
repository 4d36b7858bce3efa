import type { ElectionOptions } from '../../../lib/core/election-options.js';
import type { LeaderElectionModuleOptions } from '../../../lib/nest/leader-election.options.js';

/** What a probe replica is told in `PROBE_SETTINGS`. One of the three ways to a lock must be given. */
export interface ProbeSettings {
  readonly leaseName: string;
  readonly namespace?: string;
  readonly kubeConfigFile?: string;
  readonly serviceAccountDirectory?: string;
  readonly lockDirectory?: string;
  readonly options?: Omit<ElectionOptions, 'role' | 'leaseName' | 'namespace'>;
  /** @default probe */
  readonly role?: string;
  /** In a pod: a ConfigMap instead of a Lease. */
  readonly isConfigMap?: boolean;
  readonly inCluster?: Pick<
    LeaderElectionModuleOptions,
    'createLease' | 'events' | 'members' | 'placement' | 'podLabel' | 'podWatch'
  >;
  /** How long the `@OnRevoked` handler takes. */
  readonly slowRevokeMs?: number;
  /** Where to write the instants, in milliseconds of the monotonic clock, at which `isLeader()` was true. */
  readonly probeFile?: string;
  /** No such file, nor the timer behind it. */
  readonly isUnprobed?: boolean;
  readonly verbose?: boolean;
}
