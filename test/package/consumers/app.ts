/** The application of both consumers: leads on the lock it is told, runs one gated cron tick, hands over, ends. */
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Cron, ScheduleModule } from '@nestjs/schedule';
import {
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  leaseLock,
  memoryLock,
  OnGranted,
  OnRevoked,
  type RevocationReason,
  type Term,
} from 'nestjs-leader-election';

const events: string[] = [];
let ticked: () => void;
const firstTick = new Promise<void>((resolve) => (ticked = resolve));

@Injectable()
class Job {
  @Cron('* * * * * *')
  @LeaderOnly()
  tick(): void {
    events.push('tick');
    ticked();
  }

  @OnGranted()
  granted(term: Term): void {
    events.push(`granted ${term.number} ${typeof term.fencingToken}`);
  }

  @OnRevoked()
  revoked(term: Term, reason: RevocationReason): void {
    events.push(`revoked ${term.number} ${reason}`);
  }
}

const kubeConfigFile = process.env['CONSUMER_KUBECONFIG'];

@Module({
  imports: [
    ScheduleModule.forRoot(),
    LeaderElectionModule.forRoot({
      role: 'consumer',
      lock: kubeConfigFile ? leaseLock({ kubeConfigFile }) : memoryLock(),
    }),
  ],
  providers: [Job],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  await app.get(LeadershipService).waitForLeadership();
  await firstTick;
  await app.close();
  console.log(JSON.stringify([...new Set(events)]));
}

void main();
