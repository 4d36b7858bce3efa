import { fileURLToPath } from 'node:url';
import { AskedProcess } from '../asked-process.js';
import { figure } from '../figure.js';
import type { Store, Told } from '../leading-application.js';
import type { Findings, Ground, Part, Table, Target } from '../measure.js';
import type { MemorySample } from './memory-process.js';

const SAMPLES = 50;
const QUICK_SAMPLES = 10;
const RENEWALS: Readonly<Record<Store, number>> = { memory: 100_000, lease: 20_000 };
const QUICK: Readonly<Record<Store, number>> = { memory: 2_000, lease: 200 };
/**
 * As a share of those that count, made before them in the same way: V8 compiles during the first 8,000 or so on a Lease, and what
 * takes the samples grows by 50 KiB over its first fifty, however few renewals are between them.
 */
const WARM_UP = 0.5;
const MOST_KIB = 100;

const PROGRAM = fileURLToPath(new URL('./memory-process.js', import.meta.url));

export const memoryGrowth: Part = {
  key: 'memory',
  title: 'Whether memory grows',
  run: measureMemory,
};

interface Leader {
  readonly told: Told;
  readonly store: Store;
  readonly what: string;
}

const LEADERS: readonly Leader[] = [
  { told: 'off', store: 'memory', what: 'in memory, the election alone' },
  { told: 'on', store: 'memory', what: 'in memory, everything on' },
  { told: 'off', store: 'lease', what: 'on a Lease, the election alone' },
  { told: 'on', store: 'lease', what: 'on a Lease, everything on' },
];

async function measureMemory(ground: Ground): Promise<Findings> {
  const { kubeConfigFile } = adminOf(ground);
  const counts = ground.isQuick ? QUICK : RENEWALS;
  const count = ground.isQuick ? QUICK_SAMPLES : SAMPLES;
  // What waits for the API server leaves the processor to others, and none of them is timed.
  const found = await Promise.all(
    LEADERS.map(async ({ told, store, what }) => {
      const samples = await sampled([told, store, kubeConfigFile], counts[store], count);
      ground.say(`${what}: ${counts[store]} renewals`);
      return { what, renewals: counts[store], samples };
    }),
  );
  return {
    tables: [memoryTable(found, count)],
    targets: found.map(({ what, renewals, samples }): Target => ({
      what: `growth of the heap over ${renewals.toLocaleString('en')} renewals ${what}`,
      unit: 'KiB',
      atMost: MOST_KIB,
      measured: trendOf(samples.map(({ heap }) => heap)).growth / 1_024,
    })),
    growth: [
      {
        what: 'heap of a leader after a garbage collection',
        unit: 'MiB',
        sizeOf: 'renewals',
        lines: found.map(({ what, renewals, samples }) => ({
          name: what,
          points: samples.flatMap(({ heap }, index) =>
            (index + 1) % (count / 10) === 0
              ? [{ size: ((index + 1) * renewals) / count, value: heap / 2 ** 20 }]
              : [],
          ),
        })),
      },
    ],
    notMeasured: [
      'The growth of the resident set has no target: it follows what the allocator of the system keeps for later.',
    ],
  };
}

function adminOf({ cluster }: Ground): { readonly kubeConfigFile: string } {
  return { kubeConfigFile: cluster.server.adminKubeconfig };
}

/** @param args of the program */
async function sampled(
  args: readonly string[],
  renewals: number,
  count: number,
): Promise<MemorySample[]> {
  const leader = await AskedProcess.start(PROGRAM, args, { flags: ['--expose-gc'] });
  const samples: MemorySample[] = [];
  try {
    const warmUp = Math.ceil(count * WARM_UP);
    for (let sample = 0; sample < warmUp + count; sample += 1) {
      samples.push(await leader.ask(String(renewals / count)));
    }
    return samples.slice(warmUp);
  } finally {
    await leader.end();
  }
}

interface Trend {
  /** From the first sample to the last, by the medians of the first third and of the last: none of them is moved by a few peaks. */
  readonly growth: number;
  /** Of the line through all, from the first sample to the last. */
  readonly rise: number;
  /** What the samples are away from that line: its standard deviation. */
  readonly noise: number;
}

/** Of samples at equal distances, at least three. */
export function trendOf(samples: readonly number[]): Trend {
  const third = Math.floor(samples.length / 3);
  const median = (values: readonly number[]): number => figure(values, '').median;
  const between = median(samples.slice(-third)) - median(samples.slice(0, third));
  const growth = (between * (samples.length - 1)) / (samples.length - third);
  const middle = (samples.length - 1) / 2;
  const mean = sum(samples) / samples.length;
  const slope =
    sum(samples.map((value, index) => (index - middle) * (value - mean))) /
    sum(samples.map((_, index) => (index - middle) ** 2));
  const off = samples.map((value, index) => (value - mean - slope * (index - middle)) ** 2);
  return {
    growth,
    rise: slope * (samples.length - 1),
    noise: Math.sqrt(sum(off) / samples.length),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

interface Found {
  readonly what: string;
  readonly renewals: number;
  readonly samples: readonly MemorySample[];
}

function memoryTable(found: readonly Found[], count: number): Table {
  return {
    title: 'The heap of a leader while it renews',
    text: `Renewals follow one another without the pauses between them, on a clock that leaps over each, in memory and through the real client on a Lease of the API server; "everything on" adds metrics, spans, Events and the JSON log. ${count} samples after a garbage collection, at equal distances, after half as many that do not count, as V8 still compiles. Growth is that from the median of the first third of the samples to that of the last third, over all of them; the line is fitted through all samples, and the noise is the standard deviation from it.`,
    columns: [
      'leader',
      'renewals',
      'heap',
      'growth',
      'rise of the line',
      'noise',
      'RSS',
      'growth of RSS',
    ],
    rows: found.map(({ what, renewals, samples }) => {
      const heap = samples.map((sample) => sample.heap);
      const rss = samples.map((sample) => sample.rss);
      const { growth, rise, noise } = trendOf(heap);
      return [
        what,
        renewals,
        figure(
          heap.map((bytes) => bytes / 2 ** 20),
          'MiB',
        ),
        ...[growth, rise, noise].map((bytes) => figure([bytes / 1_024], 'KiB')),
        figure(
          rss.map((bytes) => bytes / 2 ** 20),
          'MiB',
        ),
        figure([trendOf(rss).growth / 2 ** 20], 'MiB'),
      ];
    }),
  };
}
