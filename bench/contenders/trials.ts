import { setTimeout as delay } from 'node:timers/promises';
import type { ControlPlane } from '../../proof/control-plane/control-plane.js';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';
import { LeaseClient } from '../../test/e2e/support/lease-client.js';
import type { Cell } from '../measure.js';
import type { Contender } from './contender.js';
import type { ContenderFleet } from './contender-fleet.js';
import type { Interval } from './work.js';

/** How long a process takes to end, beside its stop handler, before it is killed as the kubelet would. */
const END_LIMIT_MS = 10_000;
/** How long what follows a takeover is watched. */
const AFTERMATH_MS = 2_000;
/** How long, beside a renew deadline, a leader may take to find out that another one leads. */
const RESUME_LIMIT_MS = 5_000;
/** How long the kubelet may wait before it starts what has failed all through an outage. */
const BACK_OFF_LIMIT_MS = 45_000;

/** One change of leaders, by what the processes have told. Milliseconds; undefined: none led in time. */
export interface Trial {
  /** From the fault to the next grant. */
  readonly tookMs: number | undefined;
  /** How long nobody was given. */
  readonly waitedMs: number;
  /** How often work ran in two processes at once, and for how long altogether. */
  readonly overlaps: number;
  readonly overlapMs: number;
}

export interface GracefulTrial extends Trial {
  /** From the end of the old leader's work to the next grant. */
  readonly afterWorkMs: number | undefined;
}

export interface FreezeTrial extends Trial {
  /** For how long work of the old leader ran after it was continued. */
  readonly resumedMs: number;
}

export interface PartitionTrial extends Trial {
  /** From the end of the old leader's work to the next grant: negative if it came later; undefined if it worked on until it was connected again. */
  readonly stoppedBeforeMs: number | undefined;
}

export interface OutageTrial extends Trial {
  /** From the beginning of the outage to the end of the leader's work; undefined if it led on. */
  readonly stoppedAfterMs: number | undefined;
  /** How many processes ended by themselves and were started again. */
  readonly restarts: number;
}

/** By when another one leads if any ever does: as soon as the lease is gone, and each has looked a few times. */
export function boundOf({ times: { leaseMs, retryMs }, stopHandlerMs }: ContenderFleet): number {
  return leaseMs + 5 * retryMs + 3_000 + stopHandlerMs;
}

/** SIGTERM to the leader, at any moment within a period. */
export async function handOver(fleet: ContenderFleet, spreadMs = 0): Promise<GracefulTrial> {
  const leader = await fleet.settled();
  await delay(Math.random() * spreadMs);
  const at = fleet.dismiss(leader, 'SIGTERM');
  const granted = await fleet.granted(at, leader, boundOf(fleet));
  await ended(fleet, leader);
  const workEnded = leader.work.at(-1)?.to;
  return {
    ...judged(fleet, at, granted),
    afterWorkMs: granted === undefined || workEnded === undefined ? undefined : granted - workEnded,
  };
}

/** SIGKILL, at the moment that costs most: just after the leader has renewed. */
export async function crash(fleet: ContenderFleet, server: ControlPlane): Promise<Trial> {
  const at = await killAtRenewal(fleet, server, await fleet.settled());
  return judged(fleet, at, await fleet.granted(at, undefined, boundOf(fleet)));
}

/** Answers when it was killed. */
export async function killAtRenewal(
  fleet: ContenderFleet,
  server: ControlPlane,
  leader: Contender,
): Promise<number> {
  const client = new LeaseClient(server, fleet.leasePath);
  let close = (): void => {};
  try {
    return await new Promise<number>((resolve, reject) => {
      let first: unknown;
      let killed = false;
      const changed = (renewTime: unknown): void => {
        first ??= renewTime;
        if (killed || renewTime === first) return;
        killed = true;
        resolve(fleet.dismiss(leader, 'SIGKILL'));
      };
      client
        .watch(({ spec }) => changed(spec?.['renewTime']))
        .then((stop) => (close = stop), reject);
    });
  } finally {
    close();
    client.close();
  }
}

/** SIGSTOP until another one leads and a moment longer, then SIGCONT. */
export async function freeze(fleet: ContenderFleet): Promise<FreezeTrial> {
  const leader = await fleet.settled();
  const at = leader.signal('SIGSTOP');
  const granted = await fleet.granted(at, leader, boundOf(fleet));
  await delay(AFTERMATH_MS / 2);
  const resumed = leader.signal('SIGCONT');
  const knows = (): boolean =>
    leader.hasExited || leader.events.some(({ event, at: told }) => told > resumed && isEnd(event));
  if (granted === undefined) await delay(AFTERMATH_MS);
  else await fleet.until(knows, fleet.times.renewMs + RESUME_LIMIT_MS);
  const work = leader.work.filter(({ to }) => to > resumed);
  const trial = judged(fleet, at, granted);
  fleet.dismiss(leader, 'SIGKILL');
  await leader.exited;
  const until = (to: number): number => Math.min(to, monotonicMs());
  return { ...trial, resumedMs: work.reduce((sum, { from, to }) => sum + until(to) - from, 0) };
}

