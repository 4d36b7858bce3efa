/**
 * What 1 to 1,000 jobs on one schedule object cost, and the most of them on several objects. Sizes, writes and recoveries are counted on a virtual clock, so they
 * are the same on every machine; claims and latencies are measured in real time, on a store in memory that answers after
 * a pause, or with `--server` on a Lease of a real API server.
 */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { parseArgs } from 'node:util';
import type { Clock } from '../lib/core/clock.js';
import { type JsonDocument, MAX_DOCUMENT_BYTES } from '../lib/core/json-document.js';
import { resolveElectionOptions } from '../lib/core/election-options.js';
import type { Store, StoredDocument } from '../lib/core/resource-lock.js';
import type { Term } from '../lib/core/term.js';
import { SystemClock } from '../lib/elector/system-clock.js';
import { leaseLock } from '../lib/locks/kubernetes/lease.lock.js';
import { MemoryDocumentStore } from '../lib/locks/memory/memory.lock.js';
import { packed, unpacked } from '../lib/schedule/ledger/ledger-document.js';
import { SpreadLedger } from '../lib/schedule/ledger/spread-ledger.js';
import type { JobDefinition, ScheduleEnvironment } from '../lib/schedule/runner/job-definition.js';
import { RoleSchedule } from '../lib/schedule/runner/role-schedule.js';
import { cronSchedule } from '../lib/schedule/tick/tick-schedule.js';
import { TimeZone } from '../lib/schedule/tick/time-zone.js';
import { ControlPlane } from '../proof/control-plane/control-plane.js';
import { ManualClock } from '../test/support/manual-clock.js';

type DocumentStore = Store<JsonDocument, StoredDocument>;

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1,10,100,1000' },
    /** Over how many objects the largest number of jobs is spread, besides one. */
    objects: { type: 'string', default: '4,10' },
    seconds: { type: 'string', default: '10' },
    answerMs: { type: 'string', default: '5' },
    server: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const COUNTS = values.jobs.split(',').map(Number);
const SPREADS = values.objects.split(',').filter(Boolean).map(Number);
const SECONDS = Number(values.seconds);
const ANSWER_MS = Number(values.answerMs);
const [QUARTER_MS, HOUR_MS, DAY_MS, WEEK_MS] = [900_000, 3_600_000, 86_400_000, 7 * 86_400_000];
const UTC = new TimeZone('UTC');
const nothing = (): undefined => undefined;

/** Counts what is written to a store. */
class Counted implements DocumentStore {
  writes = 0;
  bytes = 0;
  largest = 0;

  constructor(
    private readonly inner: DocumentStore,
    private readonly answerMs = 0,
  ) {}

  async read(options: Parameters<DocumentStore['read']>[0]) {
    await this.pause();
    return this.inner.read(options);
  }

  async create(...[document, options]: Parameters<DocumentStore['create']>) {
    this.count(document);
    await this.pause();
    return this.inner.create(document, options);
  }

  async replace(...[document, expected, options]: Parameters<DocumentStore['replace']>) {
    this.count(document);
    await this.pause();
    return this.inner.replace(document, expected, options);
  }

  describe(): string {
    return this.inner.describe();
  }

  forget(): void {
    [this.writes, this.bytes, this.largest] = [0, 0, 0];
  }

  private count(document: JsonDocument): void {
    const size = bytesOf(document);
    [this.writes, this.bytes] = [this.writes + 1, this.bytes + size];
    this.largest = Math.max(this.largest, size);
  }

  private async pause(): Promise<void> {
    if (this.answerMs > 0) await new Promise((resolve) => setTimeout(resolve, this.answerMs));
  }
}

/** One process with the jobs of one role. */
class Replica {
  readonly schedule: RoleSchedule;
  starts = 0;
  missed = 0;
  readonly latenciesMs: number[] = [];
  readonly errors = new Set<string>();
  private abort = new AbortController();
  private term: Term | undefined;

  constructor(
    private readonly clock: Clock,
    stores: readonly DocumentStore[],
    private readonly holderIdentity = `billing-5d4f7c9b8d-x2x7k_${randomUUID()}`,
  ) {
    const ledger = new SpreadLedger(clock, {
      objects: stores.length,
      open: (object) => stores[object]!,
      requestTimeoutMs: 5_000,
      longestRequestMs: 10_000,
      retryMs: 250,
      longestRetryMs: 15_000,
      random: () => 0.5,
      onError: (error) => this.errors.add(error.message),
    });
    const termNow = (): Term | undefined => this.term;
    const observer: Partial<ScheduleEnvironment['observer']> = {
      onMissed: ({ count }) => void (this.missed += count),
    };
    this.schedule = new RoleSchedule(ledger, {
      atHome: (call) => call(),
      clock,
      leadership: {
        get term() {
          return termNow();
        },
        track: nothing,
      },
      observer: new Proxy(observer, {
        get: (target, key) => Reflect.get(target, key) ?? nothing,
      }) as ScheduleEnvironment['observer'],
      nonce: randomUUID,
      leaseDurationMs: 15_000,
      changeTimeoutMs: 10_000,
      keptUnknownMs: 1e12,
    });
  }

