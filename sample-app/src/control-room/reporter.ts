import {
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { LeadershipService } from 'nestjs-leader-election';
import { LeaderSchedule } from 'nestjs-leader-election/schedule';
import { JOB } from './messages.js';
import { report } from './report.js';

const RECORD_PERIOD_MS = 1_000;

/** Tells the control room who leads, and what the record says that all replicas share. */
@Injectable()
export class Reporter implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private isReading = false;

  constructor(
    private readonly leadership: LeadershipService,
    private readonly schedule: LeaderSchedule,
  ) {}

  onApplicationBootstrap(): void {
    this.leadership.leadership$.subscribe(({ term, reason }) =>
      report({
        kind: 'leadership',
        at: Date.now(),
        term: term?.number ?? null,
        reason: reason ?? null,
      }),
    );
    this.schedule.runs$.subscribe(({ kind, job, scheduledTime, reason }) => {
      // An interrupted one was claimed; the record says by whom.
      if (kind !== 'missed' || job !== JOB.name || reason === 'interrupted') return;
      report({ kind: 'missed', tick: scheduledTime.getTime() });
    });
    this.timer = setInterval(() => void this.readRecord(), RECORD_PERIOD_MS);
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  private async readRecord(): Promise<void> {
    if (this.isReading || !this.leadership.isLeader()) return;
    this.isReading = true;
    try {
      const { lastScheduleTime, active, history } = await this.schedule.inspect(JOB.name);
      report({
        kind: 'recorded',
        latest: lastScheduleTime?.getTime() ?? null,
        active: active.map(({ scheduledTime }) => scheduledTime.getTime()),
        past: history
          .filter(({ isTriggered }) => !isTriggered)
          .map(({ scheduledTime, holderIdentity, outcome }) => ({
            tick: scheduledTime.getTime(),
            holder: holderIdentity,
            isInterrupted: outcome === 'interrupted',
          })),
      });
    } catch {
      // The lock cannot be reached, which the election logs. The next read says what happened meanwhile.
    } finally {
      this.isReading = false;
    }
  }
}
