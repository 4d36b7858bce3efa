/**
 * An application with many jobs that are due in every second: of `@LeaderCron`, whose ticks it claims on a Lease, or of plain
 * `@Cron`. For each message it tells what it saw in so many milliseconds.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Cron, ScheduleModule } from '@nestjs/schedule';
import type { ResourceLock } from '../../lib/core/resource-lock.js';
import { LeaderElectionModule, LeadershipService, leaseLock } from '../../lib/index.js';
import {
  LeaderCron,
  type LeaderCronContext,
  LeaderScheduleModule,
} from '../../lib/schedule/index.js';
import { answerMessages } from '../asked-process.js';

export type JobKind = 'claimed' | 'plain';

export interface ClaimRound {
  /** Milliseconds from the second in which a job is due to its handler. */
  readonly latencies: readonly number[];
  /** Milliseconds that each write of the schedule object took. */
  readonly writes: readonly number[];
  readonly ms: number;
  readonly cpuMsPerSecond: number;
}

const EACH_SECOND = '* * * * * *';

const [kind, jobs, kubeConfigFile, role] = process.argv.slice(2) as [
  JobKind,
  string,
  string,
  string,
];
let latencies: number[] = [];
let writes: number[] = [];

const wallMs = (): number => performance.timeOrigin + performance.now();

function began(dueAt: number): void {
  latencies.push(wallMs() - dueAt);
}

/** A class with so many jobs. */
function jobsClass(): Type {
  @Injectable()
  class Jobs {}
  for (let index = 0; index < Number(jobs); index += 1) {
    const key = `job${index}`;
    const value =
      kind === 'claimed'
        ? ({ scheduledTime }: LeaderCronContext): void => began(scheduledTime.getTime())
        : (): void => began(Math.floor(wallMs() / 1_000) * 1_000);
    const descriptor = { value, configurable: true, writable: true, enumerable: false };
    const decorate =
      kind === 'claimed' ? LeaderCron(EACH_SECOND, { name: key }) : Cron(EACH_SECOND);
    Object.defineProperty(Jobs.prototype, key, descriptor);
    decorate(Jobs.prototype, key, descriptor);
    Object.defineProperty(Jobs.prototype, key, descriptor);
  }
  return Jobs;
}

/** Takes the time of each write of the schedule. */
function timed(lock: ResourceLock): ResourceLock {
  const sibling = lock.sibling!.bind(lock);
  lock.sibling = (suffix) => {
    const store = sibling(suffix);
    const replace = store.replace.bind(store);
    store.replace = async (...order) => {
      const begun = performance.now();
      const outcome = await replace(...order);
      writes.push(performance.now() - begun);
      return outcome;
    };
    return store;
  };
  return lock;
}

const makeLock = leaseLock({ kubeConfigFile });
const election = LeaderElectionModule.forRoot({
  role,
  namespace: 'default',
  lock: async (requester) => timed((await makeLock(requester)) as ResourceLock),
});
const module = {
  module: class {},
  imports: [
    ScheduleModule.forRoot(),
    ...(kind === 'claimed' ? [election, LeaderScheduleModule] : []),
  ],
  providers: [jobsClass()],
};
const app = await NestFactory.createApplicationContext(module, { logger: ['error'] });
if (kind === 'claimed') await app.get(LeadershipService).waitForLeadership();
// The first claims create the object, and compile what claims.
await delay(3_500);

answerMessages(
  async (message): Promise<ClaimRound> => {
    // In the middle between two ticks.
    await delay(1_500 - (wallMs() % 1_000));
    [latencies, writes] = [[], []];
    const [begun, cpu] = [performance.now(), process.cpuUsage()];
    await delay(Number(message));
    const ms = performance.now() - begun;
    const { user, system } = process.cpuUsage(cpu);
    return { latencies, writes, ms, cpuMsPerSecond: (user + system) / ms };
  },
  () => app.close(),
);
