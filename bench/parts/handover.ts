import { HandoverFloor } from '../../test/e2e/support/handover-floor.js';
import { takeoversAfterDeath } from '../../proof/kubernetes/container-deaths.js';
import { RULES_WITH_PODS } from '../../proof/fleet/readme-role.js';
import { contenderAccount, type ContenderKey, titleOf } from '../contenders/contender.js';
import { ContenderFleet } from '../contenders/contender-fleet.js';
import { contendersOf, type Profile, profilesOf } from '../contenders/profiles.js';
import { type GracefulTrial, handOver, toldTrials } from '../contenders/trials.js';
import { type Figure, figure } from '../figure.js';
import type { Cell, Findings, Ground, Part, Table, Target } from '../measure.js';

const OURS: ContenderKey = 'nestjs-leader-election';
/** What hands over by no release, or takes no release up: each handover waits for a lease to expire. */
const EXPIRING: readonly ContenderKey[] = ['codedependant', 'nullplatform'];

/** How often, at each profile. */
interface Extent {
  readonly ours: number;
  /** Of each contender that polls. */
  readonly polled: readonly number[];
  readonly expiring: readonly number[];
  readonly slow: readonly number[];
  readonly slowMs: number;
  readonly deaths: readonly number[];
}

const WHOLE: Extent = {
  ours: 50,
  polled: [25, 10],
  expiring: [4, 1],
  slow: [5, 3],
  slowMs: 3_000,
  deaths: [50, 10],
};
const QUICK: Extent = { ours: 2, polled: [1], expiring: [], slow: [1], slowMs: 300, deaths: [1] };

export const handover: Part = {
  key: 'handover',
  title: 'Graceful handover',
  run: async (ground) => new HandoverMeasurement(ground).run(),
};

/** What one contender did at one profile. */
interface Row {
  readonly key: ContenderKey;
  readonly profile: Profile;
  readonly trials: readonly GracefulTrial[];
}

class HandoverMeasurement {
  private readonly extent: Extent;
  private readonly profiles: readonly Profile[];
  private readonly floors: number[] = [];
  private readonly plain: Row[] = [];
  private readonly slow: Row[] = [];
  private kubeConfigFile = '';

  constructor(private readonly ground: Ground) {
    this.extent = ground.isQuick ? QUICK : WHOLE;
    this.profiles = profilesOf(ground);
  }

  async run(): Promise<Findings> {
    const { cluster } = this.ground;
    this.kubeConfigFile = await contenderAccount(cluster, 'handover');
    const { keys, missing } = await contendersOf(this.ground);
    const prompt = keys.filter((key) => !EXPIRING.includes(key));
    for (const [index, profile] of this.profiles.entries()) {
      await this.measurePrompt(prompt, profile, this.extent.polled[index]!);
    }
    await this.measureWaiting(keys);
    const deaths = await this.measureDeaths();
    return {
      tables: [
        this.contenderTable(keys),
        this.plainTable(keys),
        this.slowTable(keys),
        deathTable(deaths),
      ],
      targets: this.targets(deaths),
      notMeasured: [...missing, ...NOT_MEASURED],
    };
  }

  /** Ours alone on the machine, in turn with the floor; then those that poll, side by side, as they wait for their periods. */
  private async measurePrompt(keys: readonly ContenderKey[], profile: Profile, rounds: number) {
    const { ground, extent } = this;
    const floor = await HandoverFloor.open(ground.cluster, `floor-of-${profile.times.leaseMs}`);
    const fleets = await Promise.all(keys.map((key) => this.startFleet(key, profile)));
    const trials = new Map(keys.map((key) => [key, [] as GracefulTrial[]]));
    const ours = fleets.find(({ key }) => key === OURS)!;
    const polled = fleets.filter((fleet) => fleet !== ours);
    try {
      for (let round = 0; round < rounds; round += 1) {
        if (round % 5 === 0) {
          ground.say(`handover ${round + 1} of ${rounds} at ${profile.name}`);
        }
        for (const fleet of polled) await fleet.settled();
        const upTo = Math.round((extent.ours * (round + 1)) / rounds);
        while (trials.get(OURS)!.length < upTo) {
          await ours.settled();
          this.floors.push(await floor.measure());
          trials.get(OURS)!.push(await handOver(ours));
          await ours.refill();
        }
        await Promise.all(
          polled.map(async (fleet) => {
            trials.get(fleet.key)!.push(await handOver(fleet, profile.times.retryMs));
            await fleet.refill();
          }),
        );
      }
    } finally {
      floor.close();
      await Promise.all(fleets.map((fleet) => fleet.close()));
    }
    for (const [key, of] of trials) this.plain.push({ key, profile, trials: of });
  }

