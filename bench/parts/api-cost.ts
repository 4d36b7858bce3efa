import { setTimeout as delay } from 'node:timers/promises';
import type { Crowd } from '../../proof/kubernetes/crowd.js';
import type { HandoverCost } from '../../proof/kubernetes/handover-cost.js';
import { type ContenderKey, titleOf } from '../contenders/contender.js';
import { NoFabric8Error } from '../contenders/fabric8-build.js';
import { begin } from '../crowds/crowd-contender.js';
import { CrowdGround } from '../crowds/crowd-ground.js';
import { readCounters, type ServerCounters } from '../crowds/server-counters.js';
import { type SteadyCost, SteadyCrowd } from '../crowds/steady-crowd.js';
import { figure, type Unit } from '../figure.js';
import type { Cell, Findings, Ground, Growth, Part, Table, Target } from '../measure.js';

const OURS: ContenderKey = 'nestjs-leader-election';

/** How long it takes, and of how many candidates. */
interface Extent {
  readonly windowMs: number;
  /** Until one of the contenders has given up to compete, after its third attempt. */
  readonly settleMs: number;
  readonly steady: Crowds;
  readonly handovers: Crowds;
  /** Alone on the machine. */
  readonly large: Crowds;
  readonly largeWindowMs: number;
  /** Whose lease has to run out, or is not taken at all. */
  readonly slow: Crowds;
  readonly slowRounds: number;
  /** Until the record tells how many compete. */
  readonly warmUp: number;
  readonly rounds: number;
}

type Crowds = readonly (readonly [ContenderKey, readonly number[]])[];

const SIZES = [3, 10, 100];
const WHOLE: Extent = {
  windowMs: 60_000,
  settleMs: 17_000,
  steady: [
    [OURS, SIZES],
    ['client-go', SIZES],
    ['fabric8', [3]],
    ['codedependant', SIZES],
    ['nullplatform', SIZES],
    ['poll-loop', SIZES],
  ],
  handovers: [
    [OURS, SIZES],
    ['client-go', SIZES],
    ['poll-loop', SIZES],
  ],
  large: [
    [OURS, [1_000]],
    ['client-go', [1_000]],
  ],
  largeWindowMs: 30_000,
  slow: [
    ['codedependant', SIZES],
    ['nullplatform', SIZES],
  ],
  slowRounds: 3,
  warmUp: 12,
  rounds: 11,
};
const QUICK: Extent = {
  ...WHOLE,
  windowMs: 4_000,
  settleMs: 1_000,
  steady: [
    [OURS, [3]],
    ['client-go', [3]],
  ],
  handovers: [
    [OURS, [3]],
    ['client-go', [3]],
  ],
  large: [],
  slow: [],
  warmUp: 1,
  rounds: 2,
};

/** Whoever polls looks at least so often, with the jitter that client-go adds to its 2 s. */
const POLL_MS = 4_500;
/** What a handover still causes when the next one has been granted. */
const AFTERMATH_MS = 300;
/** More than a lease duration, two retry periods and the jitter of both. */
const SLOW_LIMIT_MS = 40_000;

interface Sized {
  readonly key: ContenderKey;
  readonly size: number;
}

interface Steady extends Sized {
  readonly cost: SteadyCost;
}

interface Handed extends Sized {
  readonly costs: readonly HandoverCost[];
}

/** What the server tells of itself, as far as it happened in a window. */
interface Window {
  readonly seconds: number;
  readonly before: ServerCounters;
  readonly after: ServerCounters;
}

interface Large extends Steady {
  readonly window: Window;
}

export const apiCost: Part = {
  key: 'api-cost',
  title: 'What candidates cost the API server',
  async run(ground) {
    const extent = ground.isQuick ? QUICK : WHOLE;
    const { window, steady } = await measureSteady(ground, extent);
    const large: Large[] = [];
    for (const crowd of each(extent.large)) large.push(await measureLarge(ground, extent, crowd));
    const slow = measureSlow(ground, extent);
    // It is awaited later.
    slow.catch(() => undefined);
    const handed = await measureHandovers(ground, extent, slow);
    for (const crowd of each(extent.large)) handed.push(await handOverAlone(ground, extent, crowd));
    return findings({ window, steady, large, handed, slow: await slow });
  },
};

const each = (crowds: Crowds): Sized[] =>
  crowds.flatMap(([key, sizes]) => sizes.map((size) => ({ key, size })));

