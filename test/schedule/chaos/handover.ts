import { setTimeout as sleep } from 'node:timers/promises';
import type { TickFleet, TickReplica } from './tick-fleet.js';

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

/** Takes leadership from the leader in one way, and waits until another has run two ticks and the fleet is whole. */
export async function handOver(fleet: TickFleet, kind: HandoverKind): Promise<Handover> {
  const leader = await settledLeader(fleet);
  // Anywhere within a second: the claim itself has to be hit too.
  await sleep(Math.random() * 1_000);
  const begun = Math.floor(Date.now() / 1_000);
  await take(fleet, leader, kind, async () => {
    await fleet.tickOfAnother(leader, begun);
  });
  await sleep(2_000);
  return { kind, from: begun - 1, until: Math.floor(Date.now() / 1_000) - 1 };
}

async function take(
  fleet: TickFleet,
  leader: TickReplica,
  kind: HandoverKind,
  untilTaken: () => Promise<void>,
): Promise<void> {
  switch (kind) {
    case 'graceful':
    case 'kill -9':
      await fleet.end(leader, kind === 'graceful' ? 'SIGTERM' : 'SIGKILL');
      await untilTaken();
      await fleet.add();
      return;
    case 'SIGSTOP':
      leader.child.kill('SIGSTOP');
      await untilTaken();
      leader.child.kill('SIGCONT');
      return;
    case 'partition':
      // What was written meanwhile arrives after the heal: ghosts.
      leader.proxy!.shape('both', { kind: 'blackhole', bytes: 'keep' });
      await untilTaken();
      leader.proxy!.heal();
      return;
    default:
      return kind satisfies never;
  }
}

async function settledLeader(fleet: TickFleet): Promise<TickReplica> {
  for (let leader = fleet.leader(); ; leader = fleet.leader()) {
    if (leader !== undefined) return leader;
    await sleep(20);
  }
}
