import { LockRequestError } from '../core/errors.js';
import { TOO_MANY_OPEN_FILES } from '../core/thrown-value.js';
import {
  type ApiStatus,
  isObjectMissing,
  isOfWebhook,
  parseRetryAfter,
  parseStatus,
  provesNotApplied,
} from './api-status.js';
import { ProxyFailure } from './http/proxy.js';
import {
  type ApiAnswer,
  type ApiResponse,
  type RequestContext,
  describeAddress,
  describeMissingRule,
  describeResource,
  RequestTimedOut,
} from './object-request.js';

/** Explains an answer whose status is not the expected one. */
export function explainResponse(context: RequestContext, response: ApiResponse): LockRequestError {
  const { status, headers, body } = response;
  const apiStatus = parseStatus(body);
  const said = apiStatus !== null && apiStatus.message ? apiStatus.message : excerpt(body);
  const retryAfterMs = parseRetryAfter(headers['retry-after'], Date.now());
  const remedy = remedyFor(context, response, apiStatus);
  return new LockRequestError(
    `${describeRequest(context)}: the API server answered ${status}${said && `: ${said}`}` +
      (remedy && `${/[.!?]$/.test(said) ? '' : '.'} ${remedy}`),
    {
      reason: provesNotApplied(response) ? 'rejected' : 'unclear',
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
  );
}

/**
 * Explains a 2xx whose body is not what was asked for: it comes from a proxy, or from something that is not an API server.
 */
export function explainUnusable(
  context: RequestContext,
  { status, body }: ApiResponse,
  problem: string,
): LockRequestError {
  return new LockRequestError(
    `${describeRequest(context)}: the answer (${status}) ${problem}${body && `: ${excerpt(body)}`}. ` +
      'Something between this process and the API server answers in its place: check the server URL and the proxies.',
    { reason: 'unclear' },
  );
}

export function explainNoAnswer(
  context: RequestContext,
  answer: Exclude<ApiAnswer, ApiResponse>,
): LockRequestError {
  const { kind, cause } = answer;
  const isSent = kind === 'unanswered';
  return new LockRequestError(
    `${describeRequest(context)}: ${isSent ? describeTransportFailure(cause) : describeUnsent(cause)}`,
    { reason: isSent ? 'unclear' : 'unreachable', cause },
  );
}

/** `update Lease default/plan-scheduler` */
function describeRequest({ verb, address }: RequestContext): string {
  return `${verb} ${describeAddress(address)}`;
}

function remedyFor(
  context: RequestContext,
  { status, headers, body }: ApiResponse,
  apiStatus: ApiStatus | null,
): string {
  if (status >= 300 && status < 400) {
    const to = headers.location === undefined ? '' : ` (to ${originOf(headers.location)})`;
    return `Redirects${to} are not followed; configure the URL of the API server itself.`;
  }
  if (apiStatus !== null && isAdmissionDenial(apiStatus)) {
    return 'This comes from admission (a webhook, a policy, a quota), not from missing rights.';
  }
  if (apiStatus === null && (status === 403 || status === 413)) {
    return (
      'This is not the answer of an API server: something in front of it (a proxy, a gateway, a firewall) refuses. ' +
      'Ask whoever runs that, or check the server URL and the proxies.'
    );
  }
  // Whoever asked for it knows what its absence means.
  return isObjectMissing({ status, body }, context.address)
    ? ''
    : remedyByStatus(context, status, apiStatus);
}

function remedyByStatus(
  context: RequestContext,
  status: number,
  apiStatus: ApiStatus | null,
): string {
  const { verb, address } = context;
  switch (status) {
    case 401:
      return (
        `The server does not accept ${context.describeCredentials()}. ` +
        'Check that they are of this cluster, not expired, and meant for this server (audience).'
      );
    case 403:
      return explainForbidden(context, apiStatus);
    case 404:
      if (apiStatus !== null && apiStatus.details?.kind === 'namespaces') {
        return `Create the namespace ${address.namespace}, or set the option namespace.`;
      }
      return `No ${describeResource(address)} at this URL: check the server URL and its path.`;
    case 413:
      return 'The object is larger than the server accepts.';
    case 422:
      if (/\bimmutable\b/.test(apiStatus?.message ?? '')) {
        return `Delete this ${address.kind}, and create it without immutable: true: a lock has to change it.`;
      }
      return `The server finds the ${address.kind} invalid.`;
    case 429:
      return 'The server or its API priority and fairness asks for fewer requests.';
    default:
      return status >= 500 && (verb === 'create' || verb === 'update')
        ? 'It is not known whether it was applied.'
        : '';
  }
}

/** Admission words its refusals in two ways. Those of authorization continue with the user, and are not among them. */
function isAdmissionDenial(said: ApiStatus): boolean {
  if (isOfWebhook(said)) return true;
  const denial = IS_FORBIDDEN.exec(said.message ?? '')?.[1];
  return denial !== undefined && !denial.startsWith('User "') && !isTerminating(said);
}

const IS_FORBIDDEN = /^\S+(?: "[^"]*")? is forbidden: (.*)$/s;
const OF_AUTHORIZATION =
  /^User "([^"]*)" cannot (\S+) resource "([^"]*)" in API group "[^"]*"(?: in the namespace "[^"]*"| at the cluster scope)(?:: (.*))?$/s;
/** Reasons given with a refusal that a Role overrules: by RBAC itself, and by an IAM that is asked beside RBAC. */
const A_ROLE_HELPS =
  /^RBAC: |^requires one of \[[^\]]*\] permission|^User does not have access to the resource in Azure/;

