/**
 * What the dashboard costs a replica that serves 1,000 jobs with 20 past runs each: a look, which reads all records and makes
 * their views, and the rendering of what viewers are sent. The first look is that after a viewer has come; between the
 * following ones ten jobs have run. CPU time of this process, medians with quartiles; the views and the rendering hold the
 * event loop for as long as they take.
 */
import { parseArgs } from 'node:util';
import type { JsonDocument } from '../lib/core/json-document.js';
import { SystemClock } from '../lib/elector/system-clock.js';
import { JobReader, type RecordedJobs } from '../lib/dashboard/job-reader.js';
import { jobView } from '../lib/dashboard/job-view.js';
import { MemoryDocumentStore } from '../lib/locks/memory/memory.lock.js';
import { packed } from '../lib/schedule/ledger/ledger-document.js';
import { RecordedSchedules } from '../lib/schedule/tick/recorded-schedule.js';

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '15' },
    json: { type: 'boolean', default: false },
  },
});
const [JOBS, RUNS, ROUNDS] = [values.jobs, values.runs, values.rounds].map(Number) as [
  number,
  number,
  number,
];
const FOLLOWING = 4;
const RUN_BETWEEN_LOOKS = 10;
const BEGUN = Date.UTC(2026, 10, 20);
const MINUTE_MS = 60_000;
const REQUEST = { signal: new AbortController().signal, timeoutMs: 5_000 };

const timeAt = (minute: number): string => new Date(BEGUN + minute * MINUTE_MS).toISOString();

/** As a leader has recorded it after so many runs, one a minute. */
function recorded(index: number, runs: number): JsonDocument {
  const history = Array.from({ length: RUNS }, (_, run) => ({
    scheduledTime: timeAt(runs - RUNS + run),
    delayMs: 5 + ((index + run) % 60),
    durationMs: (index * 977 + run * 131) % 60_000,
    term: 12,
    holderIdentity: `billing-5d4f7c9b8d-x2x7k_0f0e7a3c-7c1e-4a52-9d55-0a3b6a1f2c${10 + (index % 4)}`,
  }));
  const last = timeAt(runs - 1);
  return {
    // Of so many jobs few have the same one.
    schedule: `${index % 60} ${Math.floor(index / 60)} * * * Europe/Berlin`,
    accountedThrough: last,
    lastScheduleTime: last,
    lastSuccessfulTime: last,
    history,
  };
}

/** The records, and what changes them. */
class Fleet {
  readonly store = new MemoryDocumentStore(new Map(), 'bench');
  private readonly jobs: Record<string, JsonDocument> = {};
  private runs = 1_000;

  async create(): Promise<void> {
    for (let index = 0; index < JOBS; index += 1) {
      this.jobs[`job-${index}`] = recorded(index, this.runs);
    }
    await this.store.create(this.document, REQUEST);
  }

  async work(): Promise<void> {
    this.runs += 1;
    for (let index = 0; index < RUN_BETWEEN_LOOKS; index += 1) {
      const job = (this.runs * RUN_BETWEEN_LOOKS + index) % JOBS;
      this.jobs[`job-${job}`] = recorded(job, this.runs);
    }
    const read = await this.store.read(REQUEST);
    if (read.kind !== 'found') throw new Error(read.kind);
    await this.store.replace(this.document, read.stored, REQUEST);
  }

  private get document(): JsonDocument {
    return packed({ version: 1, jobs: { ...this.jobs } });
  }
}

/** What a replica does for its viewers, from the first one on. */
class Replica {
  private readonly reader: JobReader;
  private readonly schedules = new RecordedSchedules();
  private readonly facts = new Map<string, string>();

  constructor(fleet: Fleet) {
    const times = { requestTimeoutMs: 5_000, retryPeriodMs: 2_000, leaseDurationMs: 15_000 };
    const election = {
      activity: { jobs: () => [] },
      clock: new SystemClock(),
      lock: { sibling: () => fleet.store },
      options: times,
    };
    this.reader = new JobReader(election as unknown as ConstructorParameters<typeof JobReader>[0]);
  }

  async look() {
    const begun = cpuMs();
    const jobs = (await this.reader.read(REQUEST.signal)) as RecordedJobs;
    const read = cpuMs();
    const at = Date.now();
    const changed = [...jobs].flatMap(([job, record]) => {
      const place = { role: 'billing', job, at, isSuspendedHere: false };
      const { view, facts } = jobView(place, record, this.schedules);
      const isSame = this.facts.get(job) === facts;
      this.facts.set(job, facts);
      return isSame ? [] : [{ key: `job/billing/${job}`, value: view }];
    });
    const viewed = cpuMs();
    const texts = changed.map((part) => `event: part\ndata: ${JSON.stringify(part)}\n\n`);
    const bytes = Buffer.byteLength(texts.join(''));
    const rendered = cpuMs();
    if (jobs.size !== JOBS) throw new Error(`${jobs.size} jobs were read`);
    return {
      readMs: read - begun,
      viewsMs: viewed - read,
      renderMs: rendered - viewed,
      parts: changed.length,
      bytes,
    };
  }
}

type Look = Awaited<ReturnType<Replica['look']>>;

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function quartiles(numbers: readonly number[]): [number, number, number] {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)]!;
  return [at(0.5), at(0.25), at(0.75)];
}

const fleet = new Fleet();
await fleet.create();
const looks: Record<'first' | 'following', Look[]> = { first: [], following: [] };
for (let round = -2; round < ROUNDS; round += 1) {
  const replica = new Replica(fleet);
  for (let look = 0; look <= FOLLOWING; look += 1) {
    const seen = await replica.look();
    // The first two rounds compile.
    if (round >= 0) looks[look === 0 ? 'first' : 'following'].push(seen);
    await fleet.work();
  }
}

const figures = Object.entries(looks).map(([which, seen]) => ({
  which,
  parts: quartiles(seen.map(({ parts }) => parts))[0],
  bytes: quartiles(seen.map(({ bytes }) => bytes))[0],
  readMs: quartiles(seen.map(({ readMs }) => readMs)),
  viewsMs: quartiles(seen.map(({ viewsMs }) => viewsMs)),
  renderMs: quartiles(seen.map(({ renderMs }) => renderMs)),
}));
if (values.json) console.log(JSON.stringify({ jobs: JOBS, runs: RUNS, figures }));
else {
  const shown = ([median, low, high]: readonly [number, number, number]): string =>
    `${median.toFixed(1)} ms (${low.toFixed(1)} to ${high.toFixed(1)})`.padEnd(24);
  for (const { which, parts, bytes, readMs, viewsMs, renderMs } of figures) {
    console.log(
      `${which.padEnd(10)} read ${shown(readMs)} views ${shown(viewsMs)} render ${shown(renderMs)} ${parts} jobs, ${(bytes / 1024).toFixed(1)} KiB`,
    );
  }
}
