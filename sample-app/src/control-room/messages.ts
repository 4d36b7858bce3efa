/** What a replica and the program that started it say to each other. Times are milliseconds since the epoch. */
export type ReplicaMessage =
  | { readonly kind: 'listening'; readonly url: string }
  | {
      readonly kind: 'leadership';
      readonly at: number;
      /** Null while it does not lead. */
      readonly term: number | null;
      /** Why its last term ended. */
      readonly reason: string | null;
    }
  | TickRun
  | { readonly kind: 'missed'; readonly tick: number }
  | RecordedTicks
  /** Its event loop turns again. */
  | { readonly kind: 'unblocked' };

/** Said by the job itself, once for each call. */
export interface TickRun {
  readonly kind: 'ran';
  /** The nominal time of the tick, which is its identity in the whole fleet. */
  readonly tick: number;
  /** Someone has asked for this run: it is that of no tick, though it may have the time of one. */
  readonly isTriggered: boolean;
  readonly at: number;
  readonly term: number;
  /** It was due before the term began, or the next one was due already. */
  readonly isCaughtUp: boolean;
}

/** What the record beside the lease says; all replicas share it, and it outlives each of them. */
export interface RecordedTicks {
  readonly kind: 'recorded';
  /** The latest tick that was claimed. */
  readonly latest: number | null;
  /** Of those that have not ended. */
  readonly active: readonly number[];
  /** The last runs that are over. */
  readonly past: readonly {
    readonly tick: number;
    readonly holder: string;
    /** True: it was claimed, and no end of it was recorded. */
    readonly isInterrupted: boolean;
  }[];
}

export type ReplicaOrder =
  | { readonly order: 'cut' }
  | { readonly order: 'heal' }
  | { readonly order: 'block'; readonly ms: number };

export const JOB = {
  name: 'every-second',
  schedule: '* * * * * *',
  intervalMs: 1_000,
  /** A tick that is later than this is missed. */
  startingDeadlineSeconds: 3,
} as const;
