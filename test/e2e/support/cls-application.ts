/**
 * An application with nestjs-cls and two routes that end leadership inside a request. Prints, as JSON, the ids of the
 * requests and those that handlers, timers and subscribers see afterwards.
 */
import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { Controller, Injectable, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Interval, ScheduleModule } from '@nestjs/schedule';
import { ClsModule, ClsService } from 'nestjs-cls';
import {
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  memoryLock,
  OnGranted,
  OnRevoked,
} from '../../../lib/index.js';
import { LeaderCron, LeaderScheduleModule, LeaderSchedule } from '../../../lib/schedule/index.js';

const seen: Record<string, (string | null)[]> = {};

@Injectable()
class Worker {
  constructor(private readonly cls: ClsService) {}

  @OnGranted()
  granted(): void {
    this.note('granted');
  }

  @OnRevoked()
  revoked(): void {
    this.note('revoked');
  }

  @LeaderOnly()
  @Interval(200)
  interval(): void {
    this.note('interval');
  }

  @LeaderCron('* * * * * *', { name: 'every second' })
  tick(): void {
    this.note('tick');
  }

  note(event: string): void {
    (seen[event] ??= []).push(this.cls.getId() ?? null);
  }
}

@Controller()
class RunController {
  constructor(
    private readonly leadership: LeadershipService,
    private readonly schedule: LeaderSchedule,
    private readonly cls: ClsService,
  ) {}

  @Post('step-down')
  stepDown(): string {
    this.leadership.stepDown({ cooldownMs: 100 });
    return this.cls.getId();
  }

  @Post('trigger')
  async trigger(): Promise<string> {
    await this.schedule.trigger('every second');
    return this.cls.getId();
  }
}

@Module({
  imports: [
    ScheduleModule.forRoot(),
    ClsModule.forRoot({ global: true, middleware: { mount: true, generateId: true } }),
    LeaderElectionModule.forRoot({
      role: 'cls',
      lock: memoryLock(),
      leaseDurationMs: 2_000,
      retryPeriodMs: 100,
    }),
    LeaderScheduleModule,
  ],
  controllers: [RunController],
  providers: [Worker],
})
class ClsApplicationModule {}

const app = await NestFactory.create(ClsApplicationModule, { logger: false });
await app.listen(0, '127.0.0.1');
await app.get(LeadershipService).waitForLeadership();
const url = await app.getUrl();
const post = async (path: string) => (await fetch(`${url}/${path}`, { method: 'POST' })).text();
const requests = [await post('trigger'), await post('step-down')];
await app.get(LeadershipService).waitForLeadership();
for (const events of Object.values(seen)) events.length = 0;
await delay(3_000);
await app.close();
process.stdout.write(JSON.stringify({ requests, seen }));
