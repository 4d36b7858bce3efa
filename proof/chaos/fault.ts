import type { Direction } from '../fault-proxy/stream-condition.js';

/** What happens to one process. Times in milliseconds. */
type ProcessFault =
  | { readonly kind: 'step-down' | 'sigterm' | 'sigkill' }
  | { readonly kind: 'sigstop'; readonly ms: number }
  /** The event loop does nothing else for so long. */
  | { readonly kind: 'block-loop'; readonly ms: number }
  /** All threads of libuv's pool compute, and more work than they can do is queued before whatever comes. */
  | { readonly kind: 'busy-pool'; readonly ms: number }
  /** The process gets a share of a processor, as a container with a low limit does: it runs and is stopped in turns. */
  | {
      readonly kind: 'starve';
      readonly runMs: number;
      readonly stopMs: number;
      readonly ms: number;
    }
  /** No descriptor is left (EMFILE). */
  | { readonly kind: 'exhaust-files'; readonly ms: number }
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
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number; readonly ms: number }
  /** A load balancer answers in the server's place, before or after the request has reached that. */
  | {
      readonly kind: 'http-error';
      readonly status: 429 | 500 | 502 | 503 | 504;
      readonly reachesServer: boolean;
      readonly retryAfterSeconds?: number | undefined;
      readonly ms: number;
    }
  /** The connections go to the other API server from now on. */
  | { readonly kind: 'other-server' };

export type ReplicaFault = ProcessFault | NetworkFault;

/** What happens to the servers that all replicas share. */
export type ServerFault =
  | { readonly kind: 'etcd-kill' | 'etcd-stop'; readonly ms: number }
  | {
      readonly kind: 'api-server-kill' | 'api-server-stop';
      /** Which of them. */
      readonly server: number;
      readonly ms: number;
    }
  /** The tokens of all replicas become void; new ones are in their kubeconfigs after a while. */
  | { readonly kind: 'token-rotation'; readonly ms: number }
  /** No space is left where the file lock keeps its leases (ENOSPC). */
  | { readonly kind: 'disk-full'; readonly ms: number };

/** What people do to the lease. */
export type LeaseFault =
  | { readonly kind: 'lease-delete' }
  | {
      readonly kind: 'lease-edit';
      readonly edit: 'empty-holder' | 'stranger' | 'standby' | 'transitions' | 'duration' | 'times';
    };

/** What people ask whoever leads for. */
export type RequestFault =
  | { readonly kind: 'ask'; readonly successor: 'none' | 'standby' | 'stranger' }
  /** An earlier request is written once more. */
  | { readonly kind: 'ask-again' };

export type Fault = ReplicaFault | ServerFault | LeaseFault | RequestFault;

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
  return /^(api-server|etcd|token|disk)-/.test(fault.kind);
}

export function isRequestFault(fault: Fault): fault is RequestFault {
  return fault.kind.startsWith('ask');
}

export function isLeaseFault(fault: Fault): fault is LeaseFault {
  return fault.kind.startsWith('lease-');
}