/**
 * The leader's way to the API server is cut, without a word to either side, until another one leads and its own work has
 * ended, or for some time beside the other's. Ends when no two work at once.
 */
export async function partition(fleet: ContenderFleet, besideMs: number): Promise<PartitionTrial> {
  const leader = await fleet.settled();
  const { proxy } = fleet.serverOf(leader);
  const at = monotonicMs();
  proxy.shape('both', { kind: 'blackhole', bytes: 'keep' });
  const granted = await fleet.granted(at, leader, boundOf(fleet));
  const isOver = (): boolean =>
    leader.hasExited || leader.work.every(({ from, to }) => from > at || to < Infinity);
  if (granted !== undefined) await fleet.until(isOver, besideMs);
  const healed = monotonicMs();
  proxy.heal();
  await delay(AFTERMATH_MS);
  const areApart = (): boolean => fleet.overlapsSince(at).every(({ to }) => to < Infinity);
  await fleet.until(areApart, fleet.times.renewMs + RESUME_LIMIT_MS);
  const worked = leader.work.find(({ from, to }) => from <= at && to > at);
  const trial = judged(fleet, at, granted);
  fleet.dismiss(leader, 'SIGKILL');
  await leader.exited;
  const stopped = worked?.to ?? at;
  return {
    ...trial,
    stoppedBeforeMs: granted === undefined || stopped > healed ? undefined : granted - stopped,
  };
}

/** What a fleet has made of an outage of the API server that is just over. */
export async function outage(
  fleet: ContenderFleet,
  { from, to }: Interval,
  restartsBefore: number,
): Promise<OutageTrial> {
  const working = (): Interval[] => fleet.processes.flatMap(({ work }) => work);
  const held = working().filter((work) => work.from <= from && work.to > from);
  // Whoever led before and stops a moment after the server's return has not led again.
  const leading = (): Interval[] =>
    working().filter((work) => work.to > to && (work.from > from || work.to === Infinity));
  await fleet.until(() => leading().length > 0, boundOf(fleet) + BACK_OFF_LIMIT_MS);
  const led = leading();
  const first = Math.min(...led.map((work) => work.from));
  const stopped = Math.max(...held.map((work) => work.to));
  const now = monotonicMs();
  const { overlaps, overlapMs } = judged(fleet, from, undefined);
  return {
    tookMs: led.length === 0 ? undefined : Math.max(0, first - to),
    waitedMs: now - to,
    overlaps,
    overlapMs,
    stoppedAfterMs: Number.isFinite(stopped) ? stopped - from : undefined,
    restarts: fleet.restarts - restartsBefore,
  };
}

/** A figure of the times until another one led, or that none did; undefined without a trial. */
export function toldTrials<T extends Trial>(
  trials: readonly T[],
  inUnit: (milliseconds: readonly number[]) => Cell,
  valueOf: (trial: T) => number | undefined = ({ tookMs }) => tookMs,
): Cell {
  if (trials.length === 0) return undefined;
  const values = trials.flatMap((trial) => valueOf(trial) ?? []);
  if (values.length === trials.length) return inUnit(values);
  const waited = Math.round(Math.max(...trials.map(({ waitedMs }) => waitedMs)) / 1_000);
  const often = values.length === 0 ? 'none' : `${values.length} of ${trials.length}`;
  return `${often} led within ${waited} s (n = ${trials.length})`;
}

function isEnd(event: string): boolean {
  return event === 'stop-handler-ended';
}

async function ended(fleet: ContenderFleet, leader: Contender): Promise<void> {
  const isOver = (): boolean => leader.hasExited;
  if (await fleet.until(isOver, END_LIMIT_MS + fleet.stopHandlerMs)) return;
  await leader.kill();
}

function judged(fleet: ContenderFleet, at: number, granted: number | undefined): Trial {
  const overlaps = fleet.overlapsSince(at);
  const now = monotonicMs();
  return {
    tookMs: granted === undefined ? undefined : granted - at,
    waitedMs: (granted ?? now) - at,
    overlaps: overlaps.length,
    overlapMs: overlaps.reduce((sum, { from, to }) => sum + Math.min(to, now) - from, 0),
  };
}
