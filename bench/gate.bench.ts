/**
 * What a check of leadership costs on a leader: `isLeader()`, and a method behind `@LeaderOnly()` over the same method
 * without it, in an application without metrics and traces, in one with metrics, and in one with everything on. Medians of
 * several rounds in one run; only the differences and ratios mean anything.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
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
import { AlwaysOffSampler, TracerProvider } from '@opentelemetry/sdk-trace';
import { Registry } from 'prom-client';

const CALLS = 200_000;
const ROUNDS = 15;

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
}

@Module({
  imports: [LeaderElectionModule.forRoot({ role: 'bench', lock: memoryLock() })],
  providers: [Job],
})
class BenchModule {}

@Module({
  imports: [
    LeaderElectionModule.forRoot({ role: 'measured', lock: memoryLock() }),
    LeaderElectionMetricsModule.forRoot({ registry: new Registry() }),
  ],
  providers: [Job],
})
class MeasuredModule {}

const everythingOn = (role: string, tracerProvider: TracerProvider) => ({
  module: class {},
  imports: [
    LeaderElectionModule.forRoot({ role, lock: memoryLock() }),
    LeaderElectionMetricsModule.forRoot({ registry: new Registry() }),
    LeaderElectionTracingModule.forRoot({ tracerProvider }),
  ],
  providers: [Job],
});

function nanosecondsPerCall(call: () => unknown): number {
  const start = process.hrtime.bigint();
  for (let index = 0; index < CALLS; index += 1) call();
  return Number(process.hrtime.bigint() - start) / CALLS;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

const app = await NestFactory.createApplicationContext(BenchModule, { logger: ['error'] });
const leadership = app.get(LeadershipService);
await leadership.waitForLeadership();
const job = app.get(Job);
const measuredApp = await NestFactory.createApplicationContext(MeasuredModule, {
  logger: ['error'],
});
await measuredApp.get(LeadershipService).waitForLeadership();
const measuredJob = measuredApp.get(Job);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
const tracedApps = await Promise.all([
  tracedApp('sampled', new TracerProvider()),
  tracedApp('unsampled', new TracerProvider({ sampler: new AlwaysOffSampler() })),
]);
const [sampledJob, unsampledJob] = tracedApps.map((each) => each.get(Job));

async function tracedApp(role: string, provider: TracerProvider) {
  const made = await NestFactory.createApplicationContext(everythingOn(role, provider), {
    logger: ['error'],
  });
  await made.get(LeadershipService).waitForLeadership();
  return made;
}

const cases: Record<string, () => unknown> = {
  'bare method': () => job.bare(1),
  'performance.now()': () => performance.now(),
  'leadership.isLeader()': () => leadership.isLeader(),
  '@LeaderOnly() method': () => job.gated(1),
  'the same with metrics': () => measuredJob.gated(1),
  'metrics, unsampled spans': () => unsampledJob!.gated(1),
  'metrics and spans': () => sampledJob!.gated(1),
};
const measured = new Map<string, number[]>(Object.keys(cases).map((name) => [name, []]));
// Interleaved, so that a busy moment of the machine hits all of them.
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, call] of Object.entries(cases))
    measured.get(name)!.push(nanosecondsPerCall(call));
  // Without a turn of the event loop no lease is renewed, and a closed gate would be measured.
  await nextTurn();
}
if (!leadership.isLeader()) throw new Error('leadership was lost while it was measured');
await app.close();
await measuredApp.close();
await Promise.all(tracedApps.map((each) => each.close()));

const bare = median(measured.get('bare method')!);
for (const [name, rounds] of measured) {
  const ns = median(rounds);
  console.log(
    `${name.padEnd(24)} ${ns.toFixed(1).padStart(7)} ns   ${(ns - bare).toFixed(1).padStart(7)} ns over the bare method`,
  );
}
