import { isJsonObject } from '../../core/json-document.js';
import type { ObservedLease } from '../../core/lease-record.js';
import type { LeaseWatch, LeaseWatchObserver } from '../../core/resource-lock.js';
import type { ClusterConnection } from '../../kubernetes/connection/cluster-connection.js';
import { ClusterAgent } from '../../kubernetes/http/agent.js';
import type { ObjectAddress } from '../../kubernetes/object-request.js';
import {
  HEADERS_LIMIT_MS,
  type WatchEnd,
  type WatchEvent,
  watchOnce,
} from '../../kubernetes/watch-attempt.js';
import { kernelRandom } from '../kernel-entropy.js';
import type { LeaseDecoder } from './lease-object.js';

interface LeaseChange {
  readonly lease: ObservedLease | null;
  readonly revision: bigint;
}

/**
 * Undefined for a bookmark and an event of another object, which are nothing but a sign of life. Throws an Error that
 * says what is wrong with the object.
 */
function parseChange(
  event: WatchEvent,
  address: ObjectAddress,
  decode: KubernetesLeaseWatchOptions['decode'],
): LeaseChange | undefined {
  if (event.kind === 'bookmark' || isNamedOtherwise(event.object, address)) return undefined;
  const { type, object } = event;
  const decoded = decode(object, address);
  if (decoded.kind === 'unusable')
    throw new Error(`the object of a ${type} event ${decoded.problem}`);
  const { lease } = decoded;
  // The object of a DELETED event is the last state, under the resourceVersion of the deletion.
  return { lease: type === 'DELETED' ? null : lease, revision: lease.revision };
}

/** The field selector excludes other objects, but a server in between may ignore selectors. */
function isNamedOtherwise(object: unknown, address: ObjectAddress): boolean {
  if (!isJsonObject(object) || !isJsonObject(object['metadata'])) return false;
  const { name } = object['metadata'];
  return typeof name === 'string' && name !== address.name;
}

/**
 * No resourceVersion is sent: the server then begins with the present state as an ADDED event. A watch that continues
 * from a remembered version would miss nothing either, but the server may have forgotten that version (410), and the
 * election reads the lease after every start anyway.
 */
function watchQuery({ name }: ObjectAddress): Record<string, string> {
  return {
    fieldSelector: `metadata.name=${name}`,
    allowWatchBookmarks: 'true',
    // Five to ten minutes, spread so that replicas do not all come back together.
    timeoutSeconds: String(300 + Math.floor(kernelRandom() * 300)),
  };
}

/** Aborts an attempt that has heard nothing, not even a bookmark, for too long: its connection may be half open. */
class SilenceLimit {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly limit: AbortController,
    private readonly limitMs: number,
  ) {}

  restart(atMostMs = Number.POSITIVE_INFINITY): void {
    this.stop();
    const ms = Math.min(this.limitMs, atMostMs);
    const silent = () => this.limit.abort(new Error(`nothing was heard for ${ms} ms`));
    this.timer = setTimeout(silent, ms);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

export interface WatchPace {
  /** Before the first new attempt; doubled with each consecutive attempt that achieved nothing. */
  readonly intervalMs: number;
  readonly longestIntervalMs: number;
  /** After a refusal that will not end by itself. */
  readonly refusedIntervalMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface EndedAttempt {
  readonly livedMs: number;
  readonly failed: boolean;
  /** How many changes it reported. The first is the state that the server begins with. */
  readonly changes: number;
  readonly isRefusal: boolean;
  readonly retryAfterMs: number;
}

/** An attempt that followed the lease, or ended in good order after a while: the next is no repetition (R21). */
export function wasUseful({ livedMs, failed, changes }: EndedAttempt, pace: WatchPace): boolean {
  return changes > 1 || (!failed && livedMs >= pace.intervalMs);
}

/**
 * How long after the end of an attempt the next one begins. Spread, as all watches of a server end at the same instant
 * when it does; meanwhile the election polls.
 */
export function reopenAfterMs(ended: EndedAttempt, uselessInARow: number, pace: WatchPace): number {
  if (ended.isRefusal) return pace.refusedIntervalMs;
  if (uselessInARow === 0) return pace.random() * pace.intervalMs;
  const doubled = pace.intervalMs * 2 ** (uselessInARow - 1);
  const interval = Math.min(doubled, Math.max(pace.longestIntervalMs, pace.intervalMs));
  const asked = Math.min(ended.retryAfterMs, pace.refusedIntervalMs);
  return Math.max(interval * (0.5 + 0.5 * pace.random()), asked);
}

export interface KubernetesLeaseWatchOptions {
  readonly connection: ClusterConnection;
  readonly resolveAddress: () => Promise<ObjectAddress>;
  readonly decode: LeaseDecoder;
  readonly silenceLimitMs: number;
  readonly pace?: Partial<WatchPace>;
}

/**
 * A watch of one object over a connection of its own. It reopens itself until it is closed. `interrupted` is reported
 * once per interruption, and again only when its cause changes.
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
      // If it takes longer to reconnect, the poll finds changes first.
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
    const { connection, resolveAddress, decode, silenceLimitMs } = this.options;
    const silence = new SilenceLimit(attempt, silenceLimitMs);
    silence.restart(HEADERS_LIMIT_MS);
    void watchOnce({
      connection,
      agent: this.agent,
      resolveAddress,
      query: watchQuery,
      signal: attempt.signal,
      heard: () => silence.restart(),
      opened: () => {
        this.isOpen = true;
        this.lastError = undefined;
        this.lastStatus = undefined;
        this.observer.opened();
      },
      parse: (event, address) => {
        const change = parseChange(event, address, decode);
        return change && (() => this.changed(change));
      },
    }).then((end) => {
      silence.stop();
      if (this.attempt === attempt) this.ended(end);
    });
  }

  private changed({ lease, revision }: LeaseChange): void {
    this.changes += 1;
    this.observer.changed(lease, revision);
  }

  /** The next attempt is scheduled before the observer hears of the end, so that nothing it does can prevent it. */
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

  /**
   * A missing right stays missing until someone grants it. A 401 may end with the credentials that were just read
   * again.
   */
  private isRefusal(status: number | undefined): boolean {
    return status === 403 || (status === 401 && this.lastStatus === 401);
  }
}
