/**
 * One replica of an application with a job whose runs are stuck, until they are aborted, as long as a file is missing.
 * It tells on standard output what happens, and does what the test asks. Settings come in the environment, see
 * `StuckSettings`.
 */
import 'reflect-metadata';
import { existsSync, writeSync } from 'node:fs';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { fileLock, LeaderElectionModule, LeadershipService } from 'nestjs-leader-election';
import {
  type JobCancelledError,
  LeaderCron,
  type LeaderCronContext,
  LeaderSchedule,
  LeaderScheduleModule,
} from 'nestjs-leader-election/schedule';

/** What a replica is told in `STUCK_SETTINGS`. */
export interface StuckSettings {
  readonly lockDirectory: string;
  /** A run that starts once this file exists ends at once. */
  readonly freeFile: string;
}

/** What a replica is asked in a message; it answers with an event of that name. */
export type StuckRequest =
  { readonly ask: 'inspected' } | { readonly ask: 'cancelled'; readonly reason: string };

const JOB = 'print';
const { lockDirectory, freeFile } = JSON.parse(process.env['STUCK_SETTINGS']!) as StuckSettings;

function tell(event: string, details: object = {}): void {
  // Written at once: a process that is killed the next moment has still told.
  writeSync(1, `${JSON.stringify({ event, ...details })}\n`);
}

@Injectable()
class Printer {
  @LeaderCron('* * * * * *', { name: JOB, concurrencyPolicy: 'Forbid', historyLimit: 100 })
  async print({ scheduledTime, signal }: LeaderCronContext): Promise<void> {
    tell('started', { scheduledTime });
    if (existsSync(freeFile)) return;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    const { code, by, reason } = signal.reason as JobCancelledError;
    tell('aborted', { code, by, reason });
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      role: 'printing',
      leaseName: 'printing',
      lock: fileLock({ directory: lockDirectory }),
      leaseDurationMs: 10_000,
      renewDeadlineMs: 8_000,
      retryPeriodMs: 500,
    }),
    LeaderScheduleModule,
  ],
  providers: [Printer],
})
class ReplicaModule {}

const app = await NestFactory.create(ReplicaModule, { logger: ['error'] });
const schedule = app.get(LeaderSchedule);
schedule.runs$.subscribe(({ kind, scheduledTime, reason }) => {
  if (kind === 'missed') tell('missed', { scheduledTime, reason });
});
process.on('message', (request: StuckRequest) => void answer(request));
await app.listen(0, '127.0.0.1');
tell('listening', { identity: app.get(LeadershipService).identity });

async function answer(request: StuckRequest): Promise<void> {
  const told =
    request.ask === 'cancelled'
      ? { result: await schedule.cancel(JOB, { reason: request.reason, waitMs: 60_000 }) }
      : { status: await schedule.inspect(JOB) };
  tell(request.ask, told);
}
