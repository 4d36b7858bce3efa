import { LockRequestError } from '../../core/errors.js';

const UNTRUSTED =
  "The server's certificate is not signed by a CA that is trusted here: either the configured CA is not that of this " +
  'cluster, or something in between answers in its place.';

/** What to do about the failures that people meet most. */
const REMEDIES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: is the API server up, and is the address right?',
  ENOTFOUND: 'The name of the API server does not resolve: check the server URL and the DNS.',
  EAI_AGAIN: 'The DNS does not answer: check the network policy and the cluster DNS.',
  EHOSTUNREACH: 'There is no route to the API server: check the network policy.',
  ENETUNREACH: 'There is no route to the API server: check the network policy.',
  EMFILE:
    'This process has no file descriptor left: find what keeps them open, or raise the limit.',
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

/** Failed on the way to the proxy or in it, so what is said of the API server elsewhere does not hold. */
export class ProxyFailure extends Error {
  constructor(message: string, setting: string, cause?: unknown) {
    super(`${message}. The proxy is the one of ${setting}`, { cause });
    this.name = 'ProxyFailure';
  }
}

/** The time of the request was over, sent or not. */
export class RequestTimedOut extends Error {
  constructor(readonly timeoutMs: number) {
    super(`no answer within ${Math.round(timeoutMs)} ms`);
    this.name = 'RequestTimedOut';
  }
}

/** Why nothing of a request was sent, for people. */
export function describeUnsent(cause: unknown): string {
  if (!(cause instanceof RequestTimedOut))
    return `${describeTransportFailure(cause)} Nothing was sent.`;
  return `nothing could be sent within ${Math.round(cause.timeoutMs)} ms.`;
}

/** Why a request got no answer, for people. */
export function describeTransportFailure(cause: unknown): string {
  // Made by a connection, which knows better than any code what to do.
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