/** Like `Promise.all`, but one that fails leaves none behind that still begins. */
async function allOf<T>(crowds: readonly T[], begin: (crowd: T) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(crowds.map(begin));
  const failed = outcomes.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

/** All side by side: they only wait. */
async function measureSteady(
  ground: Ground,
  { steady, settleMs, windowMs }: Extent,
): Promise<{ readonly window: Window; readonly steady: Steady[] }> {
  const { server } = ground.cluster;
  const crowds: SteadyCrowd[] = [];
  try {
    await allOf(each(steady), async ({ key, size }) => {
      const begun = SteadyCrowd.begin(server, key, size);
      const crowd = await begun.catch((error: unknown) => leaveOutFabric8(ground, error));
      if (crowd !== undefined) crowds.push(crowd);
    });
    ground.say(`${crowds.length} crowds are there`);
    await delay(settleMs);
    const marks = crowds.map((crowd) => crowd.mark());
    const window = await watchServer(server, windowMs);
    const ends = crowds.map((crowd) => crowd.mark());
    // The log follows the answers within moments.
    await delay(500);
    const entries = await server.auditLog();
    const costs = crowds.map((crowd, index) => ({
      key: crowd.key,
      size: crowd.size,
      cost: crowd.cost(marks[index]!, ends[index]!, entries),
    }));
    return { window, steady: costs };
  } finally {
    await Promise.all(crowds.map((crowd) => crowd.end()));
  }
}

function leaveOutFabric8(ground: Ground, error: unknown): undefined {
  if (!(error instanceof NoFabric8Error)) throw error;
  ground.say(`fabric8 is left out: ${error.message}`);
}

async function measureLarge(ground: Ground, extent: Extent, { key, size }: Sized): Promise<Large> {
  const { window, steady } = await measureSteady(ground, {
    ...extent,
    steady: [[key, [size]]],
    settleMs: 5_000,
    windowMs: extent.largeWindowMs,
  });
  return { ...steady[0]!, window };
}

async function watchServer(server: Ground['cluster']['server'], windowMs: number): Promise<Window> {
  const counters = async (): Promise<ServerCounters> =>
    readCounters((await server.request<string>('GET', '/metrics')).body);
  const before = await counters();
  const begun = performance.now();
  await delay(windowMs);
  return { before, after: await counters(), seconds: (performance.now() - begun) / 1_000 };
}

async function crowdFor({ cluster }: Ground, { key, size }: Sized): Promise<Crowd> {
  const { server } = cluster;
  const ground = await CrowdGround.create(server, key, `handover-${key}-${size}`);
  const { namespace, leaseName } = ground;
  const kubeConfigFile = await ground.account('candidate');
  return begin(key, { server, kubeConfigFile, namespace, leaseName }, size);
}

/** In turn, so that a busy moment of the machine hits all. */
async function measureHandovers(
  ground: Ground,
  { handovers, warmUp, rounds }: Extent,
  beside: Promise<unknown>,
): Promise<Handed[]> {
  const crowds: (Sized & { readonly crowd: Crowd })[] = [];
  try {
    await allOf(each(handovers), async (sized) => {
      crowds.push({ ...sized, crowd: await crowdFor(ground, sized) });
    });
    const learning = crowds.filter(({ key }) => key === OURS);
    await Promise.all(learning.map(({ crowd }) => handOver(crowd, warmUp)));
    await beside;
    for (let round = 0; round < rounds; round++) {
      ground.say(`handover ${round + 1} of ${rounds} of ${crowds.length} crowds`);
      const enough = delay(POLL_MS);
      for (const { crowd } of crowds) await crowd.handOver({ termMs: AFTERMATH_MS });
      await enough;
    }
    return await Promise.all(
      crowds.map(async ({ key, size, crowd }) => ({
        key,
        size,
        costs: (await crowd.costs()).slice(-rounds),
      })),
    );
  } finally {
    await Promise.all(crowds.map(({ crowd }) => crowd.kill()));
  }
}

async function handOverAlone(
  ground: Ground,
  { warmUp, rounds }: Extent,
  sized: Sized,
): Promise<Handed> {
  const crowd = await crowdFor(ground, sized);
  try {
    const isOurs = sized.key === OURS;
    ground.say(`${sized.size} candidates of ${titleOf(sized.key)} hand over`);
    if (isOurs) await handOver(crowd, warmUp);
    await handOver(crowd, rounds, isOurs ? undefined : POLL_MS);
    return { ...sized, costs: (await crowd.costs()).slice(-rounds) };
  } finally {
    await crowd.kill();
  }
}

async function handOver(crowd: Crowd, times: number, termMs?: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    await crowd.handOver(termMs === undefined ? {} : { termMs });
  }
}

