import { Module } from '@nestjs/common';
import { LeaderDashboardModule } from 'nestjs-leader-election/dashboard';
import { LeaderScheduleModule } from 'nestjs-leader-election/schedule';
import { AppModule } from '../app.module.js';
import { CountedJob } from './counted-job.js';
import { LoopbackGuard } from './loopback.guard.js';
import { Reporter } from './reporter.js';

/** The sample, with what its control room needs to know of it. */
@Module({
  imports: [
    AppModule,
    LeaderScheduleModule,
    LeaderDashboardModule.forRoot({ path: '/leader', guards: [LoopbackGuard], actions: true }),
  ],
  providers: [CountedJob, Reporter],
})
export class ReplicaModule {}
