import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';

/** A request of Fastify, or of Express, which is that of Node.js. */
type PlatformRequest = IncomingMessage | { readonly raw: IncomingMessage };
type PlatformResponse = ServerResponse | { readonly raw: ServerResponse; hijack(): unknown };

/**
 * The request and the response of Node.js. What the application does to responses (a wrapper of each answer, a compression,
 * headers of its own) does not reach what is written to this one.
 */
export interface RawExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export function rawExchange(request: PlatformRequest, response: PlatformResponse): RawExchange {
  if ('hijack' in response) response.hijack();
  return {
    request: 'raw' in request ? request.raw : request,
    response: 'raw' in response ? response.raw : response,
  };
}

const JSON_TYPE = 'application/json; charset=utf-8';

/** Of every answer. `no-transform` keeps a compression from holding events back. */
const HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store, no-transform',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};
/** Of every answer but the page. */
const NOTHING_ALLOWED = "default-src 'none'; frame-ancestors 'none'";
/** The application may share what it serves with other sites, and try a policy for its own pages. This does neither. */
const OTHERS_HEADERS = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-expose-headers',
  'content-security-policy-report-only',
];

/** A page, and the hashes of what it may run. */
export interface Page {
  readonly html: string;
  readonly scriptHashes: readonly string[];
  readonly styleHashes: readonly string[];
}

/** Nothing but what the page itself contains, and its own server. */
function contentSecurityPolicy({ scriptHashes, styleHashes }: Page): string {
  const listed = (hashes: readonly string[]): string =>
    hashes.map((hash) => `'${hash}'`).join(' ') || "'none'";
  return [
    "default-src 'none'",
    `script-src ${listed(scriptHashes)}`,
    `style-src ${listed(styleHashes)}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

export function writeHead(
  response: ServerResponse,
  status: number,
  contentType: string,
  policy = NOTHING_ALLOWED,
): void {
  for (const name of OTHERS_HEADERS) response.removeHeader(name);
  const headers = { ...HEADERS, 'Content-Security-Policy': policy, 'Content-Type': contentType };
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.writeHead(status);
  ignoreLaterHeaders(response);
}

/**
 * An interceptor of the application may add a header when the handler is over. Node.js throws then, as the head is sent, and
 * NestJS ends a response whose handler has thrown: no stream would last.
 */
function ignoreLaterHeaders(response: ServerResponse): void {
  const ignore = (): ServerResponse => response;
  Object.assign(response, { setHeader: ignore, appendHeader: ignore, removeHeader: ignore });
}

const GZIP = /(?:^|[\s,])gzip(?!\s*;\s*q=0(?:\.0+)?\s*(?:,|$))/i;

/**
 * Writes the page, packed for who can read it: it is a third of the size, and holds no secret. What is the same for every viewer
 * is made once.
 */
export function pageWriter(page: Page): (exchange: RawExchange) => void {
  const policy = contentSecurityPolicy(page);
  let packed: Buffer | undefined;
  return ({ request, response }) => {
    response.setHeader('Vary', 'Accept-Encoding');
    const isPacked = GZIP.test(String(request.headers['accept-encoding'] ?? ''));
    if (isPacked) response.setHeader('Content-Encoding', 'gzip');
    const body = isPacked ? (packed ??= gzipSync(page.html)) : page.html;
    writeHead(response, 200, 'text/html; charset=utf-8', policy);
    response.end(request.method === 'HEAD' ? undefined : body);
  };
}

/** Answers in JSON. */
export function writeAnswer(
  { request, response }: RawExchange,
  status: number,
  body: object,
): void {
  writeHead(response, status, JSON_TYPE);
  response.end(request.method === 'HEAD' ? undefined : JSON.stringify(body));
}
