import type { IncomingMessage } from 'node:http';
import { LockRequestError } from '../../core/errors.js';
import { isJsonObject } from '../../core/json-document.js';
import type { ObservedLease } from '../../core/lease-record.js';
import type { LeaseWatch, LeaseWatchObserver } from '../../core/resource-lock.js';
import { messageOf } from '../../core/thrown-value.js';
import {
  describeTransportFailure,
  explainResponse,
  explainUnusable,
} from '../../kubernetes/answer-messages.js';
import { type ApiStatus, asStatus } from '../../kubernetes/api-status.js';
import type { ClusterConnection } from '../../kubernetes/connection/cluster-connection.js';
import { ClusterAgent } from '../../kubernetes/http/agent.js';
import { exchange, ExchangeFailure, JsonLines, readBody } from '../../kubernetes/http/exchange.js';
import { unlessAborted, withoutSecrets } from '../../kubernetes/kubernetes-transport.js';
import {
  type RequestContext,
  collectionPath,
  describeAddress,
  type ObjectAddress,
} from '../../kubernetes/object-request.js';
import { kernelRandom } from '../kernel-entropy.js';
import { decodeLease } from './lease-record.codec.js';

/** One line of a watch. */
type WatchEvent =
  | { readonly kind: 'changed'; readonly lease: ObservedLease | null; readonly revision: bigint }
  /** A bookmark, or an event of another object: nothing but a sign of life. */
  | { readonly kind: 'alive' }
  /** The server ends the watch, e.g. with 410 because it no longer has the history. */
  | { readonly kind: 'error'; readonly status: ApiStatus | null };

/** Throws an Error that says what is wrong with the line. */
function parseWatchEvent(line: string, address: ObjectAddress): WatchEvent {
  const json: unknown = JSON.parse(line);
  if (!isJsonObject(json)) throw new Error('an event is not a JSON object');
  const { type, object } = json;
  switch (type) {
    case 'BOOKMARK':
      return { kind: 'alive' };
    case 'ERROR':
      return { kind: 'error', status: asStatus(object) };
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return parseChange(type, object, address);
    default:
      throw new Error(`an event is of type ${JSON.stringify(type)}`);
  }
}

function parseChange(type: string, object: unknown, address: ObjectAddress): WatchEvent {
  if (isNamedOtherwise(object, address)) return { kind: 'alive' };
  const decoded = decodeLease(object, address);
  if (decoded.kind === 'unusable')
    throw new Error(`the object of a ${type} event ${decoded.problem}`);
  const { lease } = decoded;
  // The object of a DELETED event is the last state, under the resourceVersion of the deletion.
  return { kind: 'changed', lease: type === 'DELETED' ? null : lease, revision: lease.revision };
}

/** The field selector excludes other objects, but a server in between may ignore selectors. */
function isNamedOtherwise(object: unknown, address: ObjectAddress): boolean {
  if (!isJsonObject(object) || !isJsonObject(object['metadata'])) return false;
  const { name } = object['metadata'];
  return typeof name === 'string' && name !== address.name;
}

interface WatchAttemptOptions {
  readonly connection: ClusterConnection;
  readonly agent: ClusterAgent;
  readonly resolveAddress: () => Promise<ObjectAddress>;
  /** Aborting it ends the attempt at any point. */
  readonly limit: AbortController;
  readonly silenceLimitMs: number;
  readonly opened: () => void;
  readonly changed: (event: Extract<WatchEvent, { kind: 'changed' }>) => void;
}

/** Why an attempt is over. Without an error the server ended it in an orderly way. */
export interface WatchEnd {
  readonly error?: LockRequestError | undefined;
  /** The HTTP status that ended it, unless it was 200. */
  readonly status?: number | undefined;
}

/** A watch is answered at once, even if the object does not exist; an answer that takes longer has been lost. */
const HEADERS_LIMIT_MS = 10_000;
const MAX_ERROR_BYTES = 1024 * 1024;