  /** What waits for seconds waits side by side. */
  private async measureWaiting(keys: readonly ContenderKey[]): Promise<void> {
    const { extent, ground } = this;
    ground.say('handovers with slow stop handlers, and those that wait for leases to expire');
    const expiring = keys.filter((key) => EXPIRING.includes(key));
    await Promise.all(
      this.profiles.flatMap((profile, index) => [
        ...keys.map((key) =>
          this.repeat(
            key,
            profile,
            EXPIRING.includes(key) ? 1 : extent.slow[index]!,
            this.slow,
            extent.slowMs,
          ),
        ),
        ...expiring.map((key) => this.repeat(key, profile, extent.expiring[index]!, this.plain)),
      ]),
    );
  }

  private async repeat(
    key: ContenderKey,
    profile: Profile,
    times: number,
    rows: Row[],
    stopHandlerMs?: number,
  ): Promise<void> {
    const fleet = await this.startFleet(key, profile, stopHandlerMs);
    const trials: GracefulTrial[] = [];
    try {
      for (let time = 0; time < times; time += 1) {
        trials.push(await handOver(fleet, profile.times.retryMs));
        await fleet.refill();
      }
    } finally {
      await fleet.close();
    }
    rows.push({ key, profile, trials });
  }

  /** By lease duration. */
  private async measureDeaths(): Promise<Map<Profile, number[]>> {
    const { ground, extent } = this;
    const deaths = new Map<Profile, number[]>();
    const account = await ground.cluster.addAccount('pods', RULES_WITH_PODS);
    for (const [index, profile] of this.profiles.entries()) {
      ground.say(`deaths of containers at ${profile.name}`);
      const { leaseMs } = profile.times;
      deaths.set(
        profile,
        await takeoversAfterDeath(ground.cluster, leaseMs, extent.deaths[index]!, account),
      );
    }
    return deaths;
  }

  private startFleet(key: ContenderKey, { times }: Profile, stopHandlerMs?: number) {
    const { kubeConfigFile } = this;
    const slow = stopHandlerMs === undefined ? {} : { stopHandlerMs };
    return ContenderFleet.start(this.ground.cluster, { key, times, kubeConfigFile, ...slow });
  }

  private contenderTable(keys: readonly ContenderKey[]): Table {
    return {
      title: 'The contenders',
      text: `Each is used as its own README says, with the release that it offers, and all have the same three times: lease duration, renew deadline (where it has one) and retry or renewal period. All of them end their work before they give up the lease.`,
      columns: ['contender', 'what it does'],
      rows: keys.map((key) => [titleOf(key), MANNERS[key]]),
    };
  }

  private plainTable(keys: readonly ContenderKey[]): Table {
    return {
      title: 'From SIGTERM to the next leader',
      text: `Three candidates; the leader is sent SIGTERM, and the figure ends when another one says that it leads. "×" is the median over that of the floor: a PUT, its delivery to a watch and a PUT by another client, on connections that are open, in turn with the handovers of this library (${toldFloor(figure(this.floors, 'ms'))}). An overlap is a handover during which work of two processes ran at once.`,
      columns: [
        'contender',
        ...this.profiles.flatMap(({ name }) => [`${name}: SIGTERM to granted`, '× floor']),
        'overlaps',
      ],
      rows: keys.map((key) => {
        const rows = this.profiles.map((profile) => rowOf(this.plain, key, profile));
        return [
          titleOf(key),
          ...rows.flatMap((row) => [toldTrials(row.trials, inMilliseconds), this.overFloor(row)]),
          toldOverlaps(rows),
        ];
      }),
    };
  }

  private slowTable(keys: readonly ContenderKey[]): Table {
    const seconds = this.extent.slowMs / 1_000;
    return {
      title: `With a stop handler that takes ${seconds} s`,
      text: `The same, where the work of the old leader takes ${seconds} s to end. The figure begins when it has ended. All contenders run side by side.`,
      columns: [
        'contender',
        ...this.profiles.map(({ name }) => `${name}: end of the work to granted`),
        'overlaps',
      ],
      rows: keys.map((key) => {
        const rows = this.profiles.map((profile) => rowOf(this.slow, key, profile));
        return [
          titleOf(key),
          ...rows.map(({ trials }) =>
            toldTrials(trials, inMilliseconds, ({ afterWorkMs }) => afterWorkMs),
          ),
          toldOverlaps(rows),
        ];
      }),
    };
  }

