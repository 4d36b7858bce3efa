/**
 * What may go wrong with one replica's requests while it lasts; `steady-slow` delays every answer by the same time,
 * `stale-read` answers reads from an old cache, `broken-lock` is a lock that throws, never settles or answers nonsense,
 * `webhook` stores something else than was sent.
 */
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
  'steady-slow',
  'stale-read',
  'broken-lock',
  'webhook',
] as const;

/** What may go wrong with one replica's watch while it lasts. */
export const WATCH_FAULTS = ['watch-gap', 'watch-reorder', 'watch-replay'] as const;

/** What happens to one replica's process, or is done with it. */
const PROCESS_FAULTS = [
  'pause',
  'block',
  'late-timers',
  'wall-jump',
  'wall-drift',
  'kill',
  'stop',
  'step-down',
  'fail-handler',
  'suspend',
  'ineligible',
  'interrupt-watch',
] as const;

/**
 * What happens to the store; `churn` is somebody who keeps changing the object's labels, `stranger` another client that
 * stands too, `ask` an operator who writes a request to the leader (R27).
 */
const STORE_FAULTS = ['server-down', 'churn', 'stranger', 'ask'] as const;

/** Reports about containers that are no proof against the holder, where pods are watched (R24). */
const KUBELET_FAULTS = ['wrong-proof'] as const;

/**
 * Drawn only in schedules that say so. What the theorem excludes (H4, H5): hands on the store, a process that lives
 * twice. And what befalls a whole machine: it sleeps, or is restored where the monotonic clock shows less.
 */
const LAWLESS_FAULTS = ['delete', 'edit', 'restore', 'clone', 'sleep', 'clock-restore'] as const;

/** Each of them is answered at once: the next try is only a back-off away. */
const PROMPT_FAULTS: readonly FaultKind[] = [
  'reset',
  'fail-before-applying',
  'fail-after-applying',
  'reject',
  'refuse',
];

/** None of these keeps a leader from renewing. */
const HARMLESS_FAULTS: readonly FaultKind[] = [
  ...WATCH_FAULTS,
  'interrupt-watch',
  'kill',
  'stop',
  'step-down',
  'fail-handler',
  'suspend',
  'ineligible',
  'stranger',
  'wrong-proof',
];

/** How a fault keeps a leader from renewing: not at all, by refusals, by its wall clock, or in any other way. */
export type Hindrance = 'none' | 'refusal' | 'wall' | 'any';

export function hindranceOf(kind: FaultKind): Hindrance {
  if (HARMLESS_FAULTS.includes(kind)) return 'none';
  if (PROMPT_FAULTS.includes(kind)) return 'refusal';
  return kind === 'wall-jump' || kind === 'wall-drift' ? 'wall' : 'any';
}

/** Faults of the store befall every candidate. */
export function befallsAll(kind: FaultKind): boolean {
  return (
    (STORE_FAULTS as readonly string[]).includes(kind) ||
    ['delete', 'edit', 'restore'].includes(kind)
  );
}

export type FaultKind =
  | (typeof REQUEST_FAULTS)[number]
  | (typeof WATCH_FAULTS)[number]
  | (typeof PROCESS_FAULTS)[number]
  | (typeof STORE_FAULTS)[number]
  | (typeof KUBELET_FAULTS)[number]
  | (typeof LAWLESS_FAULTS)[number];

export const FAULT_KINDS: readonly FaultKind[] = [
  ...REQUEST_FAULTS,
  ...WATCH_FAULTS,
  ...PROCESS_FAULTS,
  ...STORE_FAULTS,
  ...KUBELET_FAULTS,
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
