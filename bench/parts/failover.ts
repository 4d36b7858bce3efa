import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';
import { contenderAccount, type ContenderKey, titleOf } from '../contenders/contender.js';
import { ContenderFleet } from '../contenders/contender-fleet.js';
import { contendersOf, type Profile, profilesOf } from '../contenders/profiles.js';
import {
  boundOf,
  crash,
  freeze,
  type FreezeTrial,
  killAtRenewal,
  type OutageTrial,
  outage,
  partition,
  type PartitionTrial,
  toldTrials,
  type Trial,
} from '../contenders/trials.js';
import { figure } from '../figure.js';
import type { Cell, Findings, Ground, Part, Table, Target } from '../measure.js';

const OURS: ContenderKey = 'nestjs-leader-election';

/** How often, at each profile. */
interface Extent {
  /** Of this library, with nothing else on the machine, each on a lease of its own. */
  readonly quietCrashes: readonly number[];
  readonly crashes: readonly number[];
  readonly freezes: readonly number[];
  readonly partitions: readonly number[];
  readonly outageMs: number;
}

const WHOLE: Extent = {
  quietCrashes: [10, 5],
  crashes: [4, 2],
  freezes: [3, 2],
  partitions: [4, 2],
  outageMs: 40_000,
};
const QUICK: Extent = {
  quietCrashes: [1],
  crashes: [1],
  freezes: [1],
  partitions: [1],
  outageMs: 500,
};

/** How long a leader without a connection may work beside the next one before it is connected again, in turn. */
const CUT_OFF_MS = [15_000, 2_000] as const;

export const failover: Part = {
  key: 'failover',
  title: 'Crash, freeze, partition and outage',
  run: async (ground) => new FailoverMeasurement(ground).run(),
};

/** What one contender did at one profile. */
interface Row {
  readonly key: ContenderKey;
  readonly profile: Profile;
  readonly crashes: Trial[];
  readonly freezes: FreezeTrial[];
  readonly partitions: PartitionTrial[];
  readonly outages: OutageTrial[];
}

class FailoverMeasurement {
  private readonly extent: Extent;
  private readonly profiles: readonly Profile[];
  private readonly rows: Row[] = [];
  private kubeConfigFile = '';

  constructor(private readonly ground: Ground) {
    this.extent = ground.isQuick ? QUICK : WHOLE;
    this.profiles = profilesOf(ground);
  }

  async run(): Promise<Findings> {
    const { ground } = this;
    this.kubeConfigFile = await contenderAccount(ground.cluster, 'failover');
    const { keys, missing } = await contendersOf(ground);
    for (const profile of this.profiles) {
      for (const key of keys) {
        const of = { crashes: [], freezes: [], partitions: [], outages: [] };
        this.rows.push({ key, profile, ...of });
      }
    }
    await this.measureQuietCrashes();
    await this.measureFaults();
    return {
      tables: [
        this.crashTable(keys),
        this.freezeTable(keys),
        this.partitionTable(keys),
        this.outageTable(keys),
      ],
      targets: this.profiles.map((profile) => this.target(profile)),
      notMeasured: missing,
    };
  }

  /** A takeover counts in milliseconds, so nothing else happens meanwhile: leaders die one by one while other leases run out. */
  private async measureQuietCrashes(): Promise<void> {
    const { extent, ground, profiles } = this;
    ground.say('crashes of this library');
    const { server } = ground.cluster;
    const fleets = await Promise.all(
      profiles.flatMap((profile, index) =>
        Array.from({ length: extent.quietCrashes[index]! }, () => this.start(OURS, profile)),
      ),
    );
    try {
      const leaders = await Promise.all(fleets.map((fleet) => fleet.settled()));
      const trials: Promise<void>[] = [];
      // The longest lease first: it expires when all the others have.
      for (const [index, fleet] of [...fleets.entries()].reverse()) {
        const at = await killAtRenewal(fleet, server, leaders[index]!);
        trials.push(this.await(fleet, at));
      }
      await Promise.all(trials);
    } finally {
      await Promise.all(fleets.map((fleet) => fleet.close()));
    }
  }

  private async await(fleet: ContenderFleet, at: number): Promise<void> {
    const granted = await fleet.granted(at, undefined, boundOf(fleet));
    const { crashes } = this.rowOf(fleet.key, fleet.times.leaseMs);
    crashes.push({
      tookMs: granted === undefined ? undefined : granted - at,
      waitedMs: monotonicMs() - at,
      overlaps: fleet.overlapsSince(at).length,
      overlapMs: 0,
    });
  }

