/** Where a pool is closed in onModuleDestroy, in which order an application ends; on every version of NestJS. */
import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  memoryLock,
  OnRevoked,
} from 'nestjs-leader-election';

async function endOf(place: string): Promise<string[]> {
  const events: string[] = [];

  /** As the recipes for Prisma, pg and ioredis do. */
  @Injectable()
  class Pool {
    private isOpen = true;

    use(what: string): void {
      events.push(`${what}, pool ${this.isOpen ? 'open' : 'closed'}`);
    }

    async onModuleDestroy(): Promise<void> {
      this.isOpen = false;
      events.push('pool closes');
      await delay(4_000);
    }

    onApplicationShutdown(): void {
      events.push('shutdown');
    }
  }

  @Injectable()
  class Jobs {
    constructor(private readonly pool: Pool) {}

    @LeaderOnly()
    async run(ms: number): Promise<void> {
      this.pool.use('work begins');
      await delay(ms);
      this.pool.use('work ends');
    }

    @OnRevoked()
    async revoked(): Promise<void> {
      await delay(50);
      this.pool.use('revoked');
    }
  }

  const isInRoot = place === 'root';
  @Module({ providers: [Pool], exports: [Pool] })
  class PoolModule {}
  const pool = { module: PoolModule, global: place === 'global' };
  @Module({ imports: isInRoot ? [] : [pool], providers: isInRoot ? [] : [Jobs] })
  class FeatureModule {}
  const election = LeaderElectionModule.forRoot({
    role: place,
    lock: memoryLock(),
    leaseDurationMs: 2_000,
  });
  @Module({ imports: [election, FeatureModule], providers: isInRoot ? [Pool, Jobs] : [] })
  class AppModule {}

  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  await app.get(LeadershipService).waitForLeadership();
  await delay(50);
  const jobs = app.get(Jobs, { strict: false });
  void jobs.run(300);
  const closed = app.close();
  for (const ms of [100, 1_000]) {
    await delay(ms);
    void jobs.run(0);
  }
  await closed;
  return events;
}

export const ended = Promise.all(['root', 'feature', 'global'].map(endOf)).then((events) =>
  console.log(JSON.stringify(events)),
);
