import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Fleet } from './fleet.js';
import { type FleetAction, REPLICA_ACTIONS } from './fleet-view.js';
import { isOfThisMachine } from './loopback.js';
import { PAGE } from './page/page.generated.js';

/** Of several changes in this time the page hears once. */
const PAUSE_MS = 50;
const HEARTBEAT_MS = 1_000;
const LONGEST_BODY = 1_000;

const quoted = (hashes: readonly string[]) => hashes.map((hash) => `'${hash}'`).join(' ');
const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    `script-src ${quoted(PAGE.scriptHashes)}`,
    `style-src ${quoted(PAGE.styleHashes)}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
};

/** Serves the page of the control room to this machine alone: its buttons kill processes. */
export class ControlRoomServer {
  private readonly server: Server;
  private readonly streams = new Set<ServerResponse>();
  private readonly timer: NodeJS.Timeout;
  private pending: NodeJS.Timeout | undefined;

  /** @param port 0: any that is free */
  static async start(fleet: Pick<Fleet, 'view' | 'act' | 'listen'>, port = 0) {
    const room = new ControlRoomServer(fleet);
    room.server.listen(port, '127.0.0.1');
    await once(room.server, 'listening');
    return room;
  }

  private constructor(private readonly fleet: Pick<Fleet, 'view' | 'act' | 'listen'>) {
    this.server = createServer((request, response) => {
      void this.answer(request, response).catch(() => response.destroy());
    });
    fleet.listen(() => (this.pending ??= setTimeout(() => this.publish(), PAUSE_MS)));
    this.timer = setInterval(() => this.publish(), HEARTBEAT_MS);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    clearTimeout(this.pending);
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const { method, url } = request;
    if (!isOfThisMachine(request)) return refuse(response, 403, 'Only for this machine.');
    switch (url) {
      case '/':
        if (method !== 'GET') return refuse(response, 405, 'GET, please.');
        response.setHeader('content-type', 'text/html; charset=utf-8');
        response.end(PAGE.html);
        return;
      case '/stream':
        if (method !== 'GET') return refuse(response, 405, 'GET, please.');
        return this.stream(response);
      case '/actions':
        if (method !== 'POST') return refuse(response, 405, 'POST, please.');
        return this.act(request, response);
      default:
        return refuse(response, 404, 'There is nothing here.');
    }
  }

  /** A form of another page can send neither this type nor this header. */
  private async act(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { origin, 'content-type': type, 'x-control-room': header } = request.headers;
    if (origin === undefined || type !== 'application/json' || header !== '1') {
      return refuse(response, 403, 'Only for the page of the control room.');
    }
    const action = actionOf(await bodyOf(request));
    if (action === undefined) return refuse(response, 400, 'That is not an action.');
    const why = await this.fleet.act(action);
    if (why !== undefined) return refuse(response, 409, why);
    response.setHeader('content-type', 'application/json');
    response.end('{"isDone":true}');
  }

  private stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`${this.message()}event: ready\ndata: {}\n\n`);
    this.streams.add(response);
    response.once('close', () => this.streams.delete(response));
  }

  private publish(): void {
    clearTimeout(this.pending);
    this.pending = undefined;
    if (this.streams.size === 0) return;
    const message = this.message();
    for (const stream of this.streams) stream.write(message);
  }

  private message(): string {
    return `event: view\ndata: ${JSON.stringify(this.fleet.view())}\n\n`;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += chunk as string;
    if (body.length > LONGEST_BODY) return undefined;
  }
  return body;
}

function actionOf(body: string | undefined): FleetAction | undefined {
  try {
    const { action, replica } = JSON.parse(body ?? '') as Record<string, unknown>;
    if (action === 'add') return { action };
    const known = REPLICA_ACTIONS.find((each) => each === action);
    return known === undefined || typeof replica !== 'string'
      ? undefined
      : { action: known, replica };
  } catch {
    return undefined;
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ isDone: false, message }));
}
