import { openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Module, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import 'reflect-metadata';
import {
  fileLock,
  LeaderElectionModule,
  leaseLock,
  OnGranted,
  OnRevoked,
} from '../../../lib/index.js';
import {
  JobCancelledError,
  type LeaderCronContext,
  LeaderSchedule,
  LeaderScheduleModule,
  type MissedReport,
} from '../../../lib/schedule/index.js';
import { EXPRESSION, type TickJob, tickJobs, workOf } from './tick-jobs.js';
import {
  ONCE_KEYS,
  type OnceKey,
  type Order,
  REQUESTED_JOB,
  type TickReplicaSettings,
  type ToldEvent,
} from './tick-replica-settings.js';

/** One replica with the jobs of `tick-jobs.ts`, as a Nest application. Settings come in the environment, orders by messages. */

const settings = JSON.parse(process.env['TICK_REPLICA']!) as TickReplicaSettings;
const history = openSync(settings.historyFile, 'a');

function tell(event: ToldEvent): void {
  const { name } = settings;
  writeSync(history, `${JSON.stringify({ name, at: Date.now(), ...event })}\n`);
}

@Injectable()
class TickJobs implements OnModuleInit {
  constructor(private readonly schedule: LeaderSchedule) {}

  onModuleInit(): void {
    for (const job of tickJobs(settings.jobs, settings.startingDeadlineSeconds)) this.add(job);
    // `Allow`: a run that was interrupted does not stand in the way of the next.
    this.schedule.add(
      REQUESTED_JOB.name,
      REQUESTED_JOB.expression,
      async () => {
        tell({ event: 'requested-run' });
        await delay(Math.random() * LONGEST_WORK_MS);
      },
      { concurrencyPolicy: 'Allow' },
    );
  }

  private add({ name: job, kind, options }: TickJob): void {
    const handler = async (context: LeaderCronContext): Promise<void> => {
      const { scheduledTime, attempt, term, signal } = context;
      const nominal = scheduledTime.getTime();
      const run = { job, tick: nominal / 1_000, attempt };
      const caughtUp = nominal <= term.grantedAt.getTime();
      tell({ event: 'started', ...run, lateMs: Date.now() - nominal, caughtUp });
      let succeeded = false;
      try {
        await workOf(kind, run, signal);
        succeeded = true;
      } finally {
        const isCancelled = signal.reason instanceof JobCancelledError;
        tell({ event: 'ended', ...run, succeeded, isCancelled });
      }
    };
    const onMissed = ({ reason, times }: MissedReport): void =>
      tell({ event: 'missed', job, reason, ticks: times.map((time) => time.getTime() / 1_000) });
    this.schedule.add(job, EXPRESSION, handler, { ...options, onMissed });
  }

  @OnGranted()
  granted(): void {
    tell({ event: 'granted' });
  }

  @OnRevoked()
  revoked(): void {
    tell({ event: 'revoked' });
  }
}

/** A new version of work that must run once, at the same times in all replicas. */
const ROLLOUT_MS = 2_000;
const LONGEST_WORK_MS = 1_500;

/** Wants one version after the other, until the application closes. */
async function rollOut(schedule: LeaderSchedule, key: OnceKey): Promise<void> {
  for (;;) {
    const version = Math.floor(Date.now() / ROLLOUT_MS);
    const work = async (): Promise<void> => {
      tell({ event: 'once-started', key, version });
      await delay(Math.random() * LONGEST_WORK_MS);
      tell({ event: 'once-ended', key, version });
    };
    const options = { onInterrupted: key, waitTimeoutMs: 10 * ROLLOUT_MS };
    try {
      const result = await schedule.once(key, version, work, options);
      tell({ event: 'once-told', key, version, result });
    } catch (error) {
      const { code = String(error) } = error as { readonly code?: string };
      tell({ event: 'once-told', key, version, result: code });
      if (code !== 'ERR_ONCE_FAILED' && code !== 'ERR_ONCE_TIMEOUT') return;
    }
    await delay(Math.max(0, (version + 1) * ROLLOUT_MS - Date.now()));
  }
}

async function obey(schedule: LeaderSchedule, order: Order): Promise<void> {
  tell({ event: 'asked', ...order });
  try {
    await perform(schedule, order);
    tell({ event: 'done', ...order });
  } catch {
    // The store could not be reached in time; another replica is asked.
    tell({ event: 'failed', ...order });
  }
}

async function perform(schedule: LeaderSchedule, { request, job }: Order): Promise<void> {
  switch (request) {
    case 'suspend':
      return schedule.suspend(job);
    case 'resume':
      return schedule.resume(job);
    case 'cancel':
      await schedule.cancel(job, { waitMs: 0 });
      return;
    case 'inspect': {
      const { history: past } = await schedule.inspect(job);
      const runs = past.map(({ scheduledTime, attempt, startedAt, holderIdentity, outcome }) => {
        const tick = scheduledTime.getTime() / 1_000;
        const startedMs = startedAt.getTime();
        return { tick, attempt, startedAt: startedMs, holder: holderIdentity, outcome };
      });
      return tell({ event: 'inspected', job, runs });
    }
    default:
      return request satisfies never;
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      role: 'ticks',
      leaseName: settings.leaseName,
      identity: settings.name,
      leaseDurationMs: 3_000,
      renewDeadlineMs: 2_000,
      retryPeriodMs: 300,
      requestTimeoutMs: 1_000,
      lock:
        settings.lockDirectory === undefined
          ? leaseLock({ kubeConfigFile: settings.kubeConfigFile! })
          : fileLock({ directory: settings.lockDirectory }),
    }),
    LeaderScheduleModule,
  ],
  providers: [TickJobs],
})
class TickModule {}

const app = await NestFactory.createApplicationContext(TickModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
const schedule = app.get(LeaderSchedule);
process.on('message', (order: Order) => void obey(schedule, order));
tell({ event: 'ready' });
for (const key of ONCE_KEYS) void rollOut(schedule, key);
