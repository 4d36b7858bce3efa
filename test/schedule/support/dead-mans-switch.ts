import { Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { LeaderSchedule } from '../../../lib/schedule/index.js';

/** The recipe of docs/scheduling.md, which shows this class as it is here. */
export class DeadMansSwitch implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger(DeadMansSwitch.name);
  private readonly pings = new Set<Promise<void>>();

  constructor(
    private readonly schedule: LeaderSchedule,
    private readonly urls: Readonly<Record<string, string | undefined>>,
  ) {}

  onModuleInit(): void {
    this.schedule.runs$.subscribe(({ kind, job }) => {
      const url = this.urls[job];
      if (kind !== 'succeeded' || url === undefined) return;
      const ping = this.ping(job, url).finally(() => this.pings.delete(ping));
      this.pings.add(ping);
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.pings);
  }

  private async ping(job: string, url: string): Promise<void> {
    try {
      const response = await fetch(url, { method: 'POST', signal: AbortSignal.timeout(10_000) });
      if (!response.ok) throw new Error(`the monitor answered ${response.status}`);
    } catch (error) {
      this.logger.warn(`job "${job}" succeeded, but the ping failed: ${String(error)}`);
    }
  }
}
