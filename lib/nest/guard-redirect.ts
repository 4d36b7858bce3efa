import { type ExecutionContext, HttpException } from '@nestjs/common';
import type { NotLeaderError } from './errors.js';

/** Whether a follower sends HTTP requests to the leader, and to which addresses. */
export type Redirect = boolean | ((address: URL) => boolean);

/** What of a request is needed, with Express and Fastify alike. */
interface HttpRequest {
  readonly originalUrl?: unknown;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly raw?: { readonly socket?: object };
  readonly socket?: object;
}

interface HttpResponse {
  header?(name: string, value: string): unknown;
}

/** A path with its query as Node's parser lets through, but for what a header must not contain. */
const PATH = /^\/[\x21-\x7e]*$/;

/**
 * A refusal that names the leader: 307, so that clients send the request again as it is. Undefined where that cannot be
 * done, or would only lead back here.
 *
 * Redirects do not go in circles. Each hop leads to the holder of the newest record that the redirecting process has seen.
 * The holder has seen that record too, so it leads, knows a newer one, or knows no leader and refuses. An address behind
 * which other processes answer as well is left by the comparison with the Host header.
 */
export function redirectionFor(
  context: ExecutionContext,
  leaderAddress: string | undefined,
  redirect: Redirect,
  error: NotLeaderError,
): HttpException | undefined {
  if (redirect === false || leaderAddress === undefined || context.getType() !== 'http') return;
  const request = context.switchToHttp().getRequest<HttpRequest>();
  const response = context.switchToHttp().getResponse<HttpResponse>();
  const address = new URL(leaderAddress);
  const { originalUrl: path } = request;
  if (typeof path !== 'string' || !PATH.test(path) || typeof response.header !== 'function') return;
  if (cameTo(request, address) || (isEncrypted(request) && address.protocol !== 'https:')) return;
  if (redirect !== true && redirect(address) !== true) return;
  response.header('Location', leaderAddress + path);
  return new LeaderElsewhereException(error);
}

/** The request was sent to that very address, and it has reached a follower. */
function cameTo({ headers }: HttpRequest, { protocol, host }: URL): boolean {
  const named = headers?.[':authority'] ?? headers?.['host'];
  if (typeof named !== 'string') return false;
  try {
    // It leaves out the port that the scheme implies.
    return new URL(`${protocol}//${named}`).host === host;
  } catch {
    return false;
  }
}

function isEncrypted({ raw, socket }: HttpRequest): boolean {
  const { encrypted } = (raw?.socket ?? socket ?? {}) as { readonly encrypted?: unknown };
  return encrypted === true;
}

/** As expected as the refusal itself: Nest answers it, and logs nothing. */
class LeaderElsewhereException extends HttpException {
  readonly code = 'ERR_NOT_LEADER';

  constructor(error: NotLeaderError) {
    const { message, role } = error.getResponse();
    super({ statusCode: 307, error: 'Temporary Redirect', message, role }, 307);
  }
}
