/** What a replica is told in `TICK_REPLICA`. One of the two locks is given. */
export interface TickReplicaSettings {
  readonly name: string;
  /** Receives one line per event, written at once: it survives every death. */
  readonly historyFile: string;
  readonly leaseName: string;
  readonly startingDeadlineSeconds: number;
  readonly kubeConfigFile?: string;
  readonly lockDirectory?: string;
}

/** One line of a history. Ticks are nominal times in whole seconds since the epoch. */
export type TickEvent =
  | { readonly event: 'granted' | 'revoked' | 'ready'; readonly name: string }
  | {
      readonly event: 'started';
      readonly name: string;
      readonly tick: number;
      /** How late, in milliseconds of the wall clock. */
      readonly lateMs: number;
      /** Due before this replica had become the leader. */
      readonly caughtUp: boolean;
    }
  /** The work of a version that must run once was called. */
  | { readonly event: 'once'; readonly name: string; readonly version: number }
  | {
      readonly event: 'missed';
      readonly name: string;
      readonly reason: string;
      readonly ticks: readonly number[];
    };
