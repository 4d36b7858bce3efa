import type { RandomStream } from '../../simulation/random-stream.js';
import type { ReplicaSlot } from '../../fleet/replica-slot.js';
import type { TickFleet } from './tick-fleet.js';
import type { TickReplicaProcess } from './tick-replica-process.js';

export type HandoverKind = 'graceful' | 'kill -9' | 'SIGSTOP' | 'partition';

export const HANDOVER_KINDS: readonly HandoverKind[] = [
  'graceful',
  'kill -9',
  'SIGSTOP',
  'partition',
];

/** A handover, as the ticks (from, until] that it may have touched. */
export interface Handover {
  readonly kind: HandoverKind;
  readonly from: number;
  readonly until: number;
}

const TAIL_MS = 2_000;

/** Takes leadership from the leader in one way, and waits until another has run two ticks and the fleet is whole. */
export async function handOver(
  fleet: TickFleet,
  kind: HandoverKind,
  random: RandomStream,
): Promise<Handover> {
  const leader = await leaderAtRandomInstant(fleet, random);
  const { process } = leader;
  const begun = Math.floor(Date.now() / 1_000);
  await take(fleet, leader, kind, () => fleet.tickOfAnother(process, begun));
  return { kind, from: begun - 1, until: Math.floor(Date.now() / 1_000) - 1 };
}

async function take(
  fleet: TickFleet,
  leader: ReplicaSlot<TickReplicaProcess>,
  kind: HandoverKind,
  untilTaken: () => Promise<void>,
): Promise<void> {
  switch (kind) {
    case 'graceful':
    case 'kill -9':
      await fleet.end(leader, kind === 'graceful' ? 'SIGTERM' : 'SIGKILL');
      await untilTaken();
      await Promise.all([fleet.refill(leader), fleet.sleep(TAIL_MS)]);
      return;
    case 'SIGSTOP':
      leader.isBusy = true;
      fleet.stop(leader);
      await untilTaken();
      fleet.continue(leader);
      leader.isBusy = false;
      await fleet.sleep(TAIL_MS);
      return;
    case 'partition':
      leader.isBusy = true;
      // What was written meanwhile arrives after the heal: ghosts.
      leader.server!.proxy.shape('both', { kind: 'blackhole', bytes: 'keep' });
      await untilTaken();
      leader.server!.proxy.heal();
      leader.isBusy = false;
      await fleet.sleep(TAIL_MS);
      return;
    default:
      return kind satisfies never;
  }
}

/** Kills the replica in the middle of work that runs once, the leader or another. */
export async function interruptOnce(fleet: TickFleet): Promise<void> {
  const slot = await fleet.slotWhere('work that runs once', ({ history }) => history.openOnce > 0);
  await fleet.end(slot, 'SIGKILL');
  await fleet.refill(slot);
}

/** Anywhere within a second, as the claim itself has to be hit too; and the leader is still the leader then. */
async function leaderAtRandomInstant(
  fleet: TickFleet,
  random: RandomStream,
): Promise<ReplicaSlot<TickReplicaProcess>> {
  for (;;) {
    const leader = await fleet.settledLeader();
    await fleet.sleep(random.between(0, 1_000));
    if (fleet.leader() === leader) return leader;
  }
}
