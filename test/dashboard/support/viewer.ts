import { type ClientRequest, get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type {
  EventsView,
  Hello,
  JobView,
  Part,
  RoleView,
  TermsView,
} from '../../../lib/dashboard/dashboard-view.js';
import { until } from '../../nest/support/until.js';

interface StreamEvent {
  readonly event: string;
  readonly data: unknown;
}

/** Who looks at a dashboard, as its page does: by its stream of events. */
export class Viewer {
  readonly events: StreamEvent[] = [];
  readonly comments: string[] = [];
  status = 0;
  headers: IncomingHttpHeaders = {};
  body = '';
  isOver = false;
  private readonly request: ClientRequest;
  private response: IncomingMessage | undefined;
  private rest = '';

  constructor(url: string, headers: Record<string, string> = {}) {
    this.request = get(url, { headers, agent: false }, (response) => {
      this.response = response;
      this.status = response.statusCode ?? 0;
      this.headers = response.headers;
      response.setEncoding('utf8');
      response.on('data', (text: string) => this.heard(text));
      response.on('close', () => (this.isOver = true));
    });
    this.request.on('error', () => (this.isOver = true));
  }

  names(): string[] {
    return this.events.map(({ event, data }) => (event === 'part' ? (data as Part).key : event));
  }

  get isReady(): boolean {
    return this.names().includes('ready');
  }

  get hello(): Hello {
    return this.events.find(({ event }) => event === 'hello')!.data as Hello;
  }

  role(name: string): RoleView {
    return this.part(`role/${name}`) as RoleView;
  }

  terms(name: string): TermsView {
    return this.part(`terms/${name}`) as TermsView;
  }

  told(name: string): string[] {
    return (this.part(`events/${name}`) as EventsView).events.map(({ text }) => text);
  }

  job(role: string, job: string): JobView | null | undefined {
    return this.part(`job/${role}/${job}`) as JobView | null | undefined;
  }

  /** Reads no further, as a phone that sleeps. */
  pause(): void {
    this.response?.pause();
  }

  resume(): void {
    this.response?.resume();
  }

  close(): void {
    this.request.destroy();
  }

  private part(key: string): Part['value'] | undefined {
    const versions = this.events.filter(({ data }) => (data as Part).key === key);
    return (versions.at(-1)?.data as Part | undefined)?.value;
  }

  private heard(text: string): void {
    this.body += text;
    const blocks = (this.rest + text).split('\n\n');
    this.rest = blocks.pop()!;
    for (const block of blocks) {
      const [, event] = /^event: (.*)$/m.exec(block) ?? [];
      const [, data] = /^data: (.*)$/m.exec(block) ?? [];
      if (event === undefined || data === undefined) this.comments.push(block);
      else this.events.push({ event, data: JSON.parse(data) as unknown });
    }
  }
}

/** The viewers of one test. */
export class Audience {
  private readonly viewers: Viewer[] = [];

  look(url: string, headers?: Record<string, string>): Viewer {
    const viewer = new Viewer(url, headers);
    this.viewers.push(viewer);
    return viewer;
  }

  /** One who has received everything that there is so far. */
  async watching(stream: string, headers?: Record<string, string>): Promise<Viewer> {
    const viewer = this.look(stream, headers);
    await until(() => viewer.isReady);
    return viewer;
  }

  leave(): void {
    for (const viewer of this.viewers) viewer.close();
  }
}
