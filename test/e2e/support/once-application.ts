/**
 * One replica of an application with a migration that runs once per version. It tells on standard output what happens,
 * and its migration ends when the test writes the file that says so. Settings come in the environment, see
 * `OnceSettings`.
 */
import 'reflect-metadata';
import { existsSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  configMapLock,
  fileLock,
  LeaderElectionModule,
  LeadershipService,
  leaseLock,
  type ResourceLockFactory,
} from 'nestjs-leader-election';
import {
  type InterruptionPolicy,
  LeaderOnce,
  LeaderSchedule,
  LeaderScheduleModule,
  type OnceContext,
} from 'nestjs-leader-election/schedule';

/** What a replica is told in `ONCE_SETTINGS`. One of the two ways to a lock is given. */
export interface OnceSettings {
  readonly leaseName: string;
  readonly version: string;
  readonly onInterrupted: InterruptionPolicy;
  /** The migration ends when this file exists. */
  readonly finishFile: string;
  readonly lockDirectory?: string;
  readonly kubeConfigFile?: string;
  /** What of the cluster it is; a Lease unless given. */
  readonly lock?: 'lease' | 'config-map';
}

const settings = JSON.parse(process.env['ONCE_SETTINGS']!) as OnceSettings;
const { leaseName, version, onInterrupted, finishFile, lockDirectory, kubeConfigFile } = settings;

function lockOf(): ResourceLockFactory {
  if (lockDirectory !== undefined) return fileLock({ directory: lockDirectory });
  const cluster = { kubeConfigFile: kubeConfigFile! };
  return settings.lock === 'config-map'
    ? configMapLock({ ...cluster, name: leaseName })
    : leaseLock(cluster);
}

function tell(event: string, details: object = {}): void {
  // Written at once: a process that is killed the next moment has still told.
  writeSync(1, `${JSON.stringify({ event, ...details })}\n`);
}

@Injectable()
class Migrations {
  @LeaderOnce({ key: 'schema', version, onInterrupted, waitForOthers: true })
  async migrate({ attempt }: OnceContext): Promise<void> {
    tell('started', { attempt });
    while (!existsSync(finishFile)) await delay(20);
    tell('finished');
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      role: leaseName,
      leaseName,
      lock: lockOf(),
      leaseDurationMs: 6_000,
      renewDeadlineMs: 4_000,
      retryPeriodMs: 500,
    }),
    LeaderScheduleModule,
  ],
  providers: [Migrations],
})
class ReplicaModule {}

try {
  const app = await NestFactory.create(ReplicaModule, { abortOnError: false, logger: ['error'] });
  app.enableShutdownHooks();
  tell('starting', { identity: app.get(LeadershipService).identity });
  await app.listen(0, '127.0.0.1');
  tell('listening', { record: await app.get(LeaderSchedule).inspectOnce('schema') });
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  tell('not-started', { code, message });
  process.exit(1);
}