  add(index: number, expression: string, change: Partial<JobDefinition> = {}): void {
    this.schedule.add({
      name: `customer-${index}:close-day`,
      schedule: cronSchedule(expression, UTC),
      concurrencyPolicy: 'Forbid',
      startingDeadlineMs: null,
      missedPolicy: 'latest',
      timeoutMs: null,
      retries: { limit: 0, backoffMs: 10_000 },
      onInterrupted: 'report',
      suspend: false,
      historyLimit: 10,
      onMissed: null,
      run: ({ scheduledTime }) => {
        this.starts += 1;
        this.latenciesMs.push(this.clock.wallMicros() / 1_000 - scheduledTime.getTime());
      },
      ...change,
    });
  }

  lead(number: number): void {
    this.abort = new AbortController();
    const { signal } = this.abort;
    setMaxListeners(Infinity, signal);
    const names = { role: 'bench', holderIdentity: this.holderIdentity, grantedAt: new Date() };
    this.term = { ...names, number, fencingToken: BigInt(123_456_789 + number), signal };
    this.schedule.begin(this.term);
  }

  lose(): void {
    this.term = undefined;
    this.abort.abort();
  }
}

/** The longest time for which one turn of the event loop took. */
class LoopWatch {
  longestMs = 0;
  private last = performance.now();
  private next = setImmediate(() => this.turn());

  end(): void {
    clearImmediate(this.next);
  }

  private turn(): void {
    const now = performance.now();
    this.longestMs = Math.max(this.longestMs, now - this.last);
    this.last = now;
    this.next = setImmediate(() => this.turn());
  }
}

/** Each hour, at a second of its own. */
const hourly = (index: number): string => `${(index * 7) % 60} ${index % 60} * * * *`;
const daily = (index: number): string => `${index % 60} ${index % 24} * * *`;

/** Sizes, and what is written in a day, if every job runs once an hour and remembers its last ten runs. */
async function sizes(count: number, objects: number) {
  const clock = new ManualClock();
  const memories = memoryStores(objects);
  const stores = memories.map((memory) => new Counted(memory));
  const replica = new Replica(clock, stores);
  for (let index = 0; index < count; index += 1) replica.add(index, hourly(index));
  replica.lead(1);
  await clock.advance(HOUR_MS + 60_000);
  const quiet: JsonDocument[] = [];
  const remembering: JsonDocument[] = [];
  for (const memory of memories) {
    const document = withHistories(await stored(memory), () => []);
    quiet.push(document);
    remembering.push(withHistories(document, () => tenRuns()));
    await replaced(memory, remembering.at(-1)!);
  }
  // The first write after that finds another version than it expects.
  await clock.advance(60_000);
  for (const store of stores) store.forget();
  // Of few jobs other numbers are due in each quarter of an hour.
  const measuredMs = count < 1_000 ? HOUR_MS : QUARTER_MS;
  await clock.advance(measuredMs);
  const after = await Promise.all(memories.map(stored));
  const kept = after
    .flatMap(jobsOf)
    .filter(({ movedTo }) => movedTo === undefined)
    .map(({ history = [] }) => (history as []).length);
  return {
    quiet: sizeOf(quiet),
    remembering: sizeOf(remembering),
    keptRuns: [Math.min(...kept), Math.max(...kept)],
    writesADay: sum(stores.map(({ writes }) => writes)) * (DAY_MS / measuredMs),
    bytesADay: sum(stores.map(({ bytes }) => bytes)) * (DAY_MS / measuredMs),
    errors: [...replica.errors],
  };
}

/** `storedBytes`: of the largest object. */
function sizeOf(documents: readonly JsonDocument[]) {
  return {
    bytes: sum(documents.map(bytesOf)),
    storedBytes: Math.max(...documents.map((document) => bytesOf(packed(document)))),
  };
}

