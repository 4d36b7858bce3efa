import { onAbort } from '../core/abort-signal.js';
import type { ContainerMark } from '../core/container.js';
import type { Clock } from '../core/clock.js';
import type { Term } from '../core/term.js';
import { messageOf } from '../core/thrown-value.js';
import type { RoleElector } from '../elector/leader-elector.js';

interface OwnContainerDependencies {
  /** Undefined where there is no container to be known; otherwise as MemberSource.ownContainer. */
  readonly read: (signal: AbortSignal) => Promise<ContainerMark | string | undefined>;
  readonly elector: Pick<RoleElector, 'setContainer'>;
  readonly clock: Clock;
  readonly warn: (why: string) => void;
}

/** The kubelet may need some ten seconds to say that a container runs; until then its status is that of the one before. */
const PAUSES_MS = [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000];

/**
 * Finds out in each term in which container this process runs, so that the record can name it (R24). Only a read that
 * begins after the acquisition counts: what was true before may be that of a process which this one is a copy of.
 */
export class OwnContainer {
  private hasTold = false;

  constructor(private readonly its: OwnContainerDependencies) {}

  granted(term: Term): void {
    void this.find(term);
  }

  private async find({ number, signal }: Term): Promise<void> {
    let why = '';
    for (const pauseMs of PAUSES_MS) {
      await this.pause(pauseMs, signal);
      if (signal.aborted) return;
      const found = await this.read(signal);
      if (signal.aborted || found === undefined) return;
      if (typeof found !== 'string') return this.its.elector.setContainer(number, found);
      why = found;
    }
    if (!this.hasTold) this.its.warn(why);
    this.hasTold = true;
  }

  private async read(signal: AbortSignal): Promise<ContainerMark | string | undefined> {
    try {
      return await this.its.read(signal);
    } catch (error) {
      return `asking for it failed: ${messageOf(error)}`;
    }
  }

  private async pause(ms: number, signal: AbortSignal): Promise<void> {
    if (ms === 0) return;
    let stop = (): void => {};
    await new Promise<void>((resolve) => {
      const timer = this.its.clock.setTimer(resolve, ms);
      const stopListening = onAbort(signal, resolve);
      stop = () => {
        timer.cancel();
        stopListening();
      };
    });
    stop();
  }
}
