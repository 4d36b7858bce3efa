/** What may go wrong with one replica's requests while it lasts. */
export const REQUEST_FAULTS = [
  'slow',
  'lose-request',
  'lose-response',
  'ghost',
  'duplicate',
  'resend',
  'reset',
  'fail-before-applying',
  'fail-after-applying',
  'reject',
  'refuse',
  'drop-requests',
  'hold-requests',
  'drop-responses',
  'hold-responses',
] as const;

/** What may go wrong with one replica's watch while it lasts. */
export const WATCH_FAULTS = ['watch-gap', 'watch-reorder', 'watch-replay'] as const;

/** What happens to one replica's process, or is done with it. */
export const PROCESS_FAULTS = [
  'pause',
  'block',
  'late-timers',
  'wall-jump',
  'kill',
  'stop',
  'step-down',
  'fail-handler',
  'suspend',
  'interrupt-watch',
] as const;

/**
 * What happens to the store; `churn` is somebody who keeps changing the object's labels, `stranger` another client that
 * stands too.
 */
export const STORE_FAULTS = ['server-down', 'churn', 'stranger'] as const;

/** What the theorem excludes (H3, H4): drawn only in schedules that say so. */
export const LAWLESS_FAULTS = ['delete', 'edit', 'restore', 'sleep'] as const;

export type FaultKind =
  | (typeof REQUEST_FAULTS)[number]
  | (typeof WATCH_FAULTS)[number]
  | (typeof PROCESS_FAULTS)[number]
  | (typeof STORE_FAULTS)[number]
  | (typeof LAWLESS_FAULTS)[number];

export const FAULT_KINDS: readonly FaultKind[] = [
  ...REQUEST_FAULTS,
  ...WATCH_FAULTS,
  ...PROCESS_FAULTS,
  ...STORE_FAULTS,
  ...LAWLESS_FAULTS,
];

/** One entry of the list that is drawn before a schedule starts; removing entries shrinks it. */
export interface Fault {
  readonly kind: FaultKind;
  readonly at: number;
  readonly until: number;
  /** Which candidate; store faults do not look at it. */
  readonly slot: number;
  /** Uniform in [0, 1): how bad, or which variety. */
  readonly severity: number;
}

export function isFaultKind(name: string): name is FaultKind {
  return (FAULT_KINDS as readonly string[]).includes(name);
}
