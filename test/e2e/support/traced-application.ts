/**
 * One replica on NestJS 12 as ES modules whose spans go to memory. When it has closed after a SIGTERM, it prints them as
 * JSON. Settings come in the environment, see `TracedSettings`.
 */
import 'reflect-metadata';
import { setTimeout } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Interval, ScheduleModule } from '@nestjs/schedule';
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import {
  LeaderElectionModule,
  LeaderOnly,
  leaseLock,
  OnGranted,
  OnNewLeader,
} from 'nestjs-leader-election';
import { LeaderCron, LeaderScheduleModule } from 'nestjs-leader-election/schedule';
import { LeaderElectionTracingModule } from 'nestjs-leader-election/tracing';

/** What a replica is told in `TRACED_SETTINGS`. */
export interface TracedSettings {
  readonly kubeConfigFile: string;
  readonly leaseName: string;
  readonly identity: string;
}

/** A span as it is printed. Times are milliseconds since the epoch. */
export interface PrintedSpan {
  readonly name: string;
  readonly trace: string;
  readonly id: string;
  readonly parent?: string;
  readonly links: readonly string[];
  readonly status: number;
  readonly start: number;
  readonly end: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

const { kubeConfigFile, ...options } = JSON.parse(
  process.env['TRACED_SETTINGS']!,
) as TracedSettings;

const exporter = new InMemorySpanExporter();
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(
  new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
);
const tracer = trace.getTracer('user');

@Injectable()
class Plans {
  @LeaderOnly()
  @Interval(200)
  async poll(): Promise<void> {
    await setTimeout(150);
    tracer.startSpan('SELECT plans').end();
    console.log('polled');
  }

  @LeaderCron('* * * * * *', { name: 'close-plans' })
  async close(): Promise<void> {
    await setTimeout(10);
    tracer.startSpan('UPDATE plans').end();
    console.log('closed');
  }

  @OnGranted()
  granted(): void {
    console.log('granted');
  }

  @OnNewLeader()
  follows(leader: string | undefined): void {
    console.log(`leader ${leader ?? 'none'}`);
  }
}

@Module({
  imports: [
    ScheduleModule.forRoot(),
    LeaderElectionModule.forRoot({
      role: 'plan-scheduler',
      lock: leaseLock({ kubeConfigFile }),
      ...options,
    }),
    LeaderScheduleModule,
    LeaderElectionTracingModule.forRoot(),
  ],
  providers: [Plans],
})
class AppModule {}

const milliseconds = ([seconds, nanoseconds]: [number, number]): number =>
  seconds * 1_000 + nanoseconds / 1e6;

function printed(): PrintedSpan[] {
  return exporter.getFinishedSpans().map((span) => ({
    name: span.name,
    trace: span.spanContext().traceId,
    id: span.spanContext().spanId,
    ...(span.parentSpanContext && { parent: span.parentSpanContext.spanId }),
    links: span.links.map((link) => link.context.spanId),
    status: span.status.code,
    start: milliseconds(span.startTime),
    end: milliseconds(span.endTime),
    attributes: span.attributes,
  }));
}

const app = await tracer.startActiveSpan('boot', async (boot) => {
  try {
    return await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  } finally {
    boot.end();
  }
});
process.once('SIGTERM', () => {
  void app.close().then(() => console.log(`spans ${JSON.stringify(printed())}`));
});
