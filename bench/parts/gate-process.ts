/**
 * One application for the bench of the gates, as a user has it: it imports the package by its name. Asked for `time`, it tells
 * the CPU time of each kind of call in nanoseconds; for `bytes`, what each takes of the heap, of which no garbage may be
 * collected meanwhile; for `frames`, which functions took it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Session } from 'node:inspector/promises';
import { getHeapStatistics } from 'node:v8';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Injectable, type ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  memoryLock,
} from 'nestjs-leader-election';
import { LeaderElectionMetricsModule } from 'nestjs-leader-election/metrics';
import { LeaderElectionTracingModule } from 'nestjs-leader-election/tracing';
import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { TracerProvider } from '@opentelemetry/sdk-trace';
import { Registry } from 'prom-client';
import { answerMessages } from '../asked-process.js';

const CALLS = 100_000;
const AWAITED_CALLS = 20_000;
const COUNTED_CALLS = 10_000;
const WARM_UP_ROUNDS = 12;

@Injectable()
class Job {
  count = 0;

  bare(step: number): number {
    this.count += step;
    return this.count;
  }

  @LeaderOnly()
  gated(step: number): number {
    this.count += step;
    return this.count;
  }

  async bareAsync(step: number): Promise<number> {
    this.count += step;
    return this.count;
  }

  @LeaderOnly()
  async gatedAsync(step: number): Promise<number> {
    this.count += step;
    return this.count;
  }
}

/** What a process measures; those of its kind. */
export type GateCall =
  | 'bare'
  | 'isLeader'
  | 'gated'
  | 'bareAsync'
  | 'gatedAsync'
  | 'monotonicClock'
  | 'wallClock'
  | 'storage';

const [standing, observers] = process.argv.slice(2) as ['leader' | 'follower', string];
const lock = memoryLock();

async function application(providers: ModuleMetadata['providers'], imports: object[] = []) {
  const election = LeaderElectionModule.forRoot({
    role: 'bench',
    lock,
    // Of one group, although both are in one process.
    identity: `bench-${providers!.length}`,
  });
  const module = { module: class {}, imports: [election, ...(imports as never[])], providers };
  return NestFactory.createApplicationContext(module as never, { logger: ['error'] });
}

const others = standing === 'follower' ? [await application([])] : [];
for (const other of others) await other.get(LeadershipService).waitForLeadership();
const observing: object[] = [];
if (observers !== 'off') {
  observing.push(LeaderElectionMetricsModule.forRoot({ registry: new Registry() }));
}
if (observers === 'spans') {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  observing.push(LeaderElectionTracingModule.forRoot({ tracerProvider: new TracerProvider() }));
}
const app = await application([Job], observing);
const leadership = app.get(LeadershipService);
if (standing === 'leader') await leadership.waitForLeadership();
const job = app.get(Job);
/** A result that is not used need not be made. */
const sink = new Float64Array(1);
const storage = new AsyncLocalStorage<object>();
const [store, nothing] = [{}, () => job.count];

type Loop = (times: number) => unknown;

/** Each has a loop of its own, as in an application, where no other call has taught the compiler what to expect. */
const calls: Partial<Record<GateCall, Loop>> = {
  bare: (times) => {
    for (let index = 0; index < times; index += 1) job.bare(1);
  },
  isLeader: (times) => {
    for (let index = 0; index < times; index += 1) leadership.isLeader();
  },
  gated: (times) => {
    for (let index = 0; index < times; index += 1) job.gated(1);
  },
};
const awaited: Partial<Record<GateCall, Loop>> = {};
if (standing === 'leader') {
  Object.assign(awaited, {
    bareAsync: async (times) => {
      for (let index = 0; index < times; index += 1) await job.bareAsync(1);
    },
    gatedAsync: async (times) => {
      for (let index = 0; index < times; index += 1) await job.gatedAsync(1);
    },
  } satisfies typeof awaited);
}
if (standing === 'leader' && observers === 'off') {
  Object.assign(calls, {
    monotonicClock: (times) => {
      for (let index = 0; index < times; index += 1) sink[0]! += performance.now();
    },
    wallClock: (times) => {
      for (let index = 0; index < times; index += 1) sink[0]! += Date.now();
    },
    storage: (times) => {
      for (let index = 0; index < times; index += 1) storage.run(store, nothing);
    },
  } satisfies typeof calls);
}

async function repeat(call: GateCall, times: number): Promise<void> {
  await (calls[call] ?? awaited[call])!(times);
}

/** Asks for one case after the other. */
async function ofEach<T>(
  ask: (call: GateCall, isAwaited: boolean) => Promise<T>,
): Promise<Partial<Record<GateCall, T>>> {
  const answers: Partial<Record<GateCall, T>> = {};
  for (const call of [...Object.keys(calls), ...Object.keys(awaited)] as GateCall[]) {
    answers[call] = await ask(call, call in awaited);
    // Without a turn of the event loop no lease is renewed, and a closed gate would be measured.
    await nextTurn();
  }
  if (leadership.isLeader() !== (standing === 'leader')) throw new Error('leadership has changed');
  return answers;
}

async function nanoseconds(name: GateCall, isAwaited: boolean): Promise<number> {
  const times = isAwaited ? AWAITED_CALLS : CALLS;
  const before = process.cpuUsage();
  await repeat(name, times);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / times;
}

async function bytes(name: GateCall): Promise<number> {
  globalThis.gc!();
  const before = getHeapStatistics().used_heap_size;
  await repeat(name, COUNTED_CALLS);
  return (getHeapStatistics().used_heap_size - before) / COUNTED_CALLS;
}

interface SampledNode {
  readonly callFrame: { readonly functionName: string };
  readonly selfSize: number;
  readonly children: readonly SampledNode[];
}

/** Bytes for each call, by the functions that took them; the profiler samples. */
async function frames(name: GateCall): Promise<Record<string, number>> {
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 256,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  } as never);
  await repeat(name, COUNTED_CALLS);
  const { profile } = await session.post('HeapProfiler.stopSampling');
  session.disconnect();
  const sizes: Record<string, number> = {};
  const add = ({ callFrame, selfSize, children }: SampledNode): void => {
    const { functionName } = callFrame;
    sizes[functionName] = (sizes[functionName] ?? 0) + selfSize / COUNTED_CALLS;
    for (const child of children) add(child);
  };
  add(profile.head);
  return sizes;
}

for (let round = 0; round < WARM_UP_ROUNDS; round += 1) await ofEach(nanoseconds);
answerMessages(
  (message) => {
    if (message === 'time') return ofEach(nanoseconds);
    if (message === 'bytes') return ofEach(bytes);
    return ofEach(frames);
  },
  async () => {
    await app.close();
    for (const other of others) await other.close();
  },
);
