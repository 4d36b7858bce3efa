import { setTimeout as delay } from 'node:timers/promises';
import type { ChaosCluster } from './chaos-cluster.js';
import {
  isLeaseFault,
  isServerFault,
  type LeaseFault,
  type PlannedFault,
  type ReplicaFault,
  type ServerFault,
} from './fault.js';
import { monotonicNs } from './history-recorder.js';
import type { InjectedFault } from './leadership-changes.js';
import { afflict } from './replica-affliction.js';
import type { ReplicaSlot } from './replica-slot.js';
import type { WallClockSteps } from './wall-clock-steps.js';

/** Lets faults happen to replicas, servers and the lease; several at once, but one at a time to each of them. */
export class FaultInjector {
  readonly injected: InjectedFault[] = [];
  /** Planned for a leader or a server when there was none, or when it already had another. */
  missed = 0;
  private readonly underWay = new Set<Promise<void>>();
  private readonly ending = new AbortController();
  private serversAreBusy = false;

  constructor(
    private readonly slots: readonly ReplicaSlot[],
    private readonly cluster: ChaosCluster | undefined,
    private readonly clockSteps: WallClockSteps,
    private readonly failed: (error: unknown) => void,
  ) {}

  inject(planned: PlannedFault): void {
    const { fault } = planned;
    if (isServerFault(fault)) this.hitServers(fault);
    else if (isLeaseFault(fault)) this.hitLease(fault);
    else this.hitReplica(fault, planned);
  }

  /** Takes all faults away; resolves when everything runs again. */
  async heal(): Promise<void> {
    this.ending.abort();
    await Promise.all(this.underWay);
  }

  private hitReplica(fault: ReplicaFault, { target, which }: PlannedFault): void {
    const ready = this.slots.filter(({ isBusy, process }) => !isBusy && process.isReady);
    const leads = target === 'leader';
    const candidates = ready.filter(({ process }) => process.leads === leads);
    const slot = candidates[Math.floor(which * candidates.length)];
    if (slot === undefined) {
      this.missed += 1;
      return;
    }
    this.note(fault.kind, slot.process.name);
    slot.isBusy = true;
    const { clockSteps } = this;
    const affliction = afflict(slot, fault, { clockSteps, wait: (ms) => this.wait(ms) });
    this.follow(affliction.finally(() => (slot.isBusy = false)));
  }

  private hitServers(fault: ServerFault): void {
    if (this.serversAreBusy || this.cluster === undefined) {
      this.missed += 1;
      return;
    }
    this.note(fault.kind);
    this.serversAreBusy = true;
    const suffered = this.cluster.suffer(fault, () => this.wait(fault.ms));
    this.follow(suffered.finally(() => (this.serversAreBusy = false)));
  }

  private hitLease(fault: LeaseFault): void {
    const standby = this.slots.find(({ process }) => !process.leads)?.process.identity;
    this.note(fault.kind === 'lease-edit' ? `lease-edit ${fault.edit}` : fault.kind);
    const touched = this.cluster!.touchLease(fault, standby);
    // People find the server away, or the lease gone, as everybody else does.
    this.follow(touched.catch(() => void (this.missed += 1)));
  }

  private note(kind: string, process?: string): void {
    this.injected.push({ at: Number(monotonicNs()) / 1e6, kind, process });
  }

  private follow(fault: Promise<unknown>): void {
    const finished = fault.then(() => undefined, this.failed);
    this.underWay.add(finished);
    void finished.then(() => this.underWay.delete(finished));
  }

  private async wait(ms: number): Promise<void> {
    const { signal } = this.ending;
    await delay(ms, undefined, { signal }).catch(() => undefined);
  }
}
