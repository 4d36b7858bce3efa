import type { FaultProxy } from '../support/fault-proxy/fault-proxy.js';
import type { NetworkFault, ReplicaFault } from './fault.js';
import type { ReplicaSlot } from './replica-slot.js';
import type { WallClockSteps } from './wall-clock-steps.js';

export interface Surroundings {
  readonly clockSteps: WallClockSteps;
  readonly wait: (ms: number) => Promise<void>;
}

/** One fault of one replica, from its beginning to its end. */
export async function afflict(
  slot: ReplicaSlot,
  fault: ReplicaFault,
  { clockSteps, wait }: Surroundings,
): Promise<void> {
  const { process } = slot;
  switch (fault.kind) {
    case 'step-down':
      return process.order({ kind: 'step-down' });
    case 'wall-clock-step':
      clockSteps.step(slot, fault.byMs);
      await wait(fault.ms);
      return clockSteps.step(slot, -fault.byMs);
    case 'sigterm':
      return slot.shutDown();
    case 'sigkill':
      process.end('SIGKILL');
      return process.exited;
    case 'sigstop':
      process.signal('SIGSTOP');
      await wait(fault.ms);
      process.signal('SIGCONT');
      return;
    default:
      return disconnect(slot.proxy!, fault, wait);
  }
}

async function disconnect(
  proxy: FaultProxy,
  fault: NetworkFault,
  wait: Surroundings['wait'],
): Promise<void> {
  switch (fault.kind) {
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
