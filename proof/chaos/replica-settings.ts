import type { ElectionOptions } from '../../lib/core/election-options.js';
import type { Sabotage } from './chaos-options.js';

/** What a replica of the chaos is told in `CHAOS_REPLICA`. */
export interface ReplicaSettings {
  readonly name: string;
  readonly historyFile: string;
  readonly registerPort: number;
  readonly leaseName: string;
  readonly options: Omit<ElectionOptions, 'role' | 'leaseName' | 'namespace'>;
  /** Of the Lease lock; else `lockDirectory` is given. */
  readonly kubeConfigFile?: string | undefined;
  readonly lockDirectory?: string | undefined;
  readonly sabotage?: Sabotage | undefined;
}

export type ReplicaOrder =
  | { readonly kind: 'step-down' }
  | {
      readonly kind: 'step-wall-clock' | 'block-loop' | 'busy-pool' | 'exhaust-files';
      readonly ms: number;
    };

/** What a replica reports at once. The history file is what counts: it survives everything. */
export type ReplicaReport =
  { readonly kind: 'ready'; readonly identity: string } | { readonly kind: 'granted' | 'revoked' };
