import type { ContainerMark, ContainerUnknown } from '../core/container.js';
import type { Clock } from '../core/clock.js';
import type { Term } from '../core/term.js';
import { messageOf } from '../core/thrown-value.js';
import type { RoleElector } from '../elector/leader-elector.js';
import { pause } from '../kubernetes/pause.js';

interface OwnContainerDependencies {
  /** Undefined where there is no container to be known; otherwise as MemberSource.ownContainer. */
  readonly read: (signal: AbortSignal) => Promise<ContainerMark | ContainerUnknown | undefined>;
  readonly elector: Pick<RoleElector, 'setContainer'>;
  readonly clock: Clock;
  readonly warn: (why: string) => void;
}

/** The kubelet may need some ten seconds to say that a container runs; until then its status is that of the one before. */
const PAUSES_MS = [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000];
const LONGEST_PAUSE_MS = 60_000;

/**
 * Finds out in each term in which container this process runs, so that the record can name it (R24). Only a read that
 * begins after the acquisition counts: what was true before may be that of a process which this one is a copy of.
 */
export class OwnContainer {
  private readonly told = new Set<string>();

  constructor(private readonly its: OwnContainerDependencies) {}

  granted(term: Term): void {
    void this.find(term);
  }

  private async find({ number, signal }: Term): Promise<void> {
    for (let reads = 0; ; reads += 1) {
      const pauseMs = PAUSES_MS[reads] ?? LONGEST_PAUSE_MS;
      if (pauseMs > 0) await pause(this.its.clock, pauseMs, signal);
      if (signal.aborted) return;
      const found = await this.read(signal);
      if (signal.aborted || found === undefined) return;
      if (!('why' in found)) return this.its.elector.setContainer(number, found);
      if (!found.mayPass || reads + 1 >= PAUSES_MS.length) this.warn(found.why);
      if (!found.mayPass) return;
    }
  }

  private warn(why: string): void {
    if (this.told.has(why)) return;
    this.told.add(why);
    this.its.warn(why);
  }

  private async read(signal: AbortSignal): Promise<ContainerMark | ContainerUnknown | undefined> {
    try {
      return await this.its.read(signal);
    } catch (error) {
      return { why: `asking for it failed: ${messageOf(error)}`, mayPass: true };
    }
  }
}
