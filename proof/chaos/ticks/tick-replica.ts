import { openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import 'reflect-metadata';
import {
  fileLock,
  LeaderElectionModule,
  LeadershipService,
  leaseLock,
  OnGranted,
  OnRevoked,
} from '../../../lib/index.js';
import {
  LeaderCron,
  type LeaderCronContext,
  LeaderSchedule,
  LeaderScheduleModule,
  type MissedReport,
} from '../../../lib/schedule/index.js';
import type { TickEvent, TickReplicaSettings } from './tick-replica-settings.js';

/** One replica with a job every second, as a Nest application. Settings come in the environment. */

const settings = JSON.parse(process.env['TICK_REPLICA']!) as TickReplicaSettings;
const history = openSync(settings.historyFile, 'a');

type Told = TickEvent extends infer E ? (E extends E ? Omit<E, 'name'> : never) : never;

function tell(event: Told): void {
  writeSync(history, `${JSON.stringify({ ...event, name: settings.name })}\n`);
}

@Injectable()
class EverySecond {
  @LeaderCron('* * * * * *', {
    name: 'every-second',
    startingDeadlineSeconds: settings.startingDeadlineSeconds,
    onMissed: ({ reason, times }: MissedReport) =>
      tell({ event: 'missed', reason, ticks: times.map((time) => time.getTime() / 1_000) }),
  })
  tick({ scheduledTime, term }: LeaderCronContext): void {
    const dueAt = scheduledTime.getTime();
    const caughtUp = dueAt <= term.grantedAt.getTime();
    tell({ event: 'started', tick: dueAt / 1_000, lateMs: Date.now() - dueAt, caughtUp });
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
const LONGEST_WORK_MS = 1_000;

/** Wants one version after the other, until the application closes. One that was interrupted has failed. */
async function rollOut(schedule: LeaderSchedule): Promise<void> {
  for (;;) {
    const version = Math.floor(Date.now() / ROLLOUT_MS);
    const work = async (): Promise<void> => {
      tell({ event: 'once', version });
      await delay(Math.random() * LONGEST_WORK_MS);
    };
    try {
      await schedule.once('rollout', version, work, { waitTimeoutMs: 10 * ROLLOUT_MS });
    } catch (error) {
      const { code } = error as { readonly code?: string };
      if (code !== 'ERR_ONCE_FAILED' && code !== 'ERR_ONCE_TIMEOUT') return;
    }
    await delay(Math.max(0, (version + 1) * ROLLOUT_MS - Date.now()));
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      role: 'ticks',
      leaseName: settings.leaseName,
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
  providers: [EverySecond],
})
class TickModule {}

const app = await NestFactory.createApplicationContext(TickModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
app.get(LeadershipService);
tell({ event: 'ready' });
void rollOut(app.get(LeaderSchedule));
