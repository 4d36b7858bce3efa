/** Two replicas of an application in one process: a migration runs in one of them, and so do its timers. */
import 'reflect-metadata';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Interval, ScheduleModule } from '@nestjs/schedule';
import {
  EveryReplica,
  fileLock,
  LeaderElectionModule,
  LeadershipService,
} from 'nestjs-leader-election';
import { LeaderOnce, LeaderSchedule, LeaderScheduleModule } from 'nestjs-leader-election/schedule';

let migrations = 0;

@Injectable()
class Work {
  gated = 0;
  everywhere = 0;

  @LeaderOnce({ key: 'schema', version: '1.10', waitForOthers: true })
  migrate(): void {
    migrations += 1;
  }

  @Interval(20)
  tick(): void {
    this.gated += 1;
  }

  @EveryReplica()
  @Interval(20)
  refresh(): void {
    this.everywhere += 1;
  }
}

@Module({
  imports: [
    ScheduleModule.forRoot(),
    LeaderElectionModule.forRoot({
      role: 'once-and-gates',
      gateSchedules: true,
      lock: fileLock({ directory: join(process.cwd(), 'leases') }),
    }),
    LeaderScheduleModule,
  ],
  providers: [Work],
})
class AppModule {}

async function main(): Promise<void> {
  const start = () =>
    NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  const leader = await start();
  await leader.get(LeadershipService).waitForLeadership();
  const follower = await start();
  const [led, followed] = [leader.get(Work), follower.get(Work)];
  while (led.gated < 3 || followed.everywhere < 3) await delay(10);
  const { state, version } = (await follower.get(LeaderSchedule).inspectOnce('schema'))!;
  const said = { migrations, state, version, ticksOfFollower: followed.gated };
  await follower.close();
  await leader.close();
  console.log(JSON.stringify(said));
}

void main();
