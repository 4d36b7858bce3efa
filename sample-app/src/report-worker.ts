import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { OnGranted, OnRevoked, type RevocationReason, type Term } from 'nestjs-leader-election';

/** A worker that lives as long as the term: started when leadership is granted, stopped before it is handed over. */
@Injectable()
export class ReportWorker {
  private readonly logger = new Logger('ReportWorker');
  private running: Promise<void> = Promise.resolve();

  @OnGranted()
  start(term: Term): void {
    this.logger.log(`starts with term ${term.number}, fencing token ${term.fencingToken}`);
    this.running = this.work(term.signal);
  }

  /** The lease is released only after this has ended: the next leader never starts beside a worker that still stops. */
  @OnRevoked()
  async stop(term: Term, reason: RevocationReason): Promise<void> {
    await this.running;
    this.logger.log(`has stopped with term ${term.number}: ${reason}`);
  }

  private async work(signal: AbortSignal): Promise<void> {
    for (let report = 1; !signal.aborted; report += 1) {
      this.logger.log(`report ${report}`);
      await delay(5_000, undefined, { signal }).catch(() => undefined);
    }
  }
}
