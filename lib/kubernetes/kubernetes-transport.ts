import { AsyncResource } from 'node:async_hooks';
import { onAbort } from '../core/abort-signal.js';
import type { LockRequestOptions } from '../core/resource-lock.js';
import type { ClusterConnection } from './connection/cluster-connection.js';
import { ClusterAgent } from './http/agent.js';
import {
  exchange,
  ExchangeFailure,
  type ExchangeOptions,
  type HttpRequest,
  readBody,
} from './http/exchange.js';
import { proxyFor } from './http/proxy.js';
import { type ApiAnswer, RequestTimedOut } from './object-request.js';
import { nextTurn } from './pause.js';
import { withoutSecrets } from './redaction.js';

export interface ApiRequest {
  /** A PATCH is a merge patch. */
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Done twice it does no more than once, and not after another request either. @default true for a GET only */
  readonly isRepeatable?: boolean;
  /** A larger answer is not read to its end. @default what one object can have */
  readonly maxBodyBytes?: number;
}

/** etcd stores objects of up to 1.5 MiB, so a larger answer about one of them is not an API server's. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/**
 * Requests to an API server over connections of its own. Never rejects and never repeats a write, with two exceptions: a
 * 401 proves that nothing was done, so the request is repeated after the credentials have been read again. A read, and a
 * write that says so of itself, is also repeated once when the server had closed the kept connection it went out on.
 * `timeoutMs` bounds all of it.
 */
export class KubernetesTransport {
  private readonly agent = new ClusterAgent({ keepAlive: true });
  /** A connection outlives the HTTP request of the application that first needed it, and must not keep its context. */
  private readonly home = new AsyncResource('KubernetesTransport', { requireManualDestroy: true });

  private hasSent = false;
  private isConnecting = false;
  private isClosed = false;

  constructor(private readonly connection: ClusterConnection) {}

  async send(request: ApiRequest, { timeoutMs, signal }: LockRequestOptions): Promise<ApiAnswer> {
    const deadline = performance.now() + timeoutMs;
    if (!this.hasSent) await nextTurn();
    this.hasSent = true;
    const limit = new AbortController();
    const timer = setTimeout(
      () => limit.abort(new RequestTimedOut(timeoutMs)),
      deadline - performance.now(),
    );
    const ignoreAbort = onAbort(signal, () =>
      limit.abort(new Error('the election abandoned the request')),
    );
    try {
      return await this.home.runInAsyncScope(() =>
        this.sendWithin(request, deadline, limit.signal),
      );
    } catch (cause) {
      return { kind: 'not-sent', cause };
    } finally {
      clearTimeout(timer);
      ignoreAbort();
    }
  }

  /**
   * Opens the connection for a request that is about to follow, unless there is one, and sends nothing on it. It is closed if
   * none follows. What fails here is not told: it fails again for the request.
   */
  connect(): void {
    if (this.isConnecting) return;
    this.isConnecting = true;
    void this.home
      .runInAsyncScope(() => this.connectAhead())
      .catch(() => undefined)
      .finally(() => (this.isConnecting = false));
  }

  /** Closes the connections. Requests under way end unanswered. */
  close(): void {
    this.isClosed = true;
    this.connection.close?.();
    this.agent.destroy();
  }

  private async connectAhead(): Promise<void> {
    const access = await this.connection.access();
    if (!this.isClosed) this.agent.connectAhead(access, proxyFor(access, process.env));
  }

  private async sendWithin(
    request: ApiRequest,
    deadline: number,
    signal: AbortSignal,
  ): Promise<ApiAnswer> {
    const first = await this.attempt(request, deadline, signal);
    if (first.kind !== 'response' || first.status !== 401) return first;
    try {
      await unlessAborted(this.connection.refresh(), signal);
      return await this.attempt(request, deadline, signal);
    } catch (cause) {
      // The 401 is the better answer: it says more than that the second attempt was not made.
      return signal.aborted ? first : { kind: 'not-sent', cause };
    }
  }

  /** Rejects if nothing was sent. */
  private async attempt(
    request: ApiRequest,
    deadline: number,
    signal: AbortSignal,
  ): Promise<ApiAnswer> {
    const access = await unlessAborted(this.connection.access(), signal);
    const http = toHttp(request, deadline - performance.now());
    const { maxBodyBytes = MAX_BODY_BYTES, isRepeatable = request.method === 'GET' } = request;
    const options = { access, agent: this.agent, signal, maxBodyBytes };
    let answer = await exchangeWhole(http, options);
    if (answer instanceof ExchangeFailure && answer.staleConnection && isRepeatable) {
      this.agent.closeIdle();
      answer = await exchangeWhole(http, options);
    }
    if (!(answer instanceof ExchangeFailure)) return answer;
    return { kind: answer.sent ? 'unanswered' : 'not-sent', cause: answer.cause };
  }
}

async function exchangeWhole(
  http: HttpRequest,
  options: ExchangeOptions & { readonly maxBodyBytes: number },
): Promise<ApiAnswer | ExchangeFailure> {
  try {
    const response = await exchange(http, options);
    const { statusCode: status = 0, headers } = response;
    try {
      const body = await readBody(response, options.maxBodyBytes);
      return { kind: 'response', status, headers, body: withoutSecrets(body, options.access) };
    } catch (cause) {
      return new ExchangeFailure(options.signal.reason ?? cause, true, false);
    }
  } catch (failure) {
    return failure instanceof ExchangeFailure ? failure : new ExchangeFailure(failure, true, false);
  }
}

/**
 * `timeout` bounds the server's own work (A8), so that it does not work on a request that is no longer awaited;
 * `fieldManager` names us in `metadata.managedFields`.
 */
function toHttp({ method, path, query, body }: ApiRequest, remainingMs: number): HttpRequest {
  const all = new URLSearchParams({
    ...query,
    timeout: `${Math.max(1, Math.ceil(remainingMs)) / 1000}s`,
    ...(method !== 'GET' && { fieldManager: 'nestjs-leader-election' }),
  });
  return {
    method,
    path: `${path}?${all.toString()}`,
    body: body === undefined ? undefined : JSON.stringify(body),
  };
}

/** The promise, or a rejection with the signal's reason if that comes first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const ignoreAbort = onAbort(signal, () => reject(signal.reason as Error));
    promise.then(resolve, reject).finally(ignoreAbort);
  });
}
