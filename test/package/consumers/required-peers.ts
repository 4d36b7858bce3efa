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
import { LeaderDashboardModule } from 'nestjs-leader-election/dashboard';
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

/** The package that the sub-path asks for. */
async function missingFor(subPath: string): Promise<string | undefined> {
  try {
    await import(`nestjs-leader-election/${subPath}`);
    return undefined;
  } catch (error) {
    return /Cannot find package '([^']+)'/.exec((error as Error).message)?.[1];
  }
}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  await app.get(LeadershipService).waitForLeadership();
  const work = await app.get(Job).work();
  await app.close();
  const standIn = leadershipStandIn().role;
  const dashboard = LeaderDashboardModule.forRoot().controllers?.length;
  const tracing = await missingFor('tracing');
  console.log(JSON.stringify({ work, standIn, dashboard, tracing }));
}

void main();
