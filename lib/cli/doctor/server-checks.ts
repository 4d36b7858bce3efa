import { LockRequestError } from '../../core/errors.js';
import { causeOf, codeOf } from '../../core/thrown-value.js';
import { describeTransportFailure } from '../../kubernetes/answer-messages.js';
import { ProxyFailure } from '../../kubernetes/http/proxy.js';
import type { ApiAnswer, ApiResponse } from '../../kubernetes/object-request.js';
import { RequestTimedOut } from '../../kubernetes/object-request.js';
import { bodyOf, type ClusterApi } from './cluster-api.js';
import { fault, type FaultCode, type Finding, ok, warning } from './finding.js';

/** Where the API server is found, and by what the library would see that it is not. */
export async function serverFindings(api: ClusterApi): Promise<readonly Finding[]> {
  const asked = performance.now();
  const answer = await api.ask({ method: 'GET', path: '/version' });
  if (answer.kind !== 'response') return [unreachable(answer)];
  const took = Math.round(performance.now() - asked);
  return [versionOf(answer, took, api)];
}

/** What to do is in the message where the library knows it; this is for everything else. */
const FIX_BY_CODE = {
  'server.refused': 'Start the API server, or correct its address and port.',
  'server.name': 'Correct the name in the server URL, or mend the DNS.',
  'server.no-route': 'Allow the way to the API server in the network policy and the firewall.',
  'server.timeout':
    'Find what is between here and the API server: a firewall, a proxy, an overload.',
  'server.reset':
    'Find what closes the connection: a firewall, a proxy, or a server that restarts.',
  'server.not-tls': 'Name the port that speaks TLS, with https:// in the server URL.',
  'server.proxy': 'Correct HTTPS_PROXY, or name the API server in NO_PROXY.',
  'certificate.untrusted': 'Give the CA of this cluster: certificate-authority in the kubeconfig.',
  'certificate.name':
    'Use an address that the certificate names, or tls-server-name in the kubeconfig.',
  'certificate.expired':
    'Renew the certificate of the server or of its CA, or set the clock of this machine.',
  'certificate.not-yet-valid':
    'Set the clock of this machine, or the one that issued the certificate.',
  'credentials.unreadable': 'Mend what the message names.',
  'server.unreachable': 'Mend what the message names.',
} as const satisfies Partial<Record<FaultCode, string>>;

type FailureCode = keyof typeof FIX_BY_CODE;

const BY_ERROR: Readonly<Record<string, FailureCode>> = {
  ECONNREFUSED: 'server.refused',
  ENOTFOUND: 'server.name',
  EAI_AGAIN: 'server.name',
  EHOSTUNREACH: 'server.no-route',
  ENETUNREACH: 'server.no-route',
  ETIMEDOUT: 'server.timeout',
  ECONNRESET: 'server.reset',
  EPIPE: 'server.reset',
  EPROTO: 'server.not-tls',
  ERR_SSL_WRONG_VERSION_NUMBER: 'server.not-tls',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'server.not-tls',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate.name',
  CERT_HAS_EXPIRED: 'certificate.expired',
  CERT_NOT_YET_VALID: 'certificate.not-yet-valid',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate.untrusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate.untrusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate.untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate.untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'certificate.untrusted',
};

function unreachable({ cause }: Exclude<ApiAnswer, ApiResponse>): Finding {
  const code = codeOfFailure(cause);
  return fault(
    code,
    `no answer from the API server: ${describeTransportFailure(cause)}`,
    FIX_BY_CODE[code],
  );
}

/** Errors are wrapped a few times. */
const DEEPEST = 5;

function codeOfFailure(cause: unknown): FailureCode {
  if (cause instanceof RequestTimedOut) return 'server.timeout';
  if (cause instanceof ProxyFailure) return 'server.proxy';
  for (let [error, depth] = [cause, 0]; error !== undefined && depth < DEEPEST; depth += 1) {
    const known = BY_ERROR[codeOf(error) ?? ''];
    if (known !== undefined) return known;
    error = below(error);
  }
  return cause instanceof LockRequestError ? 'credentials.unreadable' : 'server.unreachable';
}

/** Happy eyeballs and proxies wrap the error that says what happened. */
function below(error: unknown): unknown {
  const { errors } = error as { readonly errors?: unknown };
  return Array.isArray(errors) ? (errors[0] as unknown) : causeOf(error);
}

function versionOf(answer: ApiResponse, took: number, api: ClusterApi): Finding {
  const { status, headers } = answer;
  if (status === 401) {
    return fault(
      'credentials.refused',
      `the API server does not accept ${api.describeCredentials()} (401)`,
      'Give credentials of this cluster that have not expired and whose audience is this server.',
    );
  }
  if (status === 429) {
    return warning(
      'server.throttled',
      'the API server asks for fewer requests (429)',
      'Find the client that asks too much (API priority and fairness), or give this one a priority level of its own.',
    );
  }
  if (status >= 500) {
    return fault(
      'server.failing',
      `the API server answers ${status} to GET /version`,
      'Look at the log of the API server and at /readyz?verbose; nothing here can lead until it is well.',
    );
  }
  if (status >= 300 && status < 400) {
    return fault(
      'server.redirects',
      `the server answers ${status}${headers.location === undefined ? '' : ` to ${headers.location}`}, and redirects are not followed`,
      'Give the URL of the API server itself.',
    );
  }
  const { gitVersion } = bodyOf(answer, 200) ?? {};
  if (typeof gitVersion === 'string') {
    return ok('server.reachable', `the API server answers within ${took} ms (${gitVersion})`);
  }
  // Some clusters show their version to no client, and every API server then answers so.
  if (status === 403 && bodyOf(answer, 403)?.['kind'] === 'Status') {
    return ok('server.reachable', `the API server answers within ${took} ms`);
  }
  return fault(
    'server.not-kubernetes',
    `what answers (${status}) is not an API server: a proxy, a gateway or another server`,
    'Correct the server URL and its path, or the proxies.',
  );
}
