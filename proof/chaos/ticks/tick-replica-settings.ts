/** What a replica is told in `TICK_REPLICA`. One of the two locks is given. */
export interface TickReplicaSettings {
  readonly name: string;
  /** Receives one line per event, written at once: it survives every death. */
  readonly historyFile: string;
  readonly leaseName: string;
  readonly startingDeadlineSeconds: number;
  /** How many jobs of each kind it has. */
  readonly jobs: number;
  readonly kubeConfigFile?: string;
  readonly lockDirectory?: string;
}

/** What a replica may be asked to do with a job, by a message from the program that has started it. */
export type Request = 'suspend' | 'resume' | 'cancel' | 'inspect';

export interface Order {
  /** Unique among the orders of one run. */
  readonly id: number;
  readonly request: Request;
  readonly job: string;
}

/** One call of the handler. Ticks are nominal times in whole seconds since the epoch. */
export interface RunName {
  readonly job: string;
  readonly tick: number;
  /** 1 for the first call of the handler. */
  readonly attempt: number;
}

export interface StartedEvent extends RunName {
  readonly event: 'started';
  /** How long after its nominal time, in milliseconds of the wall clock. */
  readonly lateMs: number;
  /** Due before this replica had become the leader. */
  readonly caughtUp: boolean;
}

/** Written before the handler returns or throws. */
export interface EndedEvent extends RunName {
  readonly event: 'ended';
  readonly succeeded: boolean;
  /** The signal was aborted by `cancel()`. */
  readonly isCancelled: boolean;
}

interface MissedEvent {
  readonly event: 'missed';
  readonly job: string;
  readonly reason: string;
  readonly ticks: readonly number[];
}

export interface OrderEvent extends Order {
  /** `done` and `failed`: it has been answered. */
  readonly event: 'asked' | 'done' | 'failed';
}

/** A past run, as the stored record tells of it. */
export interface RecordedRun {
  readonly tick: number;
  readonly attempt: number;
  readonly startedAt: number;
  readonly holder: string;
  readonly outcome: string;
}

interface InspectedEvent {
  readonly event: 'inspected';
  readonly job: string;
  readonly runs: readonly RecordedRun[];
}

/** Work that runs once per version. `ended`: it is about to return. `told`: what `once()` came to in this replica. */
export interface OnceEvent {
  readonly event: 'once-started' | 'once-ended' | 'once-told';
  readonly key: OnceKey;
  readonly version: number;
  /** Of `once-told`: what it resolved with, or the code of its error. */
  readonly result?: string;
}

/** The handler of {@link REQUESTED_JOB} was called. */
interface RequestedRunEvent {
  readonly event: 'requested-run';
}

/** A job that runs when people ask for it, and on a day on which no chaos runs. */
export const REQUESTED_JOB = { name: 'by request', expression: '0 0 29 2 1' };

/** The key is what becomes of a run that is interrupted. */
export const ONCE_KEYS = ['fail', 'rerun'] as const;
export type OnceKey = (typeof ONCE_KEYS)[number];

/** One line of a history. */
export type TickEvent = {
  /** The process. */
  readonly name: string;
  /** Milliseconds of the wall clock, which the processes of a machine share and nobody sets. */
  readonly at: number;
} & ToldEvent;

export type ToldEvent =
  | { readonly event: 'granted' | 'revoked' | 'ready' }
  | StartedEvent
  | EndedEvent
  | MissedEvent
  | OrderEvent
  | InspectedEvent
  | RequestedRunEvent
  | OnceEvent;
