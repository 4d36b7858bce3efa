/**
 * One replica with an HTTP server: a route behind `LeaderGuard`, and Terminus. Settings come in the environment, see
 * `WebSettings`.
 */
import 'reflect-metadata';
import { writeSync } from 'node:fs';
import { Body, Controller, Get, Module, Param, Post, Query, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import {
  currentTerm,
  LeaderElectionModule,
  LeaderGuard,
  leaseLock,
  OnGranted,
  OnNewLeader,
  OnRevoked,
} from 'nestjs-leader-election';
import { LeadershipHealthIndicator } from 'nestjs-leader-election/health';

/** What a replica is told in `WEB_SETTINGS`. */
export interface WebSettings {
  readonly kubeConfigFile: string;
  readonly leaseName: string;
  readonly identity: string;
  readonly port: number;
  /** Say the own address while leading. */
  readonly saysAddress?: boolean;
  readonly leaseDurationMs?: number;
  readonly renewDeadlineMs?: number;
}

const { kubeConfigFile, port, saysAddress, ...options } = JSON.parse(
  process.env['WEB_SETTINGS']!,
) as WebSettings;

// Written at once: the next moment the event loop may be blocked.
const tell = (event: string): number => writeSync(1, `${event}\n`);

let stallMs = 0;

@Controller('plans')
class Plans {
  @UseGuards(LeaderGuard.for({ redirect: true }))
  @Post(':plan/close')
  close(@Param('plan') plan: string, @Query('by') by: string, @Body() body: object): object {
    return { plan, by, body, closedBy: options.identity, term: currentTerm()?.number };
  }

  @OnGranted()
  granted(): void {
    tell('granted');
  }

  @OnRevoked()
  revoked(): void {
    tell('revoked');
  }

  @OnNewLeader()
  follows(leader: string | undefined): void {
    tell(`leader ${leader ?? 'none'}`);
  }
}

@Controller('health')
class Health {
  constructor(
    private readonly health: HealthCheckService,
    private readonly leadership: LeadershipHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check(): unknown {
    return this.health.check([
      () => ({ blocking: { status: blocked() } }),
      () => this.leadership.check('leadership'),
    ]);
  }

  /** The next check holds the event loop for so long, as one that reads a large file with readFileSync does. */
  @Post('stall/:ms')
  stall(@Param('ms') ms: string): void {
    stallMs = Number(ms);
  }
}

function blocked(): 'up' {
  const until = performance.now() + stallMs;
  stallMs = 0;
  if (performance.now() < until) tell('stalls');
  while (performance.now() < until);
  return 'up';
}

@Module({
  imports: [
    TerminusModule.forRoot({ logger: false }),
    LeaderElectionModule.forRoot({
      role: 'plan-scheduler',
      lock: leaseLock({ kubeConfigFile }),
      ...options,
      ...(saysAddress && { address: `http://127.0.0.1:${port}` }),
    }),
  ],
  controllers: [Plans, Health],
  providers: [LeadershipHealthIndicator],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['warn', 'error'] });
app.enableShutdownHooks();
await app.listen(port, '127.0.0.1');
tell('listens');