/** Side by side: what they wait for takes seconds. Ends at the first handover that nobody follows. */
async function measureSlow(ground: Ground, { slow, slowRounds }: Extent): Promise<Handed[]> {
  return Promise.all(
    each(slow).map(async (sized) => {
      const crowd = await crowdFor(ground, sized);
      try {
        // Older than its three attempts, as replicas are.
        await delay(WHOLE.settleMs);
        for (let round = 0; round < slowRounds; round++) {
          if (!(await crowd.handOver({ limitMs: SLOW_LIMIT_MS }))) return { ...sized, costs: [] };
        }
        return { ...sized, costs: (await crowd.costs()).slice(-slowRounds) };
      } finally {
        await crowd.kill();
      }
    }),
  );
}

interface Measured {
  readonly window: Window;
  readonly steady: readonly Steady[];
  readonly large: readonly Large[];
  readonly handed: readonly Handed[];
  readonly slow: readonly Handed[];
}

function findings(measured: Measured): Findings {
  const { steady, large, handed, slow } = measured;
  const all = inOrder([...steady, ...large]);
  const handovers = inOrder([...handed, ...slow]);
  return {
    tables: [
      steadyTable(all, measured),
      ...(large.length > 0 ? [serverTable(large)] : []),
      handoverTable(handovers),
    ],
    targets: targets(all, handovers),
    growth: [
      growth('requests on one lease', 'per minute', all, ({ cost }) => cost.requests),
      growth('writes in vain for a handover, mean', '', handovers, ({ costs }) => meanWaste(costs)),
      growth('from stepping down until all others know who leads, median', 'ms', handovers, known),
    ],
    notMeasured: notMeasured(steady, large),
  };
}

const KEYS = WHOLE.steady.map(([key]) => key);

function inOrder<T extends Sized>(crowds: readonly T[]): T[] {
  return crowds.toSorted((a, b) => KEYS.indexOf(a.key) - KEYS.indexOf(b.key) || a.size - b.size);
}

function steadyTable(all: readonly Steady[], { window, steady }: Measured): Table {
  const { before, after, seconds } = window;
  const perMinute = (count: number): number => Math.round((count * 60) / seconds);
  const sum = (of: (cost: SteadyCost) => number): string =>
    Math.round(
      steady.map(({ cost }) => of(cost)).reduce((total, one) => total + one, 0),
    ).toLocaleString('en-US');
  return {
    title: 'While nothing happens',
    text: `The leader renews and the others wait, at 15/10/2 s, ${Math.round(seconds)} s long, and of a thousand half as
long. Requests are those in the server's audit log. Each write is an event for each watch, and a contender without a watch
gets none. Connections and bytes were counted by a relay between the candidates and the server, as TLS has them. The server ends
connections that were idle for 90 s, as the second one of this library's standbys is. The
candidates of one crowd share a process or a few, each with connections of its own, as two processors cannot hold a thousand
applications; of fabric8 each is a process. As a check, the server itself counted ${perMinute(after.requests - before.requests).toLocaleString('en-US')}
requests a minute and ${perMinute(after.watchEvents - before.watchEvents).toLocaleString('en-US')} events for all crowds but those of a thousand
together; the table has ${sum(({ requests }) => requests)} and ${sum(({ watchEvents }) => watchEvents)}.`,
    columns: [
      'contender',
      'candidates',
      'requests of the leader, a minute',
      'of each standby',
      'of all',
      'watch events of all, a minute',
      'connections',
      'new ones a minute',
      'KiB a minute',
    ],
    rows: all.map(({ key, size, cost }) => [
      titleOf(key),
      size,
      Math.round(cost.leaderRequests),
      Math.round(cost.standbyRequests * 10) / 10,
      Math.round(cost.requests),
      Math.round(cost.watchEvents),
      cost.connections,
      Math.round(cost.newConnections),
      Math.round(cost.bytes / 1_024),
    ]),
  };
}

function serverTable(large: readonly Large[]): Table {
  return {
    title: 'What a thousand cost the server',
    text: `By its own counters at \`/metrics\`, with nothing else to serve.`,
    columns: [
      'contender',
      'candidates',
      'CPU, ms a second',
      'requests for Leases a minute',
      'events of Leases a minute',
      'watches of Leases',
      'open files',
    ],
    rows: large.map(({ key, size, window: { before, after, seconds } }) => {
      const per = (counter: 'cpuSeconds' | 'requests' | 'watchEvents', unit: number): number =>
        Math.round(((after[counter] - before[counter]) * unit) / seconds);
      return [
        titleOf(key),
        size,
        per('cpuSeconds', 1_000),
        per('requests', 60),
        per('watchEvents', 60),
        after.watches,
        after.openFiles,
      ];
    }),
  };
}

