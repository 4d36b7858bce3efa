import type { RandomStream } from '../simulation/random-stream.js';
import type { ChaosOptions } from './chaos-options.js';
import type { Fault, PlannedFault } from './fault.js';

interface Choice {
  readonly weight: number;
  /** How often it meets the leader and not a standby. */
  readonly leaderShare: number;
  readonly draw: (random: RandomStream) => Fault;
}

const DIRECTIONS = ['both', 'to-server', 'to-client'] as const;
const BYTES = ['keep', 'discard'] as const;
const EDITS = ['empty-holder', 'stranger', 'standby', 'transitions', 'duration', 'times'] as const;
const HOUR_MS = 3_600_000;

/** Leases last 3 s and leadership 2 s from the last renewal: outages of either side of both. */
const outage = (random: RandomStream): number =>
  random.chance(0.6) ? random.whole(200, 1_900) : random.whole(2_000, 6_000);

/**
 * Small enough that replicas disagree about ticks which another has just run, or back by up to an hour, and forward when
 * it is over. Never ahead by much: a leader claims the ticks of its own clock, and what it claims of the next hour no
 * other runs in that hour.
 */
const clockError = (random: RandomStream): number =>
  random.chance(0.6) ? random.whole(-3_000, 3_000) : random.whole(-HOUR_MS, 0);

const OF_PROCESSES: readonly Choice[] = [
  { weight: 40, leaderShare: 1, draw: () => ({ kind: 'step-down' }) },
  { weight: 20, leaderShare: 0.9, draw: () => ({ kind: 'sigterm' }) },
  { weight: 5, leaderShare: 0.7, draw: () => ({ kind: 'sigkill' }) },
  { weight: 9, leaderShare: 0.8, draw: (random) => ({ kind: 'sigstop', ms: outage(random) }) },
  { weight: 5, leaderShare: 0.8, draw: (random) => ({ kind: 'block-loop', ms: outage(random) }) },
  { weight: 3, leaderShare: 0.8, draw: (random) => ({ kind: 'busy-pool', ms: outage(random) }) },
  {
    weight: 3,
    leaderShare: 0.7,
    draw: (random) => ({
      kind: 'starve',
      runMs: random.whole(10, 60),
      stopMs: random.whole(40, 400),
      ms: random.whole(1_000, 6_000),
    }),
  },
  {
    weight: 3,
    leaderShare: 0.7,
    draw: (random) => ({ kind: 'exhaust-files', ms: outage(random) }),
  },
  {
    weight: 5,
    leaderShare: 0.7,
    draw: (random) => ({ kind: 'wall-clock-step', byMs: clockError(random), ms: outage(random) }),
  },
];

const OF_THE_NETWORK: readonly Choice[] = [
  {
    weight: 12,
    leaderShare: 0.8,
    draw: (random) => ({
      kind: 'partition',
      direction: random.pick(DIRECTIONS),
      bytes: random.pick(BYTES),
      ms: outage(random),
    }),
  },
  { weight: 4, leaderShare: 0.7, draw: () => ({ kind: 'reset' }) },
  { weight: 2, leaderShare: 0.7, draw: () => ({ kind: 'close' }) },
  {
    weight: 4,
    leaderShare: 0.7,
    draw: (random) => ({ kind: 'half-open', lost: random.pick(['client', 'server']) }),
  },
  { weight: 2, leaderShare: 0.7, draw: (random) => ({ kind: 'refuse', ms: outage(random) }) },
  {
    weight: 6,
    leaderShare: 0.7,
    draw: (random) => ({
      kind: 'delay',
      direction: random.pick(DIRECTIONS),
      byMs: random.whole(20, 1_500),
      ms: outage(random),
    }),
  },
  {
    weight: 6,
    leaderShare: 0.7,
    draw: (random) => ({
      kind: 'http-error',
      status: random.pick([429, 500, 502, 503, 504]),
      reachesServer: random.chance(0.4),
      retryAfterSeconds: random.pick([undefined, 1, 30]),
      ms: outage(random),
    }),
  },
  { weight: 3, leaderShare: 0.6, draw: () => ({ kind: 'other-server' }) },
  {
    weight: 2,
    leaderShare: 0.7,
    draw: (random) => ({
      kind: 'throttle',
      bytesPerSecond: random.whole(500, 20_000),
      ms: outage(random),
    }),
  },
];

const OF_SERVERS: readonly Choice[] = [
  ...(['api-server-kill', 'api-server-stop'] as const).map((kind): Choice => ({
    weight: 1,
    leaderShare: 0,
    draw: (random) => ({ kind, server: random.whole(0, 1), ms: outage(random) }),
  })),
  ...(['etcd-kill', 'etcd-stop', 'token-rotation'] as const).map((kind): Choice => ({
    weight: 1,
    leaderShare: 0,
    draw: (random) => ({ kind, ms: outage(random) }),
  })),
];

const OF_DISKS: readonly Choice[] = [
  { weight: 6, leaderShare: 0, draw: (random) => ({ kind: 'disk-full', ms: outage(random) }) },
];

const BY_PEOPLE: readonly Choice[] = [
  { weight: 10, leaderShare: 0, draw: () => ({ kind: 'lease-delete' }) },
  {
    weight: 15,
    leaderShare: 0,
    draw: (random) => ({ kind: 'lease-edit', edit: random.pick(EDITS) }),
  },
];

const OF_OPERATORS: readonly Choice[] = [
  {
    weight: 20,
    leaderShare: 0,
    draw: (random) => ({
      kind: 'ask',
      successor: random.pick(['none', 'none', 'standby', 'standby', 'stranger']),
    }),
  },
];

/** Where people edit the lease, its terms begin again, and an earlier request may be meant for a later one. */
const OF_OPERATORS_ON_AN_UNEDITED_LEASE: readonly Choice[] = [
  { weight: 5, leaderShare: 0, draw: () => ({ kind: 'ask-again' }) },
];

/** The faults of one seed: the same ones whatever becomes of them. */
export class FaultPlan {
  private readonly choices: readonly Choice[];
  private readonly total: number;

  constructor(
    private readonly random: RandomStream,
    { lock, strict }: Pick<ChaosOptions, 'lock' | 'strict'>,
  ) {
    this.choices = [
      ...OF_PROCESSES,
      ...(lock === 'lease' ? [...OF_THE_NETWORK, ...OF_SERVERS] : OF_DISKS),
      ...OF_OPERATORS,
      ...(strict ? BY_PEOPLE : OF_OPERATORS_ON_AN_UNEDITED_LEASE),
    ];
    this.total = this.choices.reduce((sum, { weight }) => sum + weight, 0);
  }

  next(): PlannedFault {
    const { random } = this;
    const { draw, leaderShare } = this.choose();
    return {
      fault: draw(random),
      target: random.chance(leaderShare) ? 'leader' : 'standby',
      which: random.next(),
      pauseMs: random.whole(50, 400),
      awaitsLeader: random.chance(0.7),
    };
  }

  private choose(): Choice {
    let left = this.random.next() * this.total;
    return this.choices.find(({ weight }) => (left -= weight) < 0) ?? this.choices[0]!;
  }
}
