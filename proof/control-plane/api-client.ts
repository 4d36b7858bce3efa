import { request as httpsRequest } from 'node:https';

/** Any object of the API, a Status included: what tests read of one. */
export interface ApiObject {
  kind?: string;
  metadata?: {
    name?: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    [field: string]: unknown;
  };
  spec?: Record<string, unknown>;
  status?: unknown;
  message?: string;
  reason?: string;
  [field: string]: unknown;
}

export interface ApiResponse<Body = ApiObject> {
  status: number;
  body: Body;
}

export interface ApiRequestOptions {
  /** Whom to act as; the administrator by default. */
  token?: string;
  /** Default: a merge patch for PATCH, plain JSON otherwise. */
  contentType?: string;
  /** Default: 30 seconds. */
  timeLimitMs?: number;
}

/** Requests with a connection each, so that a restarted server never meets a stale one. */
export class ApiClient {
  constructor(
    private readonly url: string,
    private readonly ca: string,
    private readonly token: string,
  ) {}

  request<Body = ApiObject>(
    method: string,
    path: string,
    body?: unknown,
    options: ApiRequestOptions = {},
  ): Promise<ApiResponse<Body>> {
    const { timeLimitMs = 30_000 } = options;
    const sent = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      // Node frames the body of a DELETE only if told its length.
      'content-length': Buffer.byteLength(sent),
      authorization: `Bearer ${options.token ?? this.token}`,
      accept: 'application/json',
      'content-type':
        options.contentType ??
        (method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'),
    };
    return new Promise((resolve, reject) => {
      const limit = AbortSignal.timeout(timeLimitMs);
      const fail = (cause: Error): void => {
        const what = limit.aborted ? `no answer within ${timeLimitMs} ms` : cause.message;
        reject(new Error(`${method} ${this.url}${path}: ${what}`, { cause }));
      };
      const request = httpsRequest(new URL(path, this.url), {
        method,
        headers,
        ca: this.ca,
        agent: false,
        signal: limit,
      });
      request.once('error', fail).once('response', (response) => {
        let text = '';
        response
          .setEncoding('utf8')
          .on('data', (part: string) => (text += part))
          .once('error', fail)
          .once('end', () => {
            const isJson = response.headers['content-type']?.startsWith('application/json');
            resolve({
              status: response.statusCode ?? 0,
              body: (isJson ? JSON.parse(text) : text) as Body,
            });
          });
      });
      request.end(sent);
    });
  }

  /** The answer's body, or an error when the answer is anything but a success. */
  async demand(method: string, path: string, body?: unknown): Promise<ApiObject> {
    const response = await this.request(method, path, body);
    if (response.status >= 300) {
      throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(response.body)}`);
    }
    return response.body;
  }
}