function isTerminating({ details }: ApiStatus): boolean {
  return details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') ?? false;
}

/** Names the rule to add only if the server says that this right is missing, and gives no other reason. */
function explainForbidden(
  { verb, address, describeCredentials }: RequestContext,
  apiStatus: ApiStatus | null,
): string {
  if (apiStatus !== null && isTerminating(apiStatus)) {
    return `Namespace ${address.namespace} is being deleted; nothing can be created in it.`;
  }
  const denial = IS_FORBIDDEN.exec(apiStatus?.message ?? '')?.[1] ?? '';
  const [, user = '', refusedVerb, refusedResource, reason = ''] =
    OF_AUTHORIZATION.exec(denial) ?? [];
  if (refusedVerb === undefined) return '';
  if (user === 'system:anonymous') {
    return `The server did not recognise the caller: it was shown ${describeCredentials()}.`;
  }
  // Since Kubernetes 1.36 finer verbs are asked for first; whoever has this one needs none of them.
  if (/^impersonate\b/.test(refusedVerb)) {
    const impersonated = refusedVerb.startsWith('impersonate-on:') ? 'users' : refusedResource;
    return (
      `The user "${user}" may not act as another user. Allow it by a ClusterRole with the verb impersonate on ` +
      `${impersonated}, or take as, as-uid, as-groups and as-user-extra out of the kubeconfig.`
    );
  }
  if (refusedVerb !== verb || refusedResource !== address.resource) return '';
  if (reason !== '' && !A_ROLE_HELPS.test(reason)) {
    return 'Something other than RBAC refuses this, so a Role may not help. Ask whoever runs the cluster.';
  }
  const account = /^system:serviceaccount:([^:]+):(.+)$/.exec(user);
  const who = account
    ? `The service account ${account[2]} of namespace ${account[1]}`
    : `The user "${user}"`;
  const isElsewhere = account !== null && account[1] !== address.namespace;
  const elsewhere = isElsewhere
    ? `That is not the namespace of the service account: if it is not meant, correct the option namespace or POD_NAMESPACE. `
    : '';
  const what = describeResource(address) + (address.name === '' ? '' : ` "${address.name}"`);
  const rule = describeMissingRule(verb, address, account ? 'service account' : 'user');
  return `${who} may not ${verb} ${what} in namespace ${address.namespace}. ${elsewhere}${rule}`;
}

function originOf(location: string): string {
  return URL.canParse(location) ? new URL(location).origin : 'another path';
}

function excerpt(body: string): string {
  const text = body.replace(/\s+/g, ' ').trim();
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

const UNTRUSTED =
  "The server's certificate is not signed by a CA that is trusted here: either the configured CA is not that of this " +
  'cluster, or something in between answers in its place.';

/** What to do about the most frequent failures. */
const REMEDIES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: is the API server up, and is the address right?',
  ENOTFOUND: 'The name of the API server does not resolve: check the server URL and the DNS.',
  EAI_AGAIN: 'The DNS does not answer: check the network policy and the cluster DNS.',
  EHOSTUNREACH: 'There is no route to the API server: check the network policy.',
  ENETUNREACH: 'There is no route to the API server: check the network policy.',
  EMFILE: `Fix: ${TOO_MANY_OPEN_FILES.EMFILE}.`,
  ERR_TLS_CERT_ALTNAME_INVALID:
    "The server's certificate is for another name: use an address that it names (in a kubeconfig, tls-server-name).",
  CERT_HAS_EXPIRED:
    'A certificate of the server or of its CA has expired, or the clock of this machine is wrong.',
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
};

const UNSENDABLE_TOKEN =
  'The token has characters that a header cannot carry: is the file really a token?';

function describeUnsent(cause: unknown): string {
  if (!(cause instanceof RequestTimedOut))
    return `${describeTransportFailure(cause)} Nothing was sent.`;
  return `nothing could be sent within ${Math.round(cause.timeoutMs)} ms.`;
}

export function describeTransportFailure(cause: unknown): string {
  // A connection made it, and knows better than any code what to do.
  if (cause instanceof LockRequestError) return cause.message;
  if (cause instanceof ProxyFailure) return `${cause.message}.`;
  const error = innermost(cause);
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const message = (cause as Error).message || error.message;
  const isToken = code === 'ERR_INVALID_CHAR' && message.includes('Authorization');
  const remedy = isToken ? UNSENDABLE_TOKEN : REMEDIES[code];
  const named = code !== '' && !message.includes(code) ? `${message} (${code})` : message;
  return remedy === undefined ? `${named}.` : `${named}. ${remedy}`;
}

/** Happy eyeballs and proxies wrap the error that says what happened. */
function innermost(cause: unknown): Error {
  if (cause instanceof AggregateError && cause.errors.length > 0) return innermost(cause.errors[0]);
  if (!(cause instanceof Error)) return new Error(String(cause));
  return cause.cause instanceof Error && !('code' in cause) ? innermost(cause.cause) : cause;
}
