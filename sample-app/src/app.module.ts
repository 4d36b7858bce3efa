import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { LeaderElectionModule } from 'nestjs-leader-election';
import { LeaderElectionMetricsModule } from 'nestjs-leader-election/metrics';
import { register } from 'prom-client';
import { electionFromEnvironment } from './election-from-environment.js';
import { HealthController } from './health.controller.js';
import { MetricsController } from './metrics.controller.js';
import { ReportWorker } from './report-worker.js';
import { PlanScheduler } from './plan-scheduler.js';
import { PlansController } from './plans.controller.js';

@Module({
  imports: [
    ScheduleModule.forRoot(),
    LeaderElectionModule.forRoot({
      role: 'plan-scheduler',
      leaseName: 'plan-scheduler',
      ...electionFromEnvironment(process.env),
    }),
    LeaderElectionMetricsModule.forRoot({ registry: register }),
  ],
  controllers: [PlansController, HealthController, MetricsController],
  providers: [PlanScheduler, ReportWorker],
})
export class AppModule {}
