import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface HttpFault {
  readonly status: number;
  /** Whether the request reaches the server before it is answered so: a write may then be in the store. */
  readonly reachesServer: boolean;
  readonly retryAfterSeconds?: number | undefined;
}

/**
 * Stands before an API server as a load balancer does: ends TLS with a certificate of the test's own authority, speaks
 * HTTP on both sides, and answers in the server's place while it has a fault.
 */
export class HttpFaultFront {
  readonly port: number;
  private readonly upstream: Agent;
  private fault: HttpFault | undefined;

  static async start(
    tls: { cert: string; key: string; ca: string },
    targetPort: () => number,
  ): Promise<HttpFaultFront> {
    const server = createServer({ cert: tls.cert, key: tls.key });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new HttpFaultFront(server, tls.ca, targetPort);
  }

  private constructor(
    private readonly server: Server,
    ca: string,
    private readonly targetPort: () => number,
  ) {
    this.port = (server.address() as AddressInfo).port;
    this.upstream = new Agent({ keepAlive: true, ca });
    server.on('request', (incoming, response) => this.serve(incoming, response));
  }

  /** Until the next call; undefined: everything passes. */
  answer(fault: HttpFault | undefined): void {
    this.fault = fault;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    this.upstream.destroy();
    await closed;
  }

  private serve(incoming: IncomingMessage, response: ServerResponse): void {
    const { fault } = this;
    if (fault !== undefined && !fault.reachesServer) {
      incoming.resume();
      this.refuse(response, fault);
      return;
    }
    const { method, url, headers } = incoming;
    const forwarded = request(
      {
        host: '127.0.0.1',
        port: this.targetPort(),
        method,
        path: url,
        headers,
        agent: this.upstream,
      },
      (answer) => {
        if (fault === undefined) {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        } else {
          answer.resume();
          this.refuse(response, fault);
        }
        answer.on('error', () => response.destroy());
      },
    );
    forwarded.on('error', () => {
      if (response.headersSent) response.destroy();
      else this.refuse(response, { status: 502, reachesServer: false });
    });
    response.on('close', () => {
      if (!response.writableFinished) forwarded.destroy();
    });
    incoming.pipe(forwarded);
  }

  private refuse(response: ServerResponse, { status, retryAfterSeconds }: HttpFault): void {
    if (response.headersSent || response.destroyed) return;
    if (retryAfterSeconds !== undefined) response.setHeader('retry-after', retryAfterSeconds);
    response.writeHead(status, { 'content-type': 'text/html' });
    response.end(`<html><body><h1>${status}</h1></body></html>`);
  }
}
