import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { LeaderElectionModule } from 'nestjs-leader-election';
import { HealthController } from './health.controller.js';
import { ReportWorker } from './report-worker.js';
import { lockFromEnvironment } from './lock-from-environment.js';
import { PlanScheduler } from './plan-scheduler.js';
import { PlansController } from './plans.controller.js';
import { StatusLine } from './status-line.js';

@Module({
  imports: [
    ScheduleModule.forRoot(),
    LeaderElectionModule.forRoot({
      role: 'plan-scheduler',
      leaseName: 'plan-scheduler',
      ...lockFromEnvironment(process.env),
      members: process.env['MEMBERS'] === 'true',
      podLabel: process.env['POD_LABEL'] === 'true',
      createLease: process.env['CREATE_LEASE'] !== 'false',
    }),
  ],
  controllers: [PlansController, HealthController],
  providers: [PlanScheduler, ReportWorker, StatusLine],
})
export class AppModule {}
