import { setTimeout as delay } from 'node:timers/promises';
import type { ReplicaServer } from '../fleet/replica-server.js';
import type { ReplicaSlot } from '../fleet/replica-slot.js';
import type { NetworkFault, ReplicaFault } from './fault.js';
import type { ReplicaProcess } from './replica-process.js';
import type { WallClockSteps } from './wall-clock-steps.js';

export interface Surroundings {
  readonly clockSteps: WallClockSteps;
  readonly wait: (ms: number) => Promise<void>;
  /** All faults are being taken away, and waits end at once. */
  readonly isHealing: () => boolean;
}

/** One fault of one replica, from its beginning to its end. */
export async function afflict(
  slot: ReplicaSlot<ReplicaProcess>,
  fault: ReplicaFault,
  { clockSteps, wait, isHealing }: Surroundings,
): Promise<void> {
  const { process } = slot;
  switch (fault.kind) {
    case 'step-down':
      return process.order({ kind: 'step-down' });
    case 'wall-clock-step':
      clockSteps.step(slot, fault.byMs);
      await wait(fault.ms);
      return clockSteps.step(slot, -fault.byMs);
    case 'block-loop':
    case 'busy-pool':
    case 'exhaust-files':
      process.order({ kind: fault.kind, ms: fault.ms });
      return wait(fault.ms);
    case 'starve':
      return starve(process, fault, { wait, isHealing });
    case 'sigterm':
      return slot.shutDown();
    case 'sigkill':
      return process.kill();
    case 'sigstop':
      process.signal('SIGSTOP');
      await wait(fault.ms);
      process.signal('SIGCONT');
      return;
    default:
      return disconnect(slot.server!, fault, wait);
  }
}

/** As the kernel's bandwidth control does it to a container. */
async function starve(
  process: ReplicaProcess,
  { runMs, stopMs, ms }: Extract<ReplicaFault, { kind: 'starve' }>,
  { wait, isHealing }: Pick<Surroundings, 'wait' | 'isHealing'>,
): Promise<void> {
  const until = performance.now() + ms;
  while (performance.now() < until && !process.hasExited && !isHealing()) {
    process.signal('SIGSTOP');
    await delay(stopMs);
    process.signal('SIGCONT');
    await wait(runMs);
  }
}

async function disconnect(
  server: ReplicaServer,
  fault: NetworkFault,
  wait: Surroundings['wait'],
): Promise<void> {
  const { proxy } = server;
  switch (fault.kind) {
    case 'other-server':
      return server.change();
    case 'http-error':
      server.putFront(fault);
      await wait(fault.ms);
      return server.takeFrontAway();
    case 'reset':
      return proxy.reset();
    case 'close':
      return proxy.close();
    case 'half-open':
      return proxy.halfOpen(fault.lost);
    case 'refuse':
      await proxy.refuse();
      proxy.reset();
      await wait(fault.ms);
      return proxy.admit();
    case 'partition':
      proxy.shape(fault.direction, { kind: 'blackhole', bytes: fault.bytes });
      break;
    case 'delay':
      proxy.shape(fault.direction, { kind: 'delay', ms: fault.byMs });
      break;
    case 'throttle':
      proxy.shape('both', { kind: 'throttle', bytesPerSecond: fault.bytesPerSecond });
      break;
    default:
      return fault satisfies never;
  }
  await wait(fault.ms);
  proxy.heal();
}
