/** An application that has none of the optional peers: it leads, does its work, and ends; its tests have stand-ins. */
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  memoryLock,
} from 'nestjs-leader-election';
import { leadershipStandIn } from 'nestjs-leader-election/testing';

@Injectable()
class Job {
  @LeaderOnly()
  work(): Promise<string> {
    return Promise.resolve('done');
  }
}

@Module({
  imports: [LeaderElectionModule.forRoot({ role: 'consumer', lock: memoryLock() })],
  providers: [Job],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  await app.get(LeadershipService).waitForLeadership();
  const work = await app.get(Job).work();
  await app.close();
  console.log(JSON.stringify({ work, standIn: leadershipStandIn().role }));
}

void main();
