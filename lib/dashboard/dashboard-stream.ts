import type { ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.js';

/** What is not sent yet, by what it is about. */
interface Pending {
  readonly event: string;
  readonly data: string;
}

const HEARTBEAT = ':\n\n';
/** When the connection is lost the browser comes back after this time. */
const RETRY_MS = 2_000;
/** What the end waits for a client that does not read. */
const END_MS = 500;

/**
 * One viewer. What a slow one has not read yet gives way to what is newer: of each part at most one version waits, so that a
 * viewer who stops reading costs no more than one who has just come.
 */
export class DashboardStream {
  private readonly pending = new Map<string, Pending>();
  private isBlocked = false;
  private isOver = false;

  constructor(
    private readonly response: ServerResponse,
    private readonly clock: Pick<Clock, 'setTimer'>,
    private readonly onClosed: () => void,
  ) {
    response.on('close', () => this.closed());
    // Without a listener, a write to a connection that has just broken would be an uncaught exception.
    response.on('error', () => this.closed());
    this.write(`retry: ${RETRY_MS}\n\n`);
  }

  /** @param data as JSON, which has no line breaks */
  send(event: string, data: string, key = event): void {
    if (this.isOver) return;
    this.pending.set(key, { event, data });
    this.flush();
  }

  heartbeat(): void {
    if (!this.isBlocked) this.write(HEARTBEAT);
  }

  /** Resolves when the connection is free, or broken. */
  end(): Promise<void> {
    if (this.isOver) return Promise.resolve();
    this.pending.clear();
    const { clock, response } = this;
    return new Promise((resolve) => {
      const timer = clock.setTimer(() => response.destroy(), END_MS);
      const done = (): void => {
        timer.cancel();
        this.closed();
        resolve();
      };
      response.once('finish', done);
      response.once('close', done);
      response.end();
    });
  }

  private flush(): void {
    while (!this.isBlocked && !this.isOver) {
      const [next] = this.pending;
      if (next === undefined) return;
      const [key, { event, data }] = next;
      this.pending.delete(key);
      this.write(`event: ${event}\ndata: ${data}\n\n`);
    }
  }

  private write(text: string): void {
    if (this.isOver || this.response.write(text)) return;
    this.isBlocked = true;
    this.response.once('drain', () => {
      this.isBlocked = false;
      this.flush();
    });
  }

  private closed(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.pending.clear();
    this.onClosed();
  }
}
