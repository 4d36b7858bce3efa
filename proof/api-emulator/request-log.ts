import type { IncomingHttpHeaders } from 'node:http';

export type LoggedVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

export interface LoggedRequest {
  readonly verb: LoggedVerb;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
  /** Counts the TCP connections from 1. */
  readonly connection: number;
  /** `performance.now()` at arrival. */
  readonly at: number;
}