function handoverTable(handovers: readonly Handed[]): Table {
  return {
    title: 'For each handover',
    text: `The leader steps down and competes again once another one leads. Counted in the server's audit log from one
handover to the next: writes that the server refused, nearly all with a conflict, and reads, those of who polls included. The third figure is from the order
to step down until the next one is granted, the fourth until the last of the others has heard of it by its own event. Where there is
nothing to learn, from the first handover on; this library learns from ${WHOLE.warmUp} before. Crowds of up to a hundred in turn,
each of a thousand alone. Where the lease has to run out, beside each other.`,
    columns: [
      'contender',
      'candidates',
      'writes in vain',
      'at most',
      'reads',
      'until the next is granted',
      'until all others know',
    ],
    rows: handovers.map(({ key, size, costs }): Cell[] => {
      if (costs.length === 0) {
        const limit = SLOW_LIMIT_MS / 1_000;
        return [
          titleOf(key),
          size,
          undefined,
          undefined,
          undefined,
          `none in ${limit} s`,
          undefined,
        ];
      }
      const wasted = costs.map(({ wastedWrites }) => wastedWrites);
      const knownMs = costs.flatMap(({ knownMs: ms }) => ms ?? []);
      return [
        titleOf(key),
        size,
        figure(wasted, ''),
        Math.max(...wasted),
        figure(
          costs.map(({ reads }) => reads),
          '',
        ),
        figure(
          costs.map(({ tookMs }) => tookMs!),
          'ms',
        ),
        knownMs.length === 0 ? undefined : figure(knownMs, 'ms'),
      ];
    }),
  };
}

function targets(steady: readonly Steady[], handovers: readonly Handed[]): Target[] {
  const standbys = steady.filter(({ key }) => key === OURS).map(({ cost }) => cost.standbyRequests);
  const wasted = (size: number, atMost: number): Target[] => {
    const crowd = handovers.find((handed) => handed.key === OURS && handed.size === size);
    if (crowd === undefined) return [];
    const what = `writes in vain for a handover, ${size.toLocaleString('en-US')} candidates, median`;
    const measured = figure(
      crowd.costs.map(({ wastedWrites }) => wastedWrites),
      '',
    ).median;
    return [{ what, unit: '', atMost, measured }];
  };
  return [
    {
      what: 'periodic requests of a standby',
      unit: 'per minute',
      atMost: 0,
      measured: Math.max(...standbys),
    },
    ...wasted(100, 3),
    ...wasted(1_000, 10),
  ];
}

function growth<T extends Sized>(
  what: string,
  unit: Unit,
  crowds: readonly T[],
  valueOf: (crowd: T) => number | undefined,
): Growth {
  const lines = KEYS.map((key) => {
    const points = crowds
      .filter((crowd) => crowd.key === key)
      .flatMap((crowd) => {
        const value = valueOf(crowd);
        return value === undefined ? [] : [{ size: crowd.size, value }];
      });
    return { name: titleOf(key), points };
  });
  return {
    what,
    unit,
    sizeOf: 'candidates',
    lines: lines.filter(({ points }) => points.length > 1),
  };
}

function meanWaste(costs: readonly HandoverCost[]): number | undefined {
  if (costs.length === 0) return undefined;
  return costs.reduce((sum, { wastedWrites }) => sum + wastedWrites, 0) / costs.length;
}

function known({ costs }: Handed): number | undefined {
  const all = costs.flatMap(({ knownMs }) => knownMs ?? []);
  return all.length === 0 ? undefined : figure(all, 'ms').median;
}

function notMeasured(steady: readonly Steady[], large: readonly Large[]): string[] {
  const cores = (all: readonly Steady[], key: ContenderKey): number | undefined => {
    const largest = all.filter((crowd) => crowd.key === key).at(-1);
    return largest && largest.cost.cpuSeconds / 60;
  };
  const told = (value: number | undefined): string =>
    (value ?? 0).toLocaleString('en-US', { maximumFractionDigits: 2 });
  return [
    `A thousand candidates of the electors on \`@kubernetes/client-node\`, which open a connection for each request: a hundred
took ${told(cores(steady, 'poll-loop'))} processors as a poll loop and ${told(cores(steady, 'nullplatform'))} with
\`@nullplatform/k8s-lease-lock\`, the server's part aside.`,
    `More than three candidates of fabric8, each of which is a Java process.`,
    `A thousand candidates on machines of their own: here they share two processors with the server, and each event of this
library's has a thousand readers (${told(cores(large, OURS))} processors on average). The last of them hear of a leader later
than any would on a processor of its own, and write in vain meanwhile.`,
    `When all know who leads, of contenders that do not tell a standby who does.`,
  ];
}