  /** All contenders side by side, as they wait for leases to expire; then all of them lose the one API server. */
  private async measureFaults(): Promise<void> {
    const { extent, ground, rows } = this;
    const { cluster } = ground;
    ground.say(`crashes, freezes and partitions of ${rows.length} fleets side by side`);
    const fleets = await Promise.all(rows.map(({ key, profile }) => this.start(key, profile)));
    try {
      await Promise.all(fleets.map((fleet, index) => this.disturb(fleet, rows[index]!)));
      ground.say(`an outage of ${extent.outageMs / 1_000} s of the API server`);
      await Promise.all(fleets.map((fleet) => fleet.settled()));
      const restarts = fleets.map((fleet) => fleet.restarts);
      const from = monotonicMs();
      await cluster.server.killApiServer();
      await delay(extent.outageMs);
      await cluster.server.startApiServer();
      const to = monotonicMs();
      const trials = fleets.map((fleet, index) => outage(fleet, { from, to }, restarts[index]!));
      for (const [index, trial] of (await Promise.all(trials)).entries()) {
        rows[index]!.outages.push(trial);
      }
    } finally {
      await Promise.all(fleets.map((fleet) => fleet.close()));
    }
  }

  private async disturb(fleet: ContenderFleet, row: Row): Promise<void> {
    const { extent, profiles, ground } = this;
    const index = profiles.indexOf(row.profile);
    // Of what never takes over one trial says enough where each waits for minutes.
    const most = fleet.key === 'codedependant' && index > 0 ? 1 : Infinity;
    const repeat = async (times: number, trial: () => Promise<void>): Promise<void> => {
      for (let time = 0; time < Math.min(times, most); time += 1) {
        await trial();
        await fleet.refill();
      }
    };
    const { server } = ground.cluster;
    // Those of this library are measured without company.
    await repeat(fleet.key === OURS ? 0 : extent.crashes[index]!, async () => {
      row.crashes.push(await crash(fleet, server));
    });
    await repeat(extent.freezes[index]!, async () => {
      row.freezes.push(await freeze(fleet));
    });
    await repeat(extent.partitions[index]!, async () => {
      const besideMs = CUT_OFF_MS[row.partitions.length % 2]!;
      row.partitions.push(await partition(fleet, besideMs));
    });
    ground.say(`${fleet.key} at ${row.profile.name} is done`);
  }

  private start(key: ContenderKey, { times }: Profile): Promise<ContenderFleet> {
    const { kubeConfigFile } = this;
    const wishes = { key, times, kubeConfigFile, isProxied: true };
    return ContenderFleet.start(this.ground.cluster, wishes);
  }

  private rowOf(key: ContenderKey, leaseMs: number): Row {
    return this.rows.find((row) => row.key === key && row.profile.times.leaseMs === leaseMs)!;
  }

  /** One row a contender, with the same columns for each profile. */
  private table(
    keys: readonly ContenderKey[],
    titles: Pick<Table, 'title' | 'text'>,
    columns: readonly string[],
    cells: (row: Row) => readonly Cell[],
  ): Table {
    return {
      ...titles,
      columns: [
        'contender',
        ...this.profiles.flatMap(({ name }) => columns.map((column) => `${name}: ${column}`)),
      ],
      rows: keys.map((key) => [
        titleOf(key),
        ...this.profiles.flatMap(({ times }) => cells(this.rowOf(key, times.leaseMs))),
      ]),
    };
  }

  private crashTable(keys: readonly ContenderKey[]): Table {
    const title = 'After a crash (SIGKILL)';
    const text =
      'The leader is killed at the worst moment, as soon as a watch has shown that it renewed, and no one starts it again; the figure ends when another candidate says that it leads. Those of this library have the machine to themselves, the others run side by side.';
    const columns = ['next leader', 'slowest'];
    return this.table(keys, { title, text }, columns, ({ crashes }) => [
      toldTrials(crashes, inSeconds),
      slowest(crashes),
    ]);
  }

