import './nestjs-locks.js';
import type { CanActivate, DynamicModule } from '@nestjs/common';
import type { LeadershipService } from 'nestjs-leader-election';
import type { LeaderCronContext } from 'nestjs-leader-election/schedule';

/** What snippets of the documentation leave to its readers: names of their own, and what they know of them. */
declare global {
  const leadership: LeadershipService;

  interface Row {
    readonly id: number;
  }
  class Database {
    insert(row: Row & { fence: bigint | undefined }): Promise<void>;
    readonly migrations: readonly { run(): Promise<void> }[];
  }
  const database: Database;
  function consumeQueue(options: { signal: AbortSignal; fence: bigint }): Promise<void>;
  function writeReport(date: Date, signal: AbortSignal | undefined): Promise<void>;

  class AppModule {}
  class AuthModule {}
  class AdminGuard implements CanActivate {
    canActivate(): boolean;
  }
  class PlansController {
    create(): { by: string };
  }
  class Reports {
    readonly sent: readonly Date[];
    send(context: LeaderCronContext): void;
  }
  class Poller {
    readonly polls: number;
  }
  const electionModule: DynamicModule;

  function sendInvoices(signal?: AbortSignal): Promise<void>;
  function subscribeToFeed(options: { signal: AbortSignal }): Promise<void>;

  /** From `ioredis`. */
  const redis: {
    set(key: string, value: string, px: 'PX', ttlMs: number, nx: 'NX'): Promise<'OK' | null>;
    del(key: string): Promise<number>;
  };

  /** From `@sentry/nestjs`. */
  function SentryTraced(): MethodDecorator;
}
