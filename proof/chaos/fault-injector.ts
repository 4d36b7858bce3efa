import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../fleet/monotonic-clock.js';
import type { ReplicaSlot } from '../fleet/replica-slot.js';
import type { ChaosCluster } from './chaos-cluster.js';
import {
  isLeaseFault,
  isRequestFault,
  isServerFault,
  type LeaseFault,
  type PlannedFault,
  type ReplicaFault,
  type RequestFault,
  type ServerFault,
} from './fault.js';
import type { HistoryRecorder } from './history-recorder.js';
import type { InjectedFault } from './leadership-changes.js';
import type { Operator } from './operator.js';
import type { ReplicaProcess } from './replica-process.js';
import { afflict } from './replica-affliction.js';
import type { SmallDisk } from './small-disk.js';
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
    private readonly slots: readonly ReplicaSlot<ReplicaProcess>[],
    private readonly cluster: ChaosCluster | undefined,
    private readonly disk: SmallDisk | undefined,
    private readonly clockSteps: WallClockSteps,
    private readonly operator: Operator,
    private readonly events: HistoryRecorder,
    private readonly failed: (error: unknown) => void,
  ) {}

  inject(planned: PlannedFault): void {
    const { fault } = planned;
    if (isRequestFault(fault)) this.ask(fault, planned);
    else if (isServerFault(fault)) this.hitServers(fault);
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
    const injected = this.note(fault.kind, slot.process.name);
    slot.isBusy = true;
    const { clockSteps } = this;
    const affliction = afflict(slot, fault, {
      clockSteps,
      wait: (ms) => this.wait(ms),
      isHealing: () => this.ending.signal.aborted,
    });
    // A replaced process is a fault until another is ready in its place.
    const over = affliction.then(() => slot.untilReady());
    this.follow(
      injected,
      over.finally(() => (slot.isBusy = false)),
    );
  }

  /** Whatever else happens to the leader. */
  private ask(fault: RequestFault, { which }: PlannedFault): void {
    const { slots, operator } = this;
    const leader = slots.find(({ process }) => process.leads)?.process;
    const injected = this.note(fault.kind, leader?.name);
    if (fault.kind === 'ask-again') {
      const asked = operator.askAgain(which).then((wasWritten) => {
        if (!wasWritten) this.missed += 1;
      });
      return this.follow(injected, asked);
    }
    const standbys = slots.filter(({ process }) => process !== leader && process.isReady);
    const standby = standbys[Math.floor(which * standbys.length)]?.process.name;
    const named = { none: undefined, standby, stranger: 'a stranger' };
    this.follow(injected, operator.ask(named[fault.successor]));
  }

  private hitServers(fault: ServerFault): void {
    const suffer =
      fault.kind === 'disk-full'
        ? this.disk && (() => this.fillDisk(fault.ms))
        : this.cluster && (() => this.cluster!.suffer(fault, () => this.wait(fault.ms)));
    if (this.serversAreBusy || suffer === undefined) {
      this.missed += 1;
      return;
    }
    const injected = this.note(fault.kind);
    this.serversAreBusy = true;
    this.follow(
      injected,
      suffer().finally(() => (this.serversAreBusy = false)),
    );
  }

  private async fillDisk(ms: number): Promise<void> {
    this.disk!.fill();
    await this.wait(ms);
    this.disk!.free();
  }

  private hitLease(fault: LeaseFault): void {
    const standby = this.slots.find(({ process }) => !process.leads)?.process.identity;
    const injected = this.note(
      fault.kind === 'lease-edit' ? `lease-edit ${fault.edit}` : fault.kind,
    );
    const touched = this.cluster!.touchLease(fault, standby);
    // People find the server away, or the lease gone, as everybody else does.
    this.follow(
      injected,
      touched.catch(() => void (this.missed += 1)),
    );
  }

  private note(kind: string, process?: string): InjectedFault {
    const injected = { at: monotonicMs(), kind, process };
    this.injected.push(injected);
    return injected;
  }

  private follow(injected: InjectedFault, fault: Promise<unknown>): void {
    const finished = fault
      .then(() => undefined, this.failed)
      .finally(() => {
        injected.until = monotonicMs();
        this.events.fault(injected);
      });
    this.underWay.add(finished);
    void finished.then(() => this.underWay.delete(finished));
  }

  private async wait(ms: number): Promise<void> {
    const { signal } = this.ending;
    await delay(ms, undefined, { signal }).catch(() => undefined);
  }
}
