import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** An object, a list, or a Status; `details` only in the latter. */
export interface ApiBody {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly status?: unknown;
  readonly items?: readonly ApiBody[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

interface ApiReply {
  readonly status: number;
  readonly body: ApiBody;
}

/** Sends one request as somebody who may do everything; `path` begins with `/api`. */
export type SendToApi = (method: string, path: string, body?: unknown) => Promise<ApiReply>;

export interface ApiCallerOptions {
  readonly url: string;
  readonly ca?: string;
  readonly token?: string | undefined;
}

export interface ToldEvent {
  readonly type: string;
  readonly object: {
    readonly kind: string;
    readonly metadata: Readonly<Record<string, unknown>>;
    readonly [field: string]: unknown;
  };
}

/** One client for the emulator and for the real server, so that a fact cannot differ by the client. */
export class ApiCaller {
  constructor(private readonly options: ApiCallerOptions) {}

  as(token: string | undefined): ApiCaller {
    return new ApiCaller({ ...this.options, token });
  }

  readonly send: SendToApi = async (method, path, body) => {
    const response = await this.call(method, path, body);
    const text = await textOf(response);
    const isJson = response.headers['content-type']?.startsWith('application/json');
    const parsed = isJson ? (JSON.parse(text) as ApiReply['body']) : { message: text };
    return { status: response.statusCode ?? 0, body: parsed };
  };

  /** Watches for one second, in which `act` happens, and answers what was told. */
  async watch(
    path: string,
    query: Readonly<Record<string, string>> = {},
    act: () => Promise<unknown> = async () => undefined,
  ): Promise<ToldEvent[]> {
    const asked = new URLSearchParams({ watch: 'true', timeoutSeconds: '1', ...query });
    const response = await this.call('GET', `${path}?${asked.toString()}`);
    const told = textOf(response);
    await act();
    const lines = (await told).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as ToldEvent);
  }

  private call(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    const { url, ca, token } = this.options;
    const text = body === undefined ? '' : JSON.stringify(body);
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const headers = {
      'Content-Type': type,
      // Node frames the body of a DELETE only if told its length.
      'Content-Length': Buffer.byteLength(text),
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    };
    const target = new URL(path, url);
    const request = target.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      request(target, { method, headers, agent: false, ...(ca !== undefined && { ca }) })
        .once('response', resolve)
        .once('error', reject)
        .end(text);
    });
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part as string;
  return text;
}