function memoryStores(objects: number): DocumentStore[] {
  return Array.from({ length: objects }, () => new MemoryDocumentStore(new Map(), 'bench'));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function jobsOf(document: JsonDocument): JsonDocument[] {
  return Object.values((document['jobs'] ?? {}) as Record<string, JsonDocument>);
}

function withHistories(document: JsonDocument, runs: () => readonly JsonDocument[]): JsonDocument {
  const jobs = Object.entries((document['jobs'] ?? {}) as Record<string, JsonDocument>);
  const changed = jobs.map(([name, job]) =>
    job['movedTo'] === undefined ? [name, { ...job, history: runs() }] : [name, job],
  );
  return { ...document, jobs: Object.fromEntries(changed) as JsonDocument };
}

const REPLICAS = Array.from({ length: 4 }, () => `billing-5d4f7c9b8d-x2x7k_${randomUUID()}`);

/** As they are stored: each started some milliseconds late, took up to a minute, and one in twenty failed. */
function tenRuns(): JsonDocument[] {
  return Array.from({ length: 10 }, (_, index) => {
    const hasFailed = Math.random() < 0.05;
    return {
      scheduledTime: new Date(Date.UTC(2025, 11, 20, 2 + index, 30))
        .toISOString()
        .replace('.000', ''),
      delayMs: 5 + Math.floor(Math.random() * 60),
      durationMs: Math.floor(Math.random() * 60_000),
      term: 12,
      holderIdentity: REPLICAS[Math.floor(Math.random() * REPLICAS.length)]!,
      ...(hasFailed && { outcome: 'failed', reason: 'Error: connect ECONNREFUSED 10.0.0.7:5432' }),
    };
  });
}

/** As an earlier leader would have left it. */
async function replaced(store: DocumentStore, document: JsonDocument): Promise<void> {
  const options = { signal: new AbortController().signal, timeoutMs: 1_000 };
  const outcome = await store.read(options);
  if (outcome.kind === 'found') await store.replace(packed(document), outcome.stored, options);
}

/** The time for which the looks of one minute keep the event loop of a leader whose jobs are not due. */
async function idleMs(count: number, objects: number): Promise<number> {
  const clock = new ManualClock();
  const replica = new Replica(clock, memoryStores(objects));
  for (let index = 0; index < count; index += 1) replica.add(index, daily(index));
  replica.lead(1);
  await clock.advance(2 * 60_000);
  const rounds: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    await clock.advance(4 * 60_000 - 1_000);
    const begun = performance.now();
    clock.fire(1_000);
    rounds.push(performance.now() - begun);
    await clock.settle();
  }
  return quantile(rounds, 0.5);
}

/** Jobs of every minute, a week without a leader, and then one. */
async function recovery(count: number, objects: number) {
  const clock = new ManualClock();
  const stores = memoryStores(objects).map((memory) => new Counted(memory));
  const replicas = ['a', 'b'].map((name) => {
    const replica = new Replica(clock, stores, `billing-5d4f7c9b8d-${name}_${randomUUID()}`);
    for (let index = 0; index < count; index += 1) {
      replica.add(index, '* * * * *', { startingDeadlineMs: 60_000 });
    }
    return replica;
  });
  const [first, second] = replicas as [Replica, Replica];
  first.lead(1);
  await clock.advance(60_000);
  first.lose();
  await clock.advance(WEEK_MS);
  for (const store of stores) store.forget();
  const loop = new LoopWatch();
  const [begun, from] = [performance.now(), clock.now()];
  second.lead(2);
  await clock.settle();
  const isDone = (): boolean => second.starts >= count && second.missed >= count * 100;
  while (!isDone() && clock.now() < from + HOUR_MS) await clock.advance(100);
  loop.end();
  return {
    tookMs: performance.now() - begun,
    virtualMs: clock.now() - from,
    longestBlockMs: loop.longestMs,
    writes: sum(stores.map(({ writes }) => writes)),
    bytes: sum(stores.map(({ bytes }) => bytes)),
    largestBytes: Math.max(...stores.map(({ largest }) => largest)),
    started: second.starts,
    reported: second.missed,
    errors: [...second.errors],
  };
}

