import type { RandomStream } from '../simulation/random-stream.js';

/** How bad one run is. Every probability is per request; drawn anew for each seed, so that runs differ in kind. */
export interface FaultMix {
  readonly loseRequest: number;
  readonly loseAnswer: number;
  readonly failBefore: number;
  readonly failAfter: number;
  /** The request arrives once more, later. */
  readonly duplicate: number;
  /** No answer, and the request arrives up to 20 s later. */
  readonly ghost: number;
  readonly slow: number;
  /** The term ends while a write is under way. */
  readonly loseTermOnWrite: number;
  /** Mean seconds between events of a replica; Infinity for never. */
  readonly pauseEvery: number;
  readonly partitionEvery: number;
  readonly restartEvery: number;
  readonly stepClockEvery: number;
  readonly loseTermEvery: number;
  /** Between changes of what a process knows of a job: it removes the job, or adds it again. */
  readonly changeJobEvery: number;
  readonly triggerEvery: number;
  /** The store is gone, for all, for up to a minute and a half. */
  readonly outageEvery: number;
  /** All answers of the store take long, though not too long, for up to half a minute. */
  readonly slowEvery: number;
  /** The store refuses with 429 and Retry-After, for up to 20 s. */
  readonly refuseEvery: number;
  /** Whatever is written conflicts, as if others wrote without end, for up to 10 s. */
  readonly conflictEvery: number;
  /** Somebody puts an earlier version of the document back. */
  readonly restoreEvery: number;
  readonly suspendJobEvery: number;
  /** A process suspends or resumes a job for all of them. */
  readonly switchFleetEvery: number;
  /** A process cancels the runs of a job, and some runs are stuck; Infinity: none is. */
  readonly cancelEvery: number;
  /** One process leads at a time, and tokens grow; otherwise all believe that they lead. */
  readonly isOrderly: boolean;
  /** Largest difference of a wall clock from true time when a process starts, in milliseconds; twice that later. */
  readonly skewMs: number;
  /** How long the record of a job is kept that no leader knows. */
  readonly keptUnknownMs: number;
}

export function drawFaults(random: RandomStream): FaultMix {
  const rate = (most: number): number => (random.chance(0.5) ? random.between(0, most) : 0);
  const every = (least: number): number =>
    random.chance(0.5) ? random.between(least, 5 * least) : Infinity;
  const rarely = (least: number): number =>
    random.chance(0.2) ? random.between(least, 3 * least) : Infinity;
  return {
    loseRequest: rate(0.2),
    loseAnswer: rate(0.2),
    failBefore: rate(0.1),
    failAfter: rate(0.1),
    duplicate: rate(0.2),
    ghost: rate(0.15),
    slow: rate(0.2),
    loseTermOnWrite: rate(0.1),
    pauseEvery: every(10),
    partitionEvery: every(20),
    restartEvery: every(20),
    stepClockEvery: every(15),
    loseTermEvery: every(8),
    changeJobEvery: every(3),
    triggerEvery: every(1),
    outageEvery: rarely(60),
    slowEvery: rarely(40),
    refuseEvery: rarely(30),
    conflictEvery: rarely(30),
    restoreEvery: rarely(60),
    suspendJobEvery: rarely(10),
    switchFleetEvery: rarely(10),
    cancelEvery: random.chance(0.25) ? random.between(4, 20) : Infinity,
    isOrderly: random.chance(0.25),
    skewMs: random.pick([0, 20, 500, 3_000, 10_000]),
    keptUnknownMs: random.pick([500, 2_000, 5_000]),
  };
}

/** No fault of the network, for the time after all of them. */
export const CALM_NETWORK = {
  loseRequest: 0,
  loseAnswer: 0,
  failBefore: 0,
  failAfter: 0,
  duplicate: 0,
  ghost: 0,
  slow: 0,
} satisfies Partial<FaultMix>;

/** What has to happen sometimes: a fault that never strikes, and a rule that is never needed, test nothing. */
export const SOMETIMES: readonly string[] = [
  'answer lost',
  'ask busy',
  'ask cancelled',
  'ask claimed',
  'ask failed',
  'ask interrupted',
  'ask not-asked',
  'ask not-started',
  'ask overtaken',
  'ask refused',
  'ask started',
  'ask succeeded',
  'ask taken-back',
  'ask unknown',
  'ask unresolved',
  'attempt cancelled',
  'attempt handed back',
  'attempt replaced',
  'attempt too-late',
  'cancel asked',
  'cancel ended',
  'cancel none',
  'cancel unknown',
  'cancelled from afar',
  'clock stepped',
  'conflicts without end',
  'cut off',
  'deaf run',
  'duplicated',
  'failed after',
  'failed before',
  'ghost',
  'handed back',
  'job added',
  'job moved',
  'job removed',
  'killed',
  'killed between mark and copy',
  'many jobs',
  'not handed back',
  'other text',
  'partitioned',
  'paused',
  'record made anew',
  'record restored',
  'record swept',
  'refused',
  'request lost',
  'rerun',
  'resumed',
  'resumed for all',
  'slow',
  'store gone',
  'suspended',
  'suspended for all',
  'term expired',
  'term lost',
  'trigger cancelled',
  'trigger failed',
  'trigger forbidden',
  'trigger succeeded',
  'trigger unresolved',
  'tried again',
];

/** How often each of them did, to a request, a replica, a record or a caller. */
export class FaultCount {
  readonly counts: Record<string, number> = {};

  add(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  merge(other: FaultCount): void {
    for (const [what, count] of Object.entries(other.counts)) {
      this.counts[what] = (this.counts[what] ?? 0) + count;
    }
  }
}
