import { kernelRandom } from '../kernel-entropy.js';
import type { LeaseWatch, LeaseWatchObserver } from '../../core/resource-lock.js';
import { ClusterAgent } from './cluster-agent.js';
import type { ClusterConnection } from './cluster-connection.js';
import type { ObjectAddress } from './object-address.js';
import { watchOnce, type WatchEnd } from './watch-attempt.js';
import { reopenAfterMs, wasUseful, type WatchPace } from './watch-pace.js';

export interface KubernetesLeaseWatchOptions {
  readonly connection: ClusterConnection;
  readonly resolveAddress: () => Promise<ObjectAddress>;
  readonly silenceLimitMs: number;
  readonly pace?: Partial<WatchPace>;
}

/**
 * A watch of one object over a connection of its own. It opens itself anew until it is closed. `interrupted` is
 * reported once per interruption, and again only when its cause changes.
 */
export class KubernetesLeaseWatch implements LeaseWatch {
  private readonly agent = new ClusterAgent({ keepAlive: false });
  private readonly pace: WatchPace;
  private attempt: AbortController | undefined;
  private startedAt = 0;
  private changes = 0;
  private uselessInARow = 0;
  private timer: NodeJS.Timeout | undefined;
  private isOpen = false;
  private lastError: string | undefined;
  private lastStatus: number | undefined;

  constructor(
    private readonly observer: LeaseWatchObserver,
    private readonly options: KubernetesLeaseWatchOptions,
  ) {
    this.pace = {
      intervalMs: 1_000,
      // What takes longer to be heard of again is found by the poll first.
      longestIntervalMs: options.silenceLimitMs,
      refusedIntervalMs: 60_000,
      random: kernelRandom,
      ...options.pace,
    };
    this.open();
  }

  close(): void {
    clearTimeout(this.timer);
    this.attempt?.abort(new Error('the watch was ended'));
    this.attempt = undefined;
  }

  private open(): void {
    const attempt = new AbortController();
    this.attempt = attempt;
    this.startedAt = performance.now();
    this.changes = 0;
    const { connection, resolveAddress, silenceLimitMs } = this.options;
    void watchOnce({
      connection,
      agent: this.agent,
      resolveAddress,
      silenceLimitMs,
      limit: attempt,
      opened: () => {
        this.isOpen = true;
        this.lastError = undefined;
        this.lastStatus = undefined;
        this.observer.opened();
      },
      changed: ({ lease, revision }) => {
        this.changes += 1;
        this.observer.changed(lease, revision);
      },
    }).then((end) => {
      if (this.attempt === attempt) this.ended(end);
    });
  }

  /** The next attempt is set before the observer hears of the end, so that nothing it does can prevent that. */
  private ended({ error, status }: WatchEnd): void {
    this.timer = setTimeout(() => this.open(), this.delayAfter({ error, status }));
    const isNews = this.isOpen || error?.message !== this.lastError;
    this.isOpen = false;
    this.lastError = error?.message;
    this.lastStatus = status;
    if (isNews) this.observer.interrupted(error);
  }

  private delayAfter({ error, status }: WatchEnd): number {
    const ended = {
      livedMs: performance.now() - this.startedAt,
      failed: error !== undefined,
      changes: this.changes,
      isRefusal: this.isRefusal(status),
      retryAfterMs: error?.retryAfterMs ?? 0,
    };
    this.uselessInARow = wasUseful(ended, this.pace) ? 0 : this.uselessInARow + 1;
    return reopenAfterMs(ended, this.uselessInARow, this.pace);
  }

  /** A missing right stays missing until somebody grants it. A 401 may end with the credentials just read again. */
  private isRefusal(status: number | undefined): boolean {
    return status === 403 || (status === 401 && this.lastStatus === 401);
  }
}
