/** This library as its users have it: a NestJS application that imports the package by its name. */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  LeaderElectionModule,
  LeadershipService,
  leaseLock,
  OnGranted,
  OnNewLeader,
  OnRevoked,
} from 'nestjs-leader-election';
import { theCandidate } from './candidate.js';

const candidate = theCandidate();

@Injectable()
class Work {
  @OnGranted()
  start(): void {
    candidate.granted();
  }

  @OnRevoked()
  stop(): Promise<void> {
    return candidate.revoked();
  }

  @OnNewLeader()
  follow(leader: string | undefined): void {
    candidate.leader(leader);
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      role: 'bench',
      leaseName: candidate.leaseName,
      namespace: candidate.namespace,
      identity: candidate.identity,
      leaseDurationMs: candidate.leaseMs,
      renewDeadlineMs: candidate.renewMs,
      retryPeriodMs: candidate.retryMs,
      lock: leaseLock({ kubeConfigFile: candidate.kubeConfigFile }),
    }),
  ],
  providers: [Work],
})
class Application {}

const app = await NestFactory.createApplicationContext(Application, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
const leadership = app.get(LeadershipService);
candidate.sample(() => leadership.isLeader());
candidate.ready();