  private overFloor({ trials }: Row): Cell {
    const took = trials.flatMap(({ tookMs }) => tookMs ?? []);
    if (took.length === 0) return undefined;
    return figure(took, 'ms').median / figure(this.floors, 'ms').median;
  }

  private targets(deaths: ReadonlyMap<Profile, number[]>): Target[] {
    const floor = figure(this.floors, 'ms').median;
    const [profile] = this.profiles;
    const took = (key: ContenderKey): Figure | undefined => {
      const row = this.plain.find((each) => each.key === key && each.profile === profile);
      const all = row?.trials.flatMap(({ tookMs }) => tookMs ?? []) ?? [];
      return all.length === 0 ? undefined : figure(all, 'ms');
    };
    const ours = took(OURS)!;
    const clientGo = took('client-go');
    return [
      {
        what: 'graceful handover among three, median over the floor',
        unit: '×',
        atMost: 2,
        measured: ours.median / floor,
      },
      {
        what: `graceful handover among three, p99 of ${ours.n} over the floor`,
        unit: '×',
        atMost: 10,
        measured: ours.p99 / floor,
      },
      ...(clientGo === undefined
        ? []
        : [
            {
              what: "graceful handover, median over client-go's",
              unit: '×' as const,
              atMost: 1 / 20,
              measured: ours.median / clientGo.median,
            },
          ]),
      ...[...deaths].map(([{ name }, all]) => ({
        what: `takeover after the death of a container, median, ${name}`,
        unit: 'ms' as const,
        atMost: 100,
        measured: figure(all, 'ms').median,
      })),
    ];
  }
}

/** Read in their sources, and seen in the trials. */
const MANNERS: Readonly<Record<ContenderKey, string>> = {
  'nestjs-leader-election':
    'Standbys watch the lease. At SIGTERM `@OnRevoked` is awaited, then the lease is released.',
  'client-go':
    'ReleaseOnCancel; the work is ended before the context is cancelled, as its documentation demands. Standbys read the lease every 1 to 2.2 retry periods. A leader that has lost the lease ends its process, as Kubernetes’ own components do.',
  fabric8:
    '`withReleaseOnCancel`; the work is ended before the election is cancelled. Standbys read the lease every 1 to 2.2 retry periods, and judge its age by their own wall clock.',
  codedependant:
    '`stop()` releases the lease. A candidate tries to become leader three times within one lease duration of its start and never again, so older standbys take up neither a release nor an expired lease until a process is restarted. A failed renewal ends its leadership, until its watch shows that it is still the holder.',
  nullplatform:
    '`stopLocking()` does not release: the next leader waits for the lease to expire. `createLeaseIfNotExist` does not work with client-node 1.4, so the lease was made beforehand. A failed request ends the process. `isLocking` is false during each renewal as well, so it is asked whether it keeps renewing.',
  'poll-loop':
    'A GET every retry period, a PUT with the resourceVersion, expiry by its own clock, a bound for each request and a release at SIGTERM.',
};

const NOT_MEASURED = [
  '`@nestjs/locks` is documented by NestJS, but it is not in the npm registry (404 on 27 November 2026), so no part of this page has it.',
  'Death of a container: no other contender hears of it, so there is nothing to compare; the status of the pods is written by the bench, as there is no kubelet, and the time that a kubelet takes to notice is not in the figure.',
];

function rowOf(rows: readonly Row[], key: ContenderKey, profile: Profile): Row {
  return (
    rows.find((row) => row.key === key && row.profile === profile) ?? { key, profile, trials: [] }
  );
}

function toldOverlaps(rows: readonly Row[]): string {
  const trials = rows.flatMap((row) => row.trials);
  return `${trials.filter(({ overlaps }) => overlaps > 0).length} of ${trials.length}`;
}

function inMilliseconds(values: readonly number[]): Figure {
  return figure(values, 'ms');
}

function toldFloor({ median, p99, n }: Figure): string {
  return `median ${median.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, n = ${n}`;
}

function deathTable(deaths: ReadonlyMap<Profile, number[]>): Table {
  return {
    title: 'When the container of the leader has died',
    text: `With \`podWatch\`, from the request by which the status of a pod says that its container has ended to the grant of the other pod. No other contender looks at pods.`,
    columns: ['times', 'status to granted', 'most'],
    rows: [...deaths].map(([{ name }, took]) => [
      name,
      figure(took, 'ms'),
      `${Math.round(Math.max(...took))} ms`,
    ]),
  };
}
