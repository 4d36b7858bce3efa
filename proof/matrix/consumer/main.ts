/**
 * The application of every combination: all integrations on, one role on a file lock. `npm run test:matrix` runs two
 * replicas of it and reads what they print, one JSON array a line.
 */
import 'reflect-metadata';
import { Controller, Get, Header, Injectable, Module } from '@nestjs/common';
import { Cron, ScheduleModule } from '@nestjs/schedule';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import {
  fileLock,
  LeaderElectionModule,
  LeaderOnly,
  LeadershipService,
  leaseLock,
  OnGranted,
  OnRevoked,
  type RevocationReason,
  type Term,
} from 'nestjs-leader-election';
import { LeaderDashboardModule } from 'nestjs-leader-election/dashboard';
import { LeadershipHealthIndicator } from 'nestjs-leader-election/health';
import { LeaderElectionMetricsModule } from 'nestjs-leader-election/metrics';
import {
  LeaderCron,
  type LeaderCronContext,
  LeaderScheduleModule,
} from 'nestjs-leader-election/schedule';
import { register } from 'prom-client';
import { createApplication } from './platform-express.js';

function say(...what: (string | number)[]): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

@Injectable()
class Jobs {
  constructor(private readonly leadership: LeadershipService) {}

  @OnGranted()
  granted(term: Term): void {
    say('granted', term.number, typeof term.fencingToken, String(this.leadership.isLeader()));
  }

  @OnRevoked()
  revoked(term: Term, reason: RevocationReason): void {
    say('revoked', term.number, reason);
  }

  @Cron('* * * * * *')
  @LeaderOnly()
  gated(): void {
    say('gated');
  }

  @LeaderCron('* * * * * *', { name: 'tick' })
  tick({ scheduledTime }: LeaderCronContext): void {
    say('tick', scheduledTime.toISOString());
  }
}

@Controller()
class Pages {
  constructor(
    private readonly checks: HealthCheckService,
    private readonly indicator: LeadershipHealthIndicator,
  ) {}

  @Get('health')
  @HealthCheck()
  health(): ReturnType<HealthCheckService['check']> {
    return this.checks.check([() => this.indicator.check('leadership')]);
  }

  @Get('metrics')
  @Header('Content-Type', 'text/plain')
  metrics(): Promise<string> {
    return register.metrics();
  }

  /** Why a lock in a cluster cannot be opened here. */
  @Get('kubeconfig')
  async kubeconfig(): Promise<string> {
    const requester = { leaseName: 'matrix', namespace: 'default', identity: 'a' };
    try {
      await leaseLock({ kubeConfigFile: '/nowhere' })(requester);
      return 'it opened';
    } catch (error) {
      return String(error);
    }
  }

  /** Stops the event loop, so that only the thread of the watchdog can end this process. */
  @Get('block')
  block(): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }
}

@Module({
  imports: [
    ScheduleModule.forRoot(),
    TerminusModule,
    LeaderElectionModule.forRoot({
      role: 'matrix',
      lock: fileLock({ directory: process.env['MATRIX_LEASES']! }),
      leaseDurationMs: 12_000,
      renewDeadlineMs: 9_000,
      watchdog: true,
    }),
    LeaderScheduleModule,
    LeaderElectionMetricsModule.forRoot({ registry: register }),
    LeaderDashboardModule.forRoot(),
  ],
  controllers: [Pages],
  providers: [Jobs, LeadershipHealthIndicator],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await createApplication(AppModule);
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  say('listening', await app.getUrl());
}

void main();
