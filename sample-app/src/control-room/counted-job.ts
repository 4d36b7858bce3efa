import { Injectable } from '@nestjs/common';
import { LeaderCron, type LeaderCronContext } from 'nestjs-leader-election/schedule';
import { JOB } from './messages.js';
import { report } from './report.js';

/** The job whose ticks the control room counts: each is claimed before it runs, so none runs twice. */
@Injectable()
export class CountedJob {
  @LeaderCron(JOB.schedule, {
    name: JOB.name,
    startingDeadlineSeconds: JOB.startingDeadlineSeconds,
    missed: 'all',
    historyLimit: 30,
  })
  count({ scheduledTime, isTriggered, term }: LeaderCronContext): void {
    const [at, tick] = [Date.now(), scheduledTime.getTime()];
    const isCaughtUp = tick < term.grantedAt.getTime() || at - tick >= JOB.intervalMs;
    report({ kind: 'ran', tick, isTriggered, at, term: term.number, isCaughtUp });
  }
}
