import { LockRequestError } from '../../core/errors/lock-request.error.js';
import { describeMissingRule, type Verb } from './access-rule.js';
import { describeTransportFailure } from './transport-failure.js';
import type { ApiAnswer } from './kubernetes-transport.js';
import { describeAddress, type ObjectAddress } from './object-address.js';
import { parseRetryAfter } from './retry-after.js';
import { parseStatus, type ApiStatus } from './api-status.js';

/** What was asked, for whom; the first half of every message. */
export interface Asked {
  readonly verb: Verb;
  readonly address: ObjectAddress;
  /** Asked only where the server does not know who is asking. */
  readonly describeCredentials: () => string;
}

type Response = Extract<ApiAnswer, { kind: 'response' }>;

/**
 * Statuses that prove that a write was not done and never will be (safety-rules 3.4). 404 and 409 are decided by the
 * verb. Everything else, 5xx above all, proves nothing: the handler may go on after it (A7).
 */
const NOT_APPLIED = new Set([400, 401, 403, 404, 413, 415, 422, 429]);

export function provesNotApplied(status: number): boolean {
  return NOT_APPLIED.has(status);
}

/** True if an API server says that the very object asked for does not exist; a 404 of a proxy is not that. */
export function isObjectMissing(
  { status, body }: Response,
  { resource, name }: ObjectAddress,
): boolean {
  const parsed = parseStatus(body);
  if (status !== 404 || parsed?.reason !== 'NotFound') return false;
  const { kind, name: missing } = parsed.details ?? {};
  return kind === undefined || (kind === resource && missing === name);
}

/** An answer with a status that is not the hoped-for one, explained. */
export function explainResponse(asked: Asked, response: Response): LockRequestError {
  const { status, headers, body } = response;
  const apiStatus = parseStatus(body);
  const said = apiStatus !== null && apiStatus.message ? apiStatus.message : excerpt(body);
  const retryAfterMs = parseRetryAfter(headers['retry-after'], Date.now());
  const remedy = remedyFor(asked, response, apiStatus);
  return new LockRequestError(
    `${describeAsked(asked)}: the API server answered ${status}${said && `: ${said}`}` +
      (remedy && `${/[.!?]$/.test(said) ? '' : '.'} ${remedy}`),
    {
      reason: provesNotApplied(status) ? 'rejected' : 'unclear',
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
  );
}

/** A 2xx whose body is not what was asked for: of a proxy, or of something that is no API server. */
export function explainUnusable(
  asked: Asked,
  { status, body }: Response,
  problem: string,
): LockRequestError {
  return new LockRequestError(
    `${describeAsked(asked)}: the answer (${status}) ${problem}${body && `: ${excerpt(body)}`}. ` +
      'Something between this process and the API server answers in its place: check the server URL and the proxies.',
    { reason: 'unclear' },
  );
}

/** No answer at all. */
export function explainNoAnswer(
  asked: Asked,
  answer: Exclude<ApiAnswer, Response>,
): LockRequestError {
  const { kind, cause } = answer;
  const isSent = kind === 'unanswered';
  return new LockRequestError(
    `${describeAsked(asked)}: ${describeTransportFailure(cause)}${isSent ? '' : ' Nothing was sent.'}`,
    { reason: isSent ? 'unclear' : 'unreachable', cause },
  );
}

/** `update Lease default/plan-scheduler` */
function describeAsked({ verb, address }: Asked): string {
  return `${verb} ${describeAddress(address)}`;
}

function remedyFor(
  asked: Asked,
  { status, headers }: Response,
  apiStatus: ApiStatus | null,
): string {
  const { verb, address } = asked;
  if (status >= 300 && status < 400) {
    const to = headers.location === undefined ? '' : ` (to ${originOf(headers.location)})`;
    return `Redirects${to} are not followed; configure the URL of the API server itself.`;
  }
  switch (status) {
    case 401:
      return (
        `The server does not accept ${asked.describeCredentials()}. They were read again before the second attempt; ` +
        'check that they are of this cluster, not expired, and meant for this server (audience).'
      );
    case 403:
      return explainForbidden(asked, apiStatus);
    case 404:
      if (apiStatus !== null && apiStatus.details?.kind === 'namespaces') {
        return `Create the namespace ${address.namespace}, or set the option namespace.`;
      }
      return `No ${address.resource}.${address.apiGroup} at this URL: check the server URL and its path.`;
    case 413:
      return 'The object is too large; remove annotations from it.';
    case 422:
      return `The server finds the ${address.kind} invalid.`;
    case 429:
      return 'The server or its API priority and fairness asks for fewer requests.';
    default:
      return status >= 500 && verb !== 'get' && verb !== 'watch'
        ? 'Whether it was applied is not known.'
        : '';
  }
}

/** A 403 is mostly RBAC, and then the server names the user and the verb; admission says no with 403 as well. */
function explainForbidden(
  { verb, address, describeCredentials }: Asked,
  apiStatus: ApiStatus | null,
): string {
  const message = apiStatus?.message ?? '';
  if (apiStatus?.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating')) {
    return `Namespace ${address.namespace} is being deleted; nothing can be created in it.`;
  }
  if (apiStatus !== null && message !== '' && !message.includes(' cannot ')) {
    return 'This comes from admission (a webhook, a policy, a quota), not from missing rights.';
  }
  const user = /User "([^"]+)"/.exec(message)?.[1];
  if (user === 'system:anonymous') {
    return `The server did not recognise anybody: it was shown ${describeCredentials()}.`;
  }
  const account = /^system:serviceaccount:([^:]+):(.+)$/.exec(user ?? '');
  const who = account
    ? `The service account ${account[2]} of namespace ${account[1]}`
    : `The user ${user === undefined ? 'of this process' : `"${user}"`}`;
  return (
    `${who} may not ${verb} ${address.resource}.${address.apiGroup} "${address.name}" in namespace ` +
    `${address.namespace}. ${describeMissingRule(verb, address)}`
  );
}

function originOf(location: string): string {
  return URL.canParse(location) ? new URL(location).origin : 'another path';
}

function excerpt(body: string): string {
  const text = body.replace(/\s+/g, ' ').trim();
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
