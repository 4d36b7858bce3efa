/**
 * An application under @nestjs/observe whose jobs run on the leader, as the leader or (`follower`) beside another one that
 * leads. Prints how often each job ran and what the APM recorded of it.
 */
import 'reflect-metadata';
import { setTimeout } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { ModulesContainer, NestFactory } from '@nestjs/core';
import { createObserveModule } from '@nestjs/observe';
import { Interval, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import {
  EveryReplica,
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  memoryLock,
} from 'nestjs-leader-election';
import { LeaderCron, LeaderScheduleModule } from 'nestjs-leader-election/schedule';

interface JobRecord {
  readonly queueName: string;
  readonly name: string;
  readonly status: string;
}

const WANTED = 3;
const isFollower = process.argv.includes('follower');
const AWAITED = isFollower
  ? ['everywhere']
  : ['above', 'below', 'gated', 'everywhere', 'claimed', 'failing'];
const records: JobRecord[] = [];
const { ObserveModule, ObserveInstrument } = createObserveModule();

@Injectable()
class Jobs {
  readonly calls: Record<string, number> = {};

  constructor(private readonly intervals: SchedulerRegistry) {}

  @Interval('above', 50)
  @LeaderOnly()
  above(): Promise<void> {
    return this.called('above');
  }

  @LeaderOnly()
  @Interval('below', 50)
  below(): Promise<void> {
    return this.called('below');
  }

  @Interval('gated', 50)
  gated(): Promise<void> {
    return this.called('gated');
  }

  @EveryReplica()
  @Interval('everywhere', 50)
  everywhere(): Promise<void> {
    return this.called('everywhere');
  }

  @LeaderCron('* * * * * *', { name: 'claimed' })
  claimed(): Promise<void> {
    return this.called('claimed');
  }

  @LeaderCron('* * * * * *', { name: 'failing' })
  async failing(): Promise<void> {
    await this.called('failing');
    throw new Error('no database');
  }

  get isDone(): boolean {
    return AWAITED.every((name) => (this.calls[name] ?? 0) >= (isCron(name) ? 1 : WANTED));
  }

  private async called(name: string): Promise<void> {
    await Promise.resolve();
    this.calls[name] = (this.calls[name] ?? 0) + 1;
    if (!isCron(name) && this.calls[name] === WANTED) this.intervals.deleteInterval(name);
  }
}

function isCron(name: string): boolean {
  return name === 'claimed' || name === 'failing';
}

const lock = memoryLock();
const election = (gateSchedules: boolean) =>
  LeaderElectionModule.forRoot({ role: 'jobs', lock, gateSchedules });

@Module({
  imports: [
    // Nothing listens there: what would be sent stays here.
    ObserveModule.forRoot({
      serviceId: 'test',
      appKey: 'test',
      appSecret: 'test',
      endpoint: 'http://127.0.0.1:9',
    }),
    ScheduleModule.forRoot(),
    election(true),
    LeaderScheduleModule,
  ],
  providers: [Jobs],
})
class AppModule {}

@Module({ imports: [election(false)] })
class LeadingModule {}

const leading = isFollower
  ? await NestFactory.createApplicationContext(LeadingModule, { logger: false })
  : undefined;
await leading?.get(LeadershipService).waitForLeadership();
const instrument = ObserveInstrument!;
const app = await NestFactory.createApplicationContext(AppModule, { instrument, logger: false });
const buffer = [...app.get(ModulesContainer).values()]
  .flatMap(({ providers }) => [...providers.values()])
  .find(({ name }) => name === 'ObserveAgentSharedBuffer')!.instance as unknown as {
  insertJobSnapshot(record: JobRecord): void;
};
buffer.insertJobSnapshot = (record) => void records.push(record);
const jobs = app.get(Jobs);
while (!jobs.isDone) await setTimeout(10);
const calls = { ...jobs.calls };
await app.close();
await leading?.close();
// More records than calls would have come by now.
await setTimeout(200);
const shown: Record<string, string[]> = {};
for (const { queueName, name, status } of records) {
  (shown[name] ??= []).push(`${queueName} ${status}`);
}
console.log(JSON.stringify({ calls: { ...calls, ...jobs.calls }, records: shown }));
process.exit(0);
