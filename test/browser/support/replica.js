import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import compression from 'compression';
import helmet from 'helmet';
import { ScheduleModule } from '@nestjs/schedule';
import { fileLock, LeaderElectionModule } from 'nestjs-leader-election';
import { LeaderDashboardModule } from 'nestjs-leader-election/dashboard';
import { LeaderCron, LeaderScheduleModule } from 'nestjs-leader-election/schedule';

/**
 * One replica of an application with a job every second, as users install it, beside the middleware that many of them use. It
 * says its port.
 */
const [directory, identity] = process.argv.slice(2);

class Jobs {
  tick() {}
}
const tick = Object.getOwnPropertyDescriptor(Jobs.prototype, 'tick');
LeaderCron('* * * * * *', { name: 'tick' })(Jobs.prototype, 'tick', tick);

class Everyone {
  canActivate() {
    return true;
  }
}

class AppModule {}
Module({
  imports: [
    ScheduleModule.forRoot(),
    LeaderElectionModule.forRoot({
      role: 'plans',
      lock: fileLock({ directory }),
      identity,
      members: true,
      leaseDurationMs: 3_000,
      renewDeadlineMs: 2_000,
      retryPeriodMs: 400,
    }),
    LeaderScheduleModule,
    LeaderDashboardModule.forRoot({ path: '/leader', guards: [Everyone], actions: true }),
  ],
  providers: [Jobs],
})(AppModule);

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
app.use(helmet());
app.use(compression({ threshold: 0 }));
await app.listen(0, '127.0.0.1');
console.log(await app.getUrl());
