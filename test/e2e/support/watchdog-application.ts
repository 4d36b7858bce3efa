/**
 * One replica that blocks its event loop for a while after each grant, and tells on standard output what happens. Settings
 * come in the environment, see `WatchdogSettings`.
 */
import 'reflect-metadata';
import { writeSync } from 'node:fs';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { fileLock, LeaderElectionModule, OnGranted, OnRevoked } from 'nestjs-leader-election';

/** What a replica is told in `WATCHDOG_SETTINGS`. */
export interface WatchdogSettings {
  readonly directory: string;
  readonly watchdog: boolean;
  /** How long it blocks the event loop after a grant; 0: not at all. */
  readonly blocksMs: number;
}

const { directory, watchdog, blocksMs } = JSON.parse(
  process.env['WATCHDOG_SETTINGS']!,
) as WatchdogSettings;

// Written at once: the next moment the event loop may be blocked.
const tell = (event: string): number => writeSync(1, `${event}\n`);

@Injectable()
class Worker {
  @OnGranted()
  granted(): void {
    tell('granted');
    setTimeout(() => {
      const until = performance.now() + blocksMs;
      while (performance.now() < until);
      tell('answers');
    }, 100);
  }

  @OnRevoked()
  revoked(): void {
    tell('revoked');
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      role: 'plan-scheduler',
      lock: fileLock({ directory }),
      watchdog,
      leaseDurationMs: 8_000,
      renewDeadlineMs: 2_000,
    }),
  ],
  providers: [Worker],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['warn', 'error'] });
app.enableShutdownHooks();
