import type { IncomingMessage } from 'node:http';
import { LockRequestError } from '../core/errors.js';
import { isJsonObject } from '../core/json-document.js';
import { messageOf } from '../core/thrown-value.js';
import { describeTransportFailure, explainResponse, explainUnusable } from './answer-messages.js';
import { type ApiStatus, asStatus } from './api-status.js';
import type { ClusterConnection } from './connection/cluster-connection.js';
import type { ClusterAgent } from './http/agent.js';
import { exchange, ExchangeFailure, JsonLines, readBody } from './http/exchange.js';
import type { ClusterAccess } from './http/socket-basics.js';
import { unlessAborted } from './kubernetes-transport.js';
import {
  collectionPath,
  describeAddress,
  type ObjectAddress,
  type RequestContext,
} from './object-request.js';
import { nextTurn } from './pause.js';
import { withoutSecrets } from './redaction.js';

/** One line of a watch. */
export type WatchEvent =
  | { readonly kind: 'changed'; readonly type: ChangeType; readonly object: unknown }
  /** A bookmark: nothing has changed up to this version. */
  | { readonly kind: 'bookmark'; readonly object: unknown };

type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** The server ends the watch, e.g. with 410 because it no longer has the history. */
interface ServerEnd {
  readonly kind: 'error';
  readonly status: ApiStatus | null;
}

/** Throws an Error that says what is wrong with the line. */
function parseWatchEvent(line: string): WatchEvent | ServerEnd {
  const json: unknown = JSON.parse(line);
  if (!isJsonObject(json)) throw new Error('an event is not a JSON object');
  const { type, object } = json;
  switch (type) {
    case 'BOOKMARK':
      return { kind: 'bookmark', object };
    case 'ERROR':
      return { kind: 'error', status: asStatus(object) };
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { kind: 'changed', type, object };
    default:
      throw new Error(`an event is of type ${JSON.stringify(type)}`);
  }
}

export interface WatchAttempt {
  readonly connection: ClusterConnection;
  readonly agent: ClusterAgent;
  readonly resolveAddress: () => Promise<ObjectAddress>;
  /** What is watched in the collection of the address, and from which version on. */
  readonly query: (address: ObjectAddress) => Readonly<Record<string, string>>;
  /** Aborting it ends the attempt at any point; its reason becomes the cause. */
  readonly signal: AbortSignal;
  readonly opened: () => void;
  /** Something has come, whatever it is: the connection is alive. */
  readonly heard: () => void;
  /** Throws an Error that says what is wrong with an object that is not what was asked for. */
  readonly parse: (event: WatchEvent, address: ObjectAddress) => (() => void) | undefined;
}

/** Why an attempt is over. Without an error the server ended it in an orderly way. */
export interface WatchEnd {
  readonly error?: LockRequestError | undefined;
  /** The HTTP status that ended it, or that of the event by which the server did; undefined where there was none. */
  readonly status?: number | undefined;
}

/** A watch is answered at once, even if there is no object; an answer that takes longer has been lost. */
export const HEADERS_LIMIT_MS = 10_000;
const MAX_ERROR_BYTES = 1024 * 1024;

/** Opens one watch and follows it to its end. Never rejects; calls nothing once the signal is aborted. */
export async function watchOnce(attempt: WatchAttempt): Promise<WatchEnd> {
  const { connection, signal } = attempt;
  let context: RequestContext | undefined;
  try {
    await nextTurn();
    signal.throwIfAborted();
    const address = await unlessAborted(attempt.resolveAddress(), signal);
    context = {
      verb: 'watch',
      address,
      describeCredentials: () => connection.describeCredentials(),
    };
    const access = await unlessAborted(connection.access(), signal);
    const response = await exchange(
      { method: 'GET', path: watchPath(address, attempt) },
      { access, agent: attempt.agent, signal },
    );
    const { statusCode: status = 0, headers } = response;
    if (status === 200 && isJson(response)) {
      tell(attempt.opened);
      return await follow(response, context, { ...attempt, access });
    }
    const body = withoutSecrets(await readBody(response, MAX_ERROR_BYTES), access);
    const answer = { kind: 'response', status, headers, body } as const;
    if (status === 200) return { error: explainUnusable(context, answer, 'is not JSON') };
    if (status === 401) await unlessAborted(connection.refresh(), signal);
    return { error: explainResponse(context, answer), status };
  } catch (cause) {
    return { error: explainEnd(context, signal.reason ?? cause) };
  }
}

function watchPath(address: ObjectAddress, { query }: WatchAttempt): string {
  const all = new URLSearchParams({ watch: 'true', ...query(address) });
  return `${collectionPath(address)}?${all.toString()}`;
}

async function follow(
  response: IncomingMessage,
  context: RequestContext,
  { signal, heard, parse, access }: WatchAttempt & { readonly access: ClusterAccess },
): Promise<WatchEnd> {
  const lines = new JsonLines();
  heard();
  for await (const chunk of response) {
    heard();
    for (const line of lines.push(chunk as Buffer)) {
      signal.throwIfAborted();
      const event = parseWatchEvent(withoutSecrets(line, access));
      if (event.kind === 'error') return endedByServer(context, event);
      const report = parse(event, context.address);
      if (report !== undefined) tell(report);
    }
  }
  if (lines.isTruncated) throw new Error('the watch ended in the middle of an event');
  return {};
}

function endedByServer(context: RequestContext, { status }: ServerEnd): WatchEnd {
  return {
    error: new LockRequestError(
      `watch ${describeAddress(context.address)}: the API server ended it: ` +
        `${status?.message ?? 'it gave no reason'} (${status?.code ?? status?.reason ?? 'no code'}).`,
      { reason: 'unclear' },
    ),
    status: status?.code,
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
