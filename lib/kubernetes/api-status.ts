import type { ObjectAddress, Verb } from './object-request.js';

/** The API's `Status` object, the body of its errors. Every field may be missing. */
export interface ApiStatus {
  readonly kind?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: {
    readonly kind?: string;
    readonly name?: string;
    readonly causes?: readonly { readonly reason?: string; readonly message?: string }[];
  };
}

export function parseStatus(body: string): ApiStatus | null {
  try {
    return asStatus(JSON.parse(body));
  } catch {
    // Proxies answer in HTML or plain text.
    return null;
  }
}

export function asStatus(json: unknown): ApiStatus | null {
  if (typeof json !== 'object' || json === null) return null;
  const { kind, message, reason, code, details } = json as Record<string, unknown>;
  if (kind !== 'Status') return null;
  return {
    kind,
    ...(typeof message === 'string' && { message }),
    ...(typeof reason === 'string' && { reason }),
    ...(typeof code === 'number' && { code }),
    ...(typeof details === 'object' && details !== null && { details: detailsOf(details) }),
  };
}

function detailsOf(details: object): NonNullable<ApiStatus['details']> {
  const { kind, name, causes } = details as Record<string, unknown>;
  const objects = Array.isArray(causes)
    ? causes.filter((cause) => typeof cause === 'object' && cause !== null)
    : [];
  return {
    ...(typeof kind === 'string' && { kind }),
    ...(typeof name === 'string' && { name }),
    causes: objects as { reason?: string; message?: string }[],
  };
}

/**
 * Statuses that prove that a write was not done and never will be. 404 and 409 are decided by the verb. Everything
 * else, 5xx above all, proves nothing: the server may still complete the request.
 */
const NOT_APPLIED: ReadonlySet<number> = new Set([400, 401, 403, 404, 413, 415, 422, 429]);

interface Response {
  readonly status: number;
  readonly body: string;
}

/** A 409 proves it if it is the API server's own. From anything else on the way it may mean anything. */
export function provesNotApplied({ status, body }: Response): boolean {
  return NOT_APPLIED.has(status) || (status === 409 && parseStatus(body) !== null);
}

/** True if an API server says that the very object asked for does not exist; a 404 of a proxy is not that. */
export function isObjectMissing({ status, body }: Response, address: ObjectAddress): boolean {
  const said = parseStatus(body);
  return status === 404 && said?.reason === 'NotFound' && isAbout(said, address);
}

/**
 * True if the write met another version of that very object. Other 409s are refusals: by a quota that is written
 * elsewhere at the same time, or by a webhook, which may give any status and any reason.
 */
export function isVersionConflict(
  verb: Verb,
  { status, body }: Response,
  address: ObjectAddress,
): boolean {
  const said = parseStatus(body);
  const reason = verb === 'create' ? 'AlreadyExists' : 'Conflict';
  return status === 409 && said?.reason === reason && isAbout(said, address);
}

function isAbout(said: ApiStatus, { resource, name }: ObjectAddress): boolean {
  const { kind, name: named } = said.details ?? {};
  return !isOfWebhook(said) && (kind === undefined || (kind === resource && named === name));
}

/** The API server begins what a webhook says with these words, whatever the webhook says. */
export function isOfWebhook({ message = '' }: ApiStatus): boolean {
  return message.startsWith('admission webhook "');
}

/** The Retry-After header, in seconds or as an HTTP date, in milliseconds from now; undefined if it says nothing. */
export function parseRetryAfter(value: string | undefined, nowEpochMs: number): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // Date.parse takes almost any text with a digit in it; an HTTP date begins with the name of a day.
  const date = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowEpochMs);
}
