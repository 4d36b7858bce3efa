import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type {
  ActionResult,
  DashboardAction,
  Hello,
  Part,
} from '../../../lib/dashboard/dashboard-view.js';
import { PROTOCOL } from '../../../lib/dashboard/dashboard-view.js';
import { PAGE } from '../../../lib/dashboard/page/page.generated.js';

export interface AskedFor {
  readonly action: DashboardAction;
  readonly headers: IncomingMessage['headers'];
}

/** Nothing but the two texts whose hashes the build gave, and what the page asks of its own server. */
const POLICY = [
  "default-src 'none'",
  `script-src ${PAGE.scriptHashes.map((hash) => `'${hash}'`).join(' ')}`,
  `style-src ${PAGE.styleHashes.map((hash) => `'${hash}'`).join(' ')}`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** One replica that speaks the contract of the dashboard, and says what the test wants. */
export class FakeDashboard {
  readonly asked: AskedFor[] = [];
  answer: (action: DashboardAction) => Promise<ActionResult & { readonly status?: number }> = () =>
    Promise.resolve({ isDone: true, message: 'It was done.' });
  /** Answered to whoever wants the stream, instead of it. */
  refusal: number | undefined;
  /** How many streams have begun. */
  begun = 0;
  private readonly parts = new Map<string, Part['value']>();
  private readonly streams = new Set<ServerResponse>();
  private server: Server | undefined;

  constructor(
    readonly hello: Partial<Hello> = {},
    private readonly base = '/apps/plans/leader',
  ) {}

  /** Returns the address of the page. */
  async start(port = 0): Promise<string> {
    this.server = createServer((request, response) => void this.handle(request, response));
    await new Promise<void>((resolve) => this.server!.listen(port, '127.0.0.1', resolve));
    return `http://127.0.0.1:${this.port}${this.base}`;
  }

  get port(): number {
    return (this.server!.address() as AddressInfo).port;
  }

  /** As a process that is killed. */
  async stop(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    this.server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  say(...parts: readonly Part[]): void {
    for (const { key, value } of parts) {
      if (value === null) this.parts.delete(key);
      else this.parts.set(key, value);
    }
    const messages = parts.map((part) => message('part', part)).join('');
    for (const stream of this.streams) stream.write(messages);
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url!.replace(/\/+$/, '');
    if (path === this.base) {
      response.writeHead(200, {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': POLICY,
      });
      response.end(PAGE.html);
    } else if (path === `${this.base}/stream` && this.refusal === undefined) this.stream(response);
    else if (path === `${this.base}/actions` && request.method === 'POST') {
      const action = JSON.parse(await text(request)) as DashboardAction;
      this.asked.push({ action, headers: request.headers });
      const { status = 200, ...result } = await this.answer(action);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(result));
    } else response.writeHead(this.refusal ?? 404).end();
  }

  private stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const hello: Hello = {
      protocol: PROTOCOL,
      application: 'plan-service',
      replica: 'plan-7d9f8b6c5-x2x9k_3f9a12bc-7f1e-4a52-9d55-0a3b6a1f2c11',
      version: '0.1.0',
      now: Date.now(),
      hasActions: true,
      ...this.hello,
    };
    const parts = [...this.parts].map(([key, value]) => message('part', { key, value }));
    response.write(message('hello', hello) + parts.join('') + message('ready', {}));
    this.begun += 1;
    this.streams.add(response);
    response.on('close', () => this.streams.delete(response));
  }
}

function message(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