/** Opens one watch and follows it to its end. Never rejects; calls nothing once `limit` is aborted. */
async function watchOnce(options: WatchAttemptOptions): Promise<WatchEnd> {
  const { connection, limit } = options;
  let context: RequestContext | undefined;
  const silence = new SilenceLimit(limit, options.silenceLimitMs);
  try {
    silence.restart(HEADERS_LIMIT_MS);
    const address = await unlessAborted(options.resolveAddress(), limit.signal);
    context = {
      verb: 'watch',
      address,
      describeCredentials: () => connection.describeCredentials(),
    };
    const access = await unlessAborted(connection.access(), limit.signal);
    const response = await exchange(
      { method: 'GET', path: watchPath(address) },
      { access, agent: options.agent, signal: limit.signal },
    );
    const { statusCode: status = 0, headers } = response;
    if (status === 200 && isJson(response)) {
      tell(options.opened);
      return await follow(response, context, silence, options);
    }
    const body = withoutSecrets(await readBody(response, MAX_ERROR_BYTES), access);
    const answer = { kind: 'response', status, headers, body } as const;
    if (status === 200) return { error: explainUnusable(context, answer, 'is not JSON') };
    if (status === 401) await unlessAborted(connection.refresh(), limit.signal);
    return { error: explainResponse(context, answer), status };
  } catch (cause) {
    return { error: explainEnd(context, limit.signal.reason ?? cause) };
  } finally {
    silence.stop();
  }
}

/**
 * No resourceVersion is sent: the server then begins with the present state as an ADDED event. A watch that continues
 * from a remembered version would miss nothing either, but the server may have forgotten that version (410), and the
 * election reads the lease after every start anyway.
 */
function watchPath(address: ObjectAddress): string {
  const query = new URLSearchParams({
    watch: 'true',
    fieldSelector: `metadata.name=${address.name}`,
    allowWatchBookmarks: 'true',
    // Five to ten minutes, spread so that replicas do not all come back together.
    timeoutSeconds: String(300 + Math.floor(kernelRandom() * 300)),
  });
  return `${collectionPath(address)}?${query.toString()}`;
}

async function follow(
  response: IncomingMessage,
  context: RequestContext,
  silence: SilenceLimit,
  { limit, changed }: WatchAttemptOptions,
): Promise<WatchEnd> {
  const lines = new JsonLines();
  silence.restart();
  for await (const chunk of response) {
    silence.restart();
    for (const line of lines.push(chunk as Buffer)) {
      limit.signal.throwIfAborted();
      const event = parseWatchEvent(line, context.address);
      if (event.kind === 'changed') tell(() => changed(event));
      if (event.kind === 'error') return endedByServer(context, event);
    }
  }
  if (lines.isTruncated) throw new Error('the watch ended in the middle of an event');
  return {};
}

function endedByServer(
  context: RequestContext,
  { status }: Extract<WatchEvent, { kind: 'error' }>,
): WatchEnd {
  return {
    error: new LockRequestError(
      `watch ${describeAddress(context.address)}: the API server ended it: ` +
        `${status?.message ?? 'it gave no reason'} (${status?.code ?? status?.reason ?? 'no code'}).`,
      { reason: 'unclear' },
    ),
  };
}

function explainEnd(context: RequestContext | undefined, cause: unknown): LockRequestError {
  const what = context === undefined ? 'watch' : `watch ${describeAddress(context.address)}`;
  if (cause instanceof LockRequestError) {
    return new LockRequestError(`${what}: ${cause.message}`, { reason: cause.reason, cause });
  }
  const failure = cause instanceof ExchangeFailure ? cause : undefined;
  return new LockRequestError(`${what}: ${describeTransportFailure(failure?.cause ?? cause)}`, {
    reason: failure?.sent === false ? 'unreachable' : 'unclear',
    cause: failure?.cause ?? cause,
  });
}

/**
 * An error that an observer throws is the election's, not the stream's; it ends the attempt and is reported as such.
 */
function tell(call: () => void): void {
  try {
    call();
  } catch (cause) {
    throw new LockRequestError(`the observer threw: ${messageOf(cause)}.`, {
      reason: 'unclear',
      cause,
    });
  }
}

function isJson({ headers }: IncomingMessage): boolean {
  const type = headers['content-type'];
  return type === undefined || type.includes('json');
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
