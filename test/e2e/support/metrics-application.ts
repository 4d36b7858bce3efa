/**
 * One replica that leads, runs a job each second and serves its metrics. Settings come in the environment, see
 * `MetricsSettings`.
 */
import 'reflect-metadata';
import { Controller, Get, Header, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeadershipService, leaseLock } from 'nestjs-leader-election';
import { LeaderElectionMetricsModule } from 'nestjs-leader-election/metrics';
import { LeaderCron, LeaderScheduleModule } from 'nestjs-leader-election/schedule';
import { register } from 'prom-client';

/** What a replica is told in `METRICS_SETTINGS`. */
export interface MetricsSettings {
  readonly kubeConfigFile: string;
  readonly leaseName: string;
  readonly identity: string;
  readonly port: number;
}

const { kubeConfigFile, leaseName, identity, port } = JSON.parse(
  process.env['METRICS_SETTINGS']!,
) as MetricsSettings;
process.env['KUBECONFIG'] = kubeConfigFile;

@Controller()
class Plans {
  constructor(private readonly leadership: LeadershipService) {}

  @LeaderCron('* * * * * *', { name: 'close-plans' })
  close(): void {}

  @Post('suspend')
  suspend(): void {
    this.leadership.suspend();
  }

  @Get('metrics')
  @Header('Content-Type', register.contentType)
  metrics(): Promise<string> {
    return register.metrics();
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      role: leaseName,
      leaseName,
      identity,
      lock: leaseLock({ kubeConfig: 'default' }),
      profile: 'fast',
    }),
    LeaderScheduleModule,
    LeaderElectionMetricsModule.forRoot({ registry: register }),
  ],
  controllers: [Plans],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['warn', 'error'] });
await app.listen(port, '127.0.0.1');
console.log('listens');