/** Real time. `due` of the jobs are due in every second, the others are quiet. */
async function claims(
  count: number,
  due: number,
  inner: readonly DocumentStore[],
  answerMs: number,
) {
  const stores = inner.map((store) => new Counted(store, answerMs));
  const replica = new Replica(new SystemClock(), stores);
  for (let index = 0; index < count; index += 1) {
    replica.add(index, index < due ? '* * * * * *' : daily(index));
  }
  replica.lead(1);
  await sleep(3_000);
  replica.latenciesMs.length = 0;
  for (const store of stores) store.forget();
  const [starts, cpu] = [replica.starts, process.cpuUsage()];
  await sleep(SECONDS * 1_000);
  const { user, system } = process.cpuUsage(cpu);
  const writes = sum(stores.map((store) => store.writes));
  const bytes = sum(stores.map((store) => store.bytes));
  replica.lose();
  replica.schedule.stop();
  await sleep(500);
  const { latenciesMs } = replica;
  return {
    claimsASecond: (replica.starts - starts) / SECONDS,
    latencyMs: { p50: quantile(latenciesMs, 0.5), p99: quantile(latenciesMs, 0.99) },
    writesASecond: writes / SECONDS,
    bytesAWrite: Math.round(bytes / writes),
    cpuShare: (user + system) / 1e6 / SECONDS,
    missed: replica.missed,
    errors: [...replica.errors],
  };
}

async function stored(store: DocumentStore): Promise<JsonDocument> {
  const signal = new AbortController().signal;
  const outcome = await store.read({ signal, timeoutMs: 1_000 });
  return outcome.kind === 'found' ? unpacked(outcome.stored.document) : {};
}

function bytesOf(document: object): number {
  return Buffer.byteLength(JSON.stringify(document));
}

function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const controlPlane = values.server ? await ControlPlane.start() : undefined;
let leases = 0;
async function storesOf(objects: number): Promise<DocumentStore[]> {
  if (controlPlane === undefined) return memoryStores(objects);
  const names = { role: 'bench', leaseName: `bench-${(leases += 1)}`, namespace: 'default' };
  const config = resolveElectionOptions(names, 'bench');
  const lock = await leaseLock({ kubeConfigFile: controlPlane.adminKubeconfig })(config as never);
  return Array.from({ length: objects }, (_, object) => lock.sibling!(`schedule-${object}`));
}

const kib = (bytes: number): string => `${(bytes / 1_024).toFixed(1)} KiB`;
const ms = (value: number): string => `${value.toFixed(1)} ms`;
console.log(`limit of a document: ${kib(MAX_DOCUMENT_BYTES)}`);
const most = Math.max(...COUNTS);
const shapes = [
  ...COUNTS.map((count) => [count, 1] as const),
  ...SPREADS.map((objects) => [most, objects] as const),
];
for (const [count, objects] of shapes) {
  const answerMs = controlPlane === undefined ? ANSWER_MS : 0;
  const size = await sizes(count, objects);
  const idle = await idleMs(count, objects);
  const week = await recovery(count, objects);
  const one = await claims(count, 1, await storesOf(objects), answerMs);
  const all = await claims(count, count, await storesOf(objects), answerMs);
  if (values.json) {
    console.log(JSON.stringify({ count, objects, size, idle, week, one, all }));
    continue;
  }
  console.log(`${count} ${count === 1 ? 'job' : 'jobs'} on ${objects} ${objects === 1 ? 'object' : 'objects'}
  records: ${kib(size.quiet.bytes)}, the largest object stored ${kib(size.quiet.storedBytes)}; with ten past runs of each job ${kib(size.remembering.bytes)}, stored ${kib(size.remembering.storedBytes)}; kept ${size.keptRuns.join(' to ')}
  every job once an hour: ${size.writesADay} writes and ${(size.bytesADay / 1e6).toFixed(1)} MB a day
  idle: ${idle.toFixed(2)} ms of the event loop a minute
  a week without a leader: ${week.started} started and ${week.reported} reported after ${week.virtualMs} ms of virtual time; ${ms(week.tookMs)} of work, longest block ${ms(week.longestBlockMs)}; ${week.writes} writes, ${(week.bytes / 1e6).toFixed(1)} MB, largest ${kib(week.largestBytes)}
  one job due each second: started after ${ms(one.latencyMs.p50)} (p99 ${ms(one.latencyMs.p99)}), ${kib(one.bytesAWrite)} a write, ${(100 * one.cpuShare).toFixed(1)} % of a core
  all due each second: ${all.claimsASecond.toFixed(0)} claims a second, ${ms(all.latencyMs.p50)} (p99 ${ms(all.latencyMs.p99)}), ${all.writesASecond.toFixed(1)} writes a second of ${kib(all.bytesAWrite)}, ${(100 * all.cpuShare).toFixed(0)} % of a core, ${all.missed} missed`);
  for (const error of [...size.errors, ...week.errors, ...one.errors, ...all.errors]) {
    console.log(`  error: ${error.slice(0, 300)}`);
  }
}
await controlPlane?.stop();
process.exit(0);
