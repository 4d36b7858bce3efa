import type { AskedRun } from './asked-run.js';
import type { RandomStream } from '../simulation/random-stream.js';

/**
 * What a run does that is stuck: `obedient` ends when its signal is aborted, `slow` a while later, `deaf` never. Other
 * runs end by themselves, whatever their signals say.
 */
export type Manner = 'busy' | 'obedient' | 'slow' | 'deaf';

export function drawManner(random: RandomStream): Manner {
  return random.chance(0.1)
    ? random.pick(['obedient', 'obedient', 'slow', 'deaf'] as const)
    : 'busy';
}

/** A run of a process, from the call of its handler on. All times are true ones, in milliseconds. */
export class CancellableRun {
  /** Of the record; known as soon as its handler has returned or waits. */
  id = '';
  abortedAt: number | undefined;
  endedAt: number | undefined;
  /** What became of it, as its handler sees it. */
  became: 'succeeded' | 'failed' | 'cancelled' | undefined;
  /** The call of `trigger()` that it is the run of. */
  asked: AskedRun | undefined;
  /** The library holds it to be cancelled. */
  isCancelled = false;
  /** The library no longer lets it keep another run from starting. */
  isOverdue = false;

  constructor(readonly isOrphaned: () => boolean) {}

  /** When its signal was aborted, or it has ended; Infinity if neither. */
  get endingAt(): number {
    return Math.min(this.abortedAt ?? Infinity, this.endedAt ?? Infinity);
  }
}
