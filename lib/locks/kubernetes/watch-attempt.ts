import type { IncomingMessage } from 'node:http';
import { LockRequestError } from '../../core/errors.js';
import { messageOf } from '../../core/thrown-value.js';
import { kernelRandom } from '../kernel-entropy.js';
import type { ClusterAgent } from './cluster-agent.js';
import type { ClusterConnection } from './cluster-connection.js';
import { exchange, ExchangeFailure, readBody } from './http-exchange.js';
import { JsonLines } from './json-lines.js';
import { explainResponse, explainUnusable, type Asked } from './kubernetes-error.js';
import { unlessAborted, withoutSecrets } from './kubernetes-transport.js';
import { collectionPath, describeAddress, type ObjectAddress } from './object-address.js';
import { describeTransportFailure } from './transport-failure.js';
import { parseWatchEvent, type WatchEvent } from './watch-event.js';

export interface WatchAttemptOptions {
  readonly connection: ClusterConnection;
  readonly agent: ClusterAgent;
  readonly resolveAddress: () => Promise<ObjectAddress>;
  /** Its abort ends the attempt, at whatever point it is. */
  readonly limit: AbortController;
  readonly silenceLimitMs: number;
  readonly opened: () => void;
  readonly changed: (event: Extract<WatchEvent, { kind: 'changed' }>) => void;
}

/** Why an attempt is over. Without an error the server ended it in an orderly way. */
export interface WatchEnd {
  readonly error?: LockRequestError | undefined;
  /** The HTTP status, where one that is not 200 ended it. */
  readonly status?: number | undefined;
}

/** An answer to a watch is sent at once, also when the object does not exist; one that is not has been lost. */
const HEADERS_LIMIT_MS = 10_000;
const MAX_ERROR_BYTES = 1024 * 1024;

/** Opens one watch and follows it to its end. Never rejects; calls nothing once `limit` is aborted. */
export async function watchOnce(options: WatchAttemptOptions): Promise<WatchEnd> {
  const { connection, limit } = options;
  let asked: Asked | undefined;
  const silence = new SilenceLimit(limit, options.silenceLimitMs);
  try {
    silence.restart(HEADERS_LIMIT_MS);
    const address = await unlessAborted(options.resolveAddress(), limit.signal);
    asked = { verb: 'watch', address, describeCredentials: () => connection.describeCredentials() };
    const access = await unlessAborted(connection.access(), limit.signal);
    const response = await exchange(
      { method: 'GET', path: watchPath(address) },
      { access, agent: options.agent, signal: limit.signal },
    );
    const { statusCode: status = 0, headers } = response;
    if (status === 200 && isJson(response)) {
      tell(options.opened);
      return await follow(response, asked, silence, options);
    }
    const body = withoutSecrets(await readBody(response, MAX_ERROR_BYTES), access);
    const answer = { kind: 'response', status, headers, body } as const;
    if (status === 200) return { error: explainUnusable(asked, answer, 'is not JSON') };
    if (status === 401) await unlessAborted(connection.refresh(), limit.signal);
    return { error: explainResponse(asked, answer), status };
  } catch (cause) {
    return { error: explainEnd(asked, limit.signal.reason ?? cause) };
  } finally {
    silence.stop();
  }
}

/**
 * No resourceVersion is sent: the server then begins with the present state as an ADDED event. A watch that continues
 * from a remembered version would miss nothing either, but the server may have forgotten that version (410), and the
 * election reads the lease after every start anyhow.
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
  asked: Asked,
  silence: SilenceLimit,
  { limit, changed }: WatchAttemptOptions,
): Promise<WatchEnd> {
  const lines = new JsonLines();
  silence.restart();
  for await (const chunk of response) {
    silence.restart();
    for (const line of lines.push(chunk as Buffer)) {
      limit.signal.throwIfAborted();
      const event = parseWatchEvent(line, asked.address);
      if (event.kind === 'changed') tell(() => changed(event));
      if (event.kind === 'error') return endedByServer(asked, event);
    }
  }
  if (lines.isTruncated) throw new Error('the watch ended in the middle of an event');
  return {};
}

function endedByServer(asked: Asked, { status }: Extract<WatchEvent, { kind: 'error' }>): WatchEnd {
  return {
    error: new LockRequestError(
      `watch ${describeAddress(asked.address)}: the API server ended it: ` +
        `${status?.message ?? 'it gave no reason'} (${status?.code ?? status?.reason ?? 'no code'}).`,
      { reason: 'unclear' },
    ),
  };
}

function explainEnd(asked: Asked | undefined, cause: unknown): LockRequestError {
  const what = asked === undefined ? 'watch' : `watch ${describeAddress(asked.address)}`;
  if (cause instanceof LockRequestError) {
    return new LockRequestError(`${what}: ${cause.message}`, { reason: cause.reason, cause });
  }
  const failure = cause instanceof ExchangeFailure ? cause : undefined;
  return new LockRequestError(`${what}: ${describeTransportFailure(failure?.cause ?? cause)}`, {
    reason: failure?.sent === false ? 'unreachable' : 'unclear',
    cause: failure?.cause ?? cause,
  });
}

/** What an observer throws is the election's fault, not the stream's; it ends the attempt and is reported as such. */
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