  private freezeTable(keys: readonly ContenderKey[]): Table {
    const title = 'When the leader is frozen (SIGSTOP) and continued after its lease';
    const text =
      'The figure ends when another candidate says that it leads. One second later the old leader is continued: how long its work went on beside the new leader’s. client-go’s elector ends the context of the work only when its renew deadline has passed once more, though `IsLeader()` knows after its first request.';
    const columns = ['next leader', 'the old one worked on for', 'overlaps'];
    return this.table(keys, { title, text }, columns, ({ freezes }) => [
      toldTrials(freezes, inSeconds),
      freezes.every(({ tookMs }) => tookMs === undefined)
        ? 'no other led'
        : figure(
            freezes.map(({ resumedMs }) => resumedMs),
            'ms',
          ),
      toldOverlaps(freezes),
    ]);
  }

  private partitionTable(keys: readonly ContenderKey[]): Table {
    const title = 'When the leader is cut off from the API server';
    const text =
      'Its connections stay open and carry nothing until another candidate leads and the old leader’s work has ended, or for 15 s or 2 s, in turn, beside the work of the next one. The margin is the time from the end of the old leader’s work to the next grant; below zero both worked at once. client-go’s elector tries to release for as long as its renew deadline before it ends the work. If it is connected again meanwhile, it clears the lease of its successor, and a third one leads beside that. The requests of `@nullplatform/k8s-lease-lock` have no time limit, so it waits for the end of the partition.';
    const columns = ['next leader', 'margin', 'overlaps'];
    return this.table(keys, { title, text }, columns, ({ partitions }) => [
      toldTrials(partitions, inSeconds),
      margin(partitions),
      toldOverlaps(partitions),
    ]);
  }

  private outageTable(keys: readonly ContenderKey[]): Table {
    const seconds = this.extent.outageMs / 1_000;
    const title = `When the API server is gone for ${seconds} s`;
    const text = `One outage of ${seconds} s and the start of the server after it, for all fleets at once. How long after its beginning the leader stopped, how long after the server said that it is ready one led again, and how many processes had ended by themselves and were started again, with the kubelet’s back-off. A failed renewal ends the process of \`@nullplatform/k8s-lease-lock\`, and client-go’s programs end when they lose the lease.`;
    const columns = ['leader stopped after', 'led again after', 'restarts', 'overlaps'];
    return this.table(keys, { title, text }, columns, ({ outages }) => [
      ...toldOutage(outages[0]!),
      toldOverlaps(outages),
    ]);
  }

  private target({ name, times: { leaseMs } }: Profile): Target {
    const { crashes } = this.rowOf(OURS, leaseMs);
    const over = crashes.map(({ tookMs = Infinity }) => tookMs - leaseMs);
    return {
      what: `takeover after a crash beyond the lease, the slowest of ${crashes.length}, ${name}`,
      unit: 'ms',
      atMost: 50,
      measured: Math.max(...over),
    };
  }
}

function inSeconds(milliseconds: readonly number[]): Cell {
  return figure(
    milliseconds.map((ms) => ms / 1_000),
    's',
  );
}

function slowest(trials: readonly Trial[]): Cell {
  const took = trials.flatMap(({ tookMs }) => tookMs ?? []);
  return took.length === 0 ? undefined : `${(Math.max(...took) / 1_000).toFixed(3)} s`;
}

/** Of those that had the time to end before they were connected again. */
function margin(trials: readonly PartitionTrial[]): Cell {
  const led = trials.filter(({ tookMs }, index) => tookMs !== undefined && index % 2 === 0);
  if (led.length === 0) return 'no other led';
  const margins = led.flatMap(({ stoppedBeforeMs }) => stoppedBeforeMs ?? []);
  if (margins.length === led.length) return inSeconds(margins);
  return `${led.length - margins.length} of ${led.length} worked on until connected again`;
}

function toldOverlaps(trials: readonly Trial[]): string {
  const overlapping = trials.filter(({ overlaps }) => overlaps > 0);
  const told = `${overlapping.length} of ${trials.length}`;
  if (overlapping.length === 0) return told;
  const longest = Math.max(...overlapping.map(({ overlapMs }) => overlapMs));
  return `**${told}**, up to ${longest >= 1_000 ? `${(longest / 1_000).toFixed(1)} s` : `${Math.ceil(longest)} ms`}`;
}

function toldOutage({ stoppedAfterMs, tookMs, waitedMs, restarts }: OutageTrial): Cell[] {
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  return [
    stoppedAfterMs === undefined ? 'led on' : seconds(stoppedAfterMs),
    tookMs === undefined ? `none led within ${seconds(waitedMs)}` : seconds(tookMs),
    restarts,
  ];
}
