import type { Direction } from '../support/fault-proxy/stream-condition.js';

/** What happens to one process. Times in milliseconds. */
export type ProcessFault =
  | { readonly kind: 'step-down' | 'sigterm' | 'sigkill' }
  | { readonly kind: 'sigstop'; readonly ms: number }
  /** There and back again. */
  | { readonly kind: 'wall-clock-step'; readonly byMs: number; readonly ms: number };

/** What happens to the connections of one process. */
export type NetworkFault =
  | { readonly kind: 'reset' | 'close' }
  | { readonly kind: 'half-open'; readonly lost: 'client' | 'server' }
  | { readonly kind: 'refuse'; readonly ms: number }
  | {
      readonly kind: 'partition';
      readonly direction: Direction | 'both';
      readonly bytes: 'keep' | 'discard';
      readonly ms: number;
    }
  | {
      readonly kind: 'delay';
      readonly direction: Direction | 'both';
      readonly byMs: number;
      readonly ms: number;
    }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number; readonly ms: number };

export type ReplicaFault = ProcessFault | NetworkFault;

/** What happens to the servers that all replicas share. */
export type ServerFault = {
  readonly kind: 'api-server-kill' | 'etcd-kill' | 'api-server-stop' | 'etcd-stop';
  readonly ms: number;
};

/** What people do to the lease. */
export type LeaseFault =
  | { readonly kind: 'lease-delete' }
  | {
      readonly kind: 'lease-edit';
      readonly edit: 'empty-holder' | 'stranger' | 'standby' | 'transitions' | 'duration' | 'times';
    };

export type Fault = ReplicaFault | ServerFault | LeaseFault;

export interface PlannedFault {
  readonly fault: Fault;
  /** Whom a ReplicaFault meets; which one of the standbys, as a fraction. */
  readonly target: 'leader' | 'standby';
  readonly which: number;
  /** How long to wait before the next fault, and whether for a leader first: else faults pile up. */
  readonly pauseMs: number;
  readonly awaitsLeader: boolean;
}

export function isServerFault(fault: Fault): fault is ServerFault {
  return /^(api-server|etcd)-/.test(fault.kind);
}

export function isLeaseFault(fault: Fault): fault is LeaseFault {
  return fault.kind.startsWith('lease-');
}
