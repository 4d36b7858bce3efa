/** What the server of the control room says to its page, as plain JSON. Times are milliseconds since the epoch. */
export interface FleetView {
  readonly now: number;
  readonly lock: 'file' | 'lease';
  /** How long after its last renewal a leader that says nothing is replaced. */
  readonly leaseDurationMs: number;
  readonly canAdd: boolean;
  /** One lane each, in the order in which they were added. */
  readonly replicas: readonly ReplicaView[];
  readonly leader: TermView | null;
  readonly leaderlessSince: number | null;
  /** Null until the first tick. */
  readonly counts: TickCounts | null;
  /** Ascending; those that the page has room for. */
  readonly ticks: readonly TickView[];
  /** Oldest first. */
  readonly terms: readonly TermView[];
  readonly events: readonly FleetEvent[];
}

export type ReplicaState = 'starting' | 'running' | 'frozen' | 'blocked' | 'stopping' | 'ended';

/** When its process ran, and what was done to it meanwhile. */
export interface ReplicaSpan {
  readonly kind: 'running' | 'halted' | 'cut';
  readonly from: number;
  /** Null: it lasts. */
  readonly to: number | null;
}

export interface ReplicaView {
  readonly name: string;
  readonly state: ReplicaState;
  /** Its requests for the lock do not arrive. */
  readonly isCut: boolean;
  /** How the last process ended: `SIGKILL`, `exit code 0`. */
  readonly end: string | null;
  readonly pid: number | null;
  readonly dashboard: string | null;
  /** Oldest first; those that the page has room for. */
  readonly spans: readonly ReplicaSpan[];
  /** What can be done with it now. */
  readonly can: readonly ReplicaAction[];
}

export const REPLICA_ACTIONS = [
  'kill',
  'stop',
  'freeze',
  'thaw',
  'cut',
  'heal',
  'block',
  'start',
] as const;
export type ReplicaAction = (typeof REPLICA_ACTIONS)[number];

export const BLOCK_MS = 7_000;

export type FleetAction =
  { readonly action: 'add' } | { readonly action: ReplicaAction; readonly replica: string };

/** What is known of a tick; at most one of the first three is true of a fleet that keeps its promise. */
export type TickState = 'ran' | 'caught-up' | 'twice' | 'missed' | 'interrupted' | 'due';

export interface TickView {
  readonly tick: number;
  readonly state: TickState;
  /** Who ran it; of one that was interrupted, who claimed it. */
  readonly replicas: readonly string[];
  /** When its handler was first called; null if no replica has told of that. */
  readonly ranAt: number | null;
}

export interface TickCounts {
  /** The first tick that is counted. */
  readonly since: number;
  /** On one replica, once; those that were caught up are among them. */
  readonly ran: number;
  readonly caughtUp: number;
  readonly twice: number;
  readonly missed: number;
  /** Claimed by a replica that ended before it could say whether it ran; never run again. */
  readonly interrupted: number;
}

export interface TermView {
  readonly replica: string;
  readonly term: number;
  readonly from: number;
  /** Null: it leads still. */
  readonly to: number | null;
  readonly reason: string | null;
  /** How long no replica led before it, in milliseconds; null for the first term. Negative: two led at once. */
  readonly gapMs: number | null;
}

export interface FleetEvent {
  readonly id: number;
  readonly at: number;
  readonly tone: 'plain' | 'good' | 'warning' | 'bad';
  readonly text: string;
}
