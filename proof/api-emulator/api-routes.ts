import type { IncomingMessage } from 'node:http';
import { CONFIG_MAP } from './config-map-kind.js';
import { fieldSelector } from './field-selector.js';
import { LEASE } from './lease-kind.js';
import type { ObjectKind } from './object-kind.js';
import { POD } from './pod-kind.js';
import type { LoggedRequest, LoggedVerb } from './request-log.js';

export const KINDS = [LEASE, CONFIG_MAP, POD];

const PATH =
  /^\/(?:api|apis\/([^/]+))\/v1\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/;

/** What a path is about. */
export interface Target {
  readonly kind: ObjectKind;
  readonly namespace: string;
  /** Undefined: the collection. */
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** Null for a path that no kind has. */
export function targetOf(path: string): Target | null {
  const [, group = '', namespace = '', resource, name, subresource] = PATH.exec(path) ?? [];
  const kind = KINDS.find((each) => each.group === group && each.resource === resource);
  if (kind === undefined) return null;
  if (subresource !== undefined && !(kind.hasStatus && subresource === 'status')) return null;
  return { kind, namespace, name, subresource };
}

/** The object a request names: in its path, or as a list or a watch does, in the field selector. */
export function nameAsked({ kind, name }: Target, query: URLSearchParams): string {
  return name ?? fieldSelector(kind, query.get('fieldSelector') ?? '').name ?? '';
}

export function logOf(request: IncomingMessage, text: string, connection: number): LoggedRequest {
  const url = new URL(request.url ?? '/', 'http://emulator');
  const method = request.method ?? 'GET';
  const isObject = targetOf(url.pathname)?.name !== undefined;
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
      if (isObject) return 'get';
      return ['true', '1'].includes(query.get('watch') ?? '') ? 'watch' : 'list';
  }
}

function parsed(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
