/** A @LeaderCron() job in an application of each consumer: it runs one tick, is listed, and ends with its leader. */
import 'reflect-metadata';
import { join } from 'node:path';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { fileLock, LeaderElectionModule } from 'nestjs-leader-election';
import {
  LeaderCron,
  LeaderSchedule,
  LeaderScheduleModule,
  type LeaderCronContext,
} from 'nestjs-leader-election/schedule';

let ticked: (context: LeaderCronContext) => void;
const firstTick = new Promise<LeaderCronContext>((resolve) => (ticked = resolve));

@Injectable()
class Job {
  @LeaderCron('* * * * * *', { name: 'tick', timeZone: 'Etc/UTC' })
  tick(context: LeaderCronContext): void {
    ticked(context);
  }
}

@Module({
  imports: [
    ScheduleModule.forRoot(),
    LeaderElectionModule.forRoot({
      role: 'consumer',
      lock: fileLock({ directory: join(process.cwd(), 'leases') }),
    }),
    LeaderScheduleModule,
  ],
  providers: [Job],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  const { scheduledTime, missed, term, signal } = await firstTick;
  const { lastScheduleTime } = await app.get(LeaderSchedule).inspect('tick');
  const job = app.get(SchedulerRegistry).getCronJob('tick');
  const said = {
    milliseconds: scheduledTime.getUTCMilliseconds(),
    countsMissed: missed.count === missed.times.length,
    term: term.number,
    isAborted: signal.aborted,
    isRecorded: lastScheduleTime !== null && lastScheduleTime >= scheduledTime,
    isListedAsActive: job.isActive,
    hasNextDate: job.nextDate().toMillis() > scheduledTime.getTime(),
  };
  await app.close();
  console.log(JSON.stringify({ ...said, isActiveAtTheEnd: job.isActive }));
}

void main();
