import { type ClientRequest, type IncomingMessage, request as sendRequest } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import { onAbort } from '../../core/abort-signal.js';
import type { ClusterAgent, ClusterRequestArgs } from './agent.js';
import { withoutPacket } from '../redaction.js';
import { proxyFor } from './proxy.js';
import type { ClusterAccess } from './socket-basics.js';
import { resetSocket } from './socket.js';

export interface HttpRequest {
  /** A PATCH is a merge patch. */
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH';
  /** Below the server's URL, query included. */
  readonly path: string;
  readonly body?: string | undefined;
}

export interface ExchangeOptions {
  readonly access: ClusterAccess;
  readonly agent: ClusterAgent;
  /** Its reason becomes the cause of the failure. */
  readonly signal: AbortSignal;
}

/** An exchange without an answer; `cause` says why. */
export class ExchangeFailure extends Error {
  constructor(
    cause: unknown,
    /** False: no byte of the request can have left this process. */
    readonly sent: boolean,
    /** True: it went out on a kept connection, and nothing came back: perhaps the server had just closed it. */
    readonly staleConnection: boolean,
  ) {
    super('no answer', { cause });
    this.name = 'ExchangeFailure';
  }
}

/**
 * Sends one request, once, and resolves at the response headers. Rejects with an `ExchangeFailure`. An abort resets
 * the connection, also while the body is still being read: the response is then destroyed with the signal's reason.
 */
export function exchange(request: HttpRequest, options: ExchangeOptions): Promise<IncomingMessage> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    let sent = false;
    let outgoing: ClientRequest;
    let ignoreAbort = (): void => {};
    const fail = (cause: unknown) => {
      ignoreAbort();
      const stale = sent && outgoing.reusedSocket && cause !== signal.reason;
      reject(new ExchangeFailure(cause, sent, stale));
    };
    const abort = () => {
      // First, because the reset makes the request fail for reasons of its own.
      fail(signal.reason);
      if (outgoing?.socket) resetSocket(outgoing.socket);
      outgoing?.destroy(signal.reason as Error);
    };
    try {
      outgoing = open(request, options);
    } catch (error) {
      fail(error);
      return;
    }
    outgoing.once('socket', () => (sent = true));
    outgoing.on('error', (error) => fail(withoutPacket(error)));
    outgoing.once('response', (response) => {
      response.once('close', () => ignoreAbort());
      resolve(response);
    });
    ignoreAbort = onAbort(signal, abort);
    if (!signal.aborted) outgoing.end(request.body);
  });
}

function open(request: HttpRequest, options: ExchangeOptions): ClientRequest {
  const { access, agent, signal } = options;
  const { server } = access;
  const proxy = proxyFor(access, process.env);
  const args: ClusterRequestArgs = {
    agent,
    method: request.method,
    path: server.pathname.replace(/\/$/, '') + request.path,
    headers: { Host: server.host, ...headersOf(request), ...access.headers },
    access,
    proxy,
    connectionKey: agent.keyFor(access, proxy),
    connectSignal: signal,
  };
  return sendRequest(args);
}

function headersOf({ method, body }: HttpRequest): Record<string, string | number> {
  return {
    Accept: 'application/json',
    'User-Agent': `nestjs-leader-election (node ${process.versions.node})`,
    ...(body !== undefined && {
      'Content-Type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      'Content-Length': Buffer.byteLength(body),
    }),
  };
}

/** Reads a body to its end; rejects if the connection breaks before it or the body is larger than the limit. */
export function readBody(response: IncomingMessage, limitBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > limitBytes) {
        response.destroy(new Error(`the answer is larger than ${limitBytes} bytes`));
      }
    });
    response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    response.once('error', reject);
    response.once('close', () =>
      reject(new Error('the connection was closed in the middle of the answer')),
    );
  });
}

/** Far above any Lease; a stream with a longer line is not a watch. */
const MAX_LINE_CHARS = 4 * 1024 * 1024;

/** Cuts a byte stream into lines, wherever its chunks (and the bytes of one character) happen to be split. */
export class JsonLines {
  private readonly decoder = new StringDecoder('utf8');
  private rest = '';

  /** The lines that this chunk completes, without blank ones. */
  push(chunk: Buffer): string[] {
    const lines = (this.rest + this.decoder.write(chunk)).split('\n');
    this.rest = lines.pop() ?? '';
    if (this.rest.length > MAX_LINE_CHARS) {
      throw new Error(`a line is longer than ${MAX_LINE_CHARS} characters`);
    }
    return lines.filter((line) => line.trim() !== '');
  }

  /** True if the stream ended inside a line. */
  get isTruncated(): boolean {
    return (this.rest + this.decoder.end()).trim() !== '';
  }
}
