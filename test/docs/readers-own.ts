import './nestjs-locks.js';
import type { CanActivate, DynamicModule } from '@nestjs/common';
import type { HealthCheckService, HealthIndicatorResult } from '@nestjs/terminus';
import type { Tracer, TracerProvider } from '@opentelemetry/api';
import type { LeaderElectionOptionsFactory, LeadershipService } from 'nestjs-leader-election';
import type { ElectionFixture, LockFixture } from 'nestjs-leader-election/contracts';
import type { LeadershipHealthIndicator } from 'nestjs-leader-election/health';
import type { LeaderCronContext } from 'nestjs-leader-election/schedule';

/** What snippets of the documentation leave to its readers: names of their own, and what they know of them. */
declare global {
  const leadership: LeadershipService;

  interface Row {
    readonly id: number;
  }
  class Database {
    pingCheck<Key extends string>(key: Key): Promise<HealthIndicatorResult<Key>>;
    insert(row: Row & { fence: bigint | undefined }): Promise<void>;
    readonly migrations: readonly { run(): Promise<void> }[];
  }
  const database: Database;
  function consumeQueue(options: { signal: AbortSignal; fence: bigint }): Promise<void>;
  function writeReport(date: Date, signal: AbortSignal | undefined): Promise<void>;

  const health: HealthCheckService;
  const leadershipHealth: LeadershipHealthIndicator;
  function alert(job: string, missed: readonly Date[]): Promise<void>;

  class AppModule {}
  class AuthModule {}
  class MetricsModule {}
  class PlanScheduler {}
  class ElectionSettings implements LeaderElectionOptionsFactory {
    createLeaderElectionOptions(): { namespace: string };
  }
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
  function createFixture(): LockFixture & ElectionFixture;
  const electionModule: DynamicModule;

  function sendInvoices(signal?: AbortSignal): Promise<void>;
  function subscribeToFeed(options: { signal: AbortSignal }): Promise<void>;

  function uuidOfKernel(): string;

  /** From `@nestjs/config`. */
  class ConfigModule {}
  class ConfigService {
    get(key: string): string | undefined;
  }

  /** From `@opentelemetry/sdk-trace-base`. */
  class BasicTracerProvider implements TracerProvider {
    getTracer(name: string): Tracer;
  }

  /** From `ioredis`. */
  const redis: {
    set(key: string, value: string, px: 'PX', ttlMs: number, nx: 'NX'): Promise<'OK' | null>;
    del(key: string): Promise<number>;
  };

  /** From `@sentry/nestjs`. */
  function SentryTraced(): MethodDecorator;
}
