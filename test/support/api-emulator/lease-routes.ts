import type { IncomingMessage } from 'node:http';
import type { LeaseStore } from './lease-store.js';
import type { LoggedRequest, LoggedVerb } from './request-log.js';
import { badRequest, statusAnswer, type Answer } from './status-body.js';

const LEASES = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/([^/]+)\/leases(?:\/([^/]+))?$/;

/** Which lease or leases a request is about; null for other paths. A watch names its lease in the field selector. */
export function leaseTarget({ path, query }: Pick<LoggedRequest, 'path' | 'query'>): {
  readonly namespace: string;
  readonly name: string | undefined;
} | null {
  const match = LEASES.exec(path);
  if (match === null) return null;
  const selected = query.get('fieldSelector')?.replace('metadata.name=', '');
  return { namespace: match[1] ?? '', name: match[2] ?? selected };
}

/** What the server answers if nothing goes wrong. */
export function answerOf(store: LeaseStore, { path, method, query, body }: LoggedRequest): Answer {
  const match = LEASES.exec(path);
  if (match === null) return { status: 404, body: '404 page not found\n' };
  const [, namespace = '', name] = match;
  const manager = query.get('fieldManager') ?? 'unknown';
  const object = body as Record<string, unknown> | undefined;
  if (object === undefined && ['POST', 'PUT', 'PATCH'].includes(method)) {
    return badRequest('the body of the request was in an unknown format');
  }
  switch (`${method} ${name === undefined ? 'collection' : 'object'}`) {
    case 'GET object':
      return store.read(namespace, name ?? '');
    case 'POST collection':
      return store.create(namespace, object ?? {}, manager);
    case 'PUT object':
      return store.update(namespace, name ?? '', object ?? {}, manager);
    case 'PATCH object':
      return store.patch(namespace, name ?? '', object ?? {}, manager);
    case 'DELETE object':
      return store.delete(namespace, name ?? '');
    default:
      return statusAnswer(405, 'MethodNotAllowed', 'the server does not allow this method');
  }
}

export function logOf(request: IncomingMessage, text: string, connection: number): LoggedRequest {
  const url = new URL(request.url ?? '/', 'http://emulator');
  const method = request.method ?? 'GET';
  const isObject = LEASES.exec(url.pathname)?.[2] !== undefined;
  return {
    verb: verbOf(method, isObject, url.searchParams),
    method,
    path: url.pathname,
    query: url.searchParams,
    headers: request.headers,
    body: parsed(text),
    connection,
    at: performance.now(),
  };
}

function verbOf(method: string, isObject: boolean, query: URLSearchParams): LoggedVerb {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return 'delete';
    default:
      return query.get('watch') === 'true' ? 'watch' : isObject ? 'get' : 'list';
  }
}

function parsed(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
