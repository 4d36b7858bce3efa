/** An application under @nestjs/observe whose jobs run on the leader: prints what ran and what the APM recorded. */
import 'reflect-metadata';
import { setTimeout } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { ModulesContainer, NestFactory } from '@nestjs/core';
import { createObserveModule } from '@nestjs/observe';
import { Interval, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { LeaderElectionModule, LeaderOnly, memoryLock } from 'nestjs-leader-election';

interface JobRecord {
  readonly queueName: string;
  readonly name: string;
  readonly status: string;
}

const WANTED = 3;
const records: JobRecord[] = [];
const { ObserveModule, ObserveInstrument } = createObserveModule();

@Injectable()
class Jobs {
  calls = 0;

  constructor(private readonly intervals: SchedulerRegistry) {}

  @Interval('gated', 50)
  @LeaderOnly()
  async gated(): Promise<void> {
    // A tick before this process leads is skipped, and recorded all the same.
    if (this.calls === 0) records.length = 0;
    await Promise.resolve();
    this.calls += 1;
    if (this.calls === WANTED) this.intervals.deleteInterval('gated');
  }
}

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
    LeaderElectionModule.forRoot({ role: 'jobs', lock: memoryLock() }),
  ],
  providers: [Jobs],
})
class AppModule {}

const instrument = ObserveInstrument!;
const app = await NestFactory.createApplicationContext(AppModule, {
  instrument,
  logger: false,
});
const buffer = [...app.get(ModulesContainer).values()]
  .flatMap(({ providers }) => [...providers.values()])
  .find(({ name }) => name === 'ObserveAgentSharedBuffer')!.instance as unknown as {
  insertJobSnapshot(record: JobRecord): void;
};
buffer.insertJobSnapshot = (record) => void records.push(record);
const jobs = app.get(Jobs);
while (jobs.calls < WANTED || records.length < WANTED) await setTimeout(10);
// One more record than calls would have come by now.
await setTimeout(200);
await app.close();
const shown = records.map(({ queueName, name, status }) => ({ queueName, name, status }));
console.log(JSON.stringify({ calls: jobs.calls, records: shown }));
process.exit(0);
