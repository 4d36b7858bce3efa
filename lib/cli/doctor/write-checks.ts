import { type JsonDocument, partOf } from '../../core/json-document.js';
import type { ResolvedElectionOptions } from '../../core/election-options.js';
import { parseStatus } from '../../kubernetes/api-status.js';
import { collectionPath, leaseAddress, objectPath } from '../../kubernetes/object-request.js';
import type { ApiAnswer } from '../../kubernetes/object-request.js';
import { bodyOf, type ClusterApi } from './cluster-api.js';
import { fault, type Finding, ok, warning } from './finding.js';

const WRITES = 5;
const DRY_RUN = { dryRun: 'All' };
/** What a step of the election may take at most, so that a profile has room for a failed request and a retry. */
const FITS = [
  { profile: 'fast', mostMs: 150 },
  { profile: 'default', mostMs: 800 },
  { profile: 'quiet', mostMs: 4_000 },
] as const;

/** How writes of the lease are answered, by dry runs: nothing is stored, and no candidate is disturbed. */
export async function writeFindings(
  api: ClusterApi,
  leaseName: string,
  times: Pick<ResolvedElectionOptions, 'requestTimeoutMs' | 'renewDeadlineMs'>,
): Promise<readonly Finding[]> {
  const address = leaseAddress(api.namespace, leaseName);
  const stored = await api.object(objectPath(address));
  const tookMs: number[] = [];
  for (let write = 0; write < WRITES; write += 1) {
    const begun = performance.now();
    const answer =
      stored === undefined ? await created(api, leaseName) : await replaced(api, stored);
    const refusal = refusalOf(answer, stored);
    if (refusal !== undefined) return [refusal];
    tookMs.push(performance.now() - begun);
    if (answer.kind !== 'response') break;
  }
  return [latencyFinding(tookMs, times)];
}

function created(api: ClusterApi, name: string): Promise<ApiAnswer> {
  const address = leaseAddress(api.namespace, name);
  const { apiVersion, kind, namespace } = address;
  const body = { apiVersion, kind, metadata: { name, namespace }, spec: { holderIdentity: '' } };
  return api.ask({ method: 'POST', path: collectionPath(address), query: DRY_RUN, body });
}

/** As it is. The holder may renew it meanwhile: then the answer is a conflict, and took as long. */
function replaced(api: ClusterApi, stored: JsonDocument): Promise<ApiAnswer> {
  const { name } = partOf(stored, 'metadata');
  const path = objectPath(leaseAddress(api.namespace, String(name)));
  return api.ask({ method: 'PUT', path, query: DRY_RUN, body: stored });
}

function refusalOf(answer: ApiAnswer, stored: JsonDocument | undefined): Finding | undefined {
  if (answer.kind !== 'response') return undefined;
  const { status, body } = answer;
  if (status === 409) return undefined;
  const written = bodyOf(answer, 200, 201);
  if (written !== undefined)
    return stored === undefined ? undefined : alterationOf(written, stored);
  const said = parseStatus(body)?.message ?? '';
  if (/does not support dry run/i.test(said)) {
    return warning(
      'write.unmeasured',
      `an admission webhook does not support dry runs, so writes could not be measured: ${said}`,
      'Declare sideEffects: None in the webhook configuration.',
    );
  }
  if (/admission webhook|denied the request|exceeded quota|ValidatingAdmissionPolicy/i.test(said)) {
    return fault(
      'write.denied',
      `admission refuses to write the lease: ${said}`,
      'Exempt the lease from the webhook, the policy or the quota that the message names.',
    );
  }
  if (status === 404 && parseStatus(body)?.details?.kind === 'namespaces') {
    return fault('namespace.missing', said, 'Create the namespace, or correct --namespace.');
  }
  // What rights are missing is said by the review of them.
  if (status === 401 || status === 403) return undefined;
  return fault(
    'write.refused',
    `the API server answers ${status} to a write of the lease: ${said}`,
    'Mend what the message names.',
  );
}

/** A webhook that changes what is written makes every renewal look like a stranger's. */
function alterationOf(written: JsonDocument, stored: JsonDocument): Finding | undefined {
  const [is, was] = [partOf(written, 'spec'), partOf(stored, 'spec')];
  const changed = Object.keys({ ...is, ...was }).filter(
    (field) => JSON.stringify(is[field]) !== JSON.stringify(was[field]),
  );
  if (changed.length === 0) return undefined;
  return fault(
    'write.altered',
    `what is stored is not what was sent: spec.${changed.join(', spec.')} changed on the way`,
    'Exempt leases from the mutating webhook or policy that does so.',
  );
}

/** What these writes took, beside what the election allows them. */
export function latencyFinding(
  tookMs: readonly number[],
  {
    requestTimeoutMs,
    renewDeadlineMs,
  }: Pick<ResolvedElectionOptions, 'requestTimeoutMs' | 'renewDeadlineMs'>,
): Finding {
  const sorted = tookMs.toSorted((one, other) => one - other);
  const [median, most] = [sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!];
  const figures = `a write takes ${Math.round(median)} ms at the median and ${Math.round(most)} ms at most`;
  const fits = FITS.find(({ mostMs }) => most <= mostMs);
  const recommended = fits === undefined ? 'no profile fits' : `profile '${fits.profile}' fits`;
  if (most > requestTimeoutMs) {
    return fault(
      'write.too-slow',
      `${figures}, longer than requestTimeoutMs (${requestTimeoutMs}): renewals fail`,
      `Find out why the API server is slow (etcd, webhooks, throttling), or choose longer times: ${recommended}.`,
    );
  }
  if (most > renewDeadlineMs / 5) {
    return warning(
      'write.slow',
      `${figures}, with renewDeadlineMs ${renewDeadlineMs}: a few slow answers in a row end a term`,
      `Choose longer times (${recommended}), or find out why the API server is slow.`,
    );
  }
  return ok('write.fast', `${figures}; ${recommended}`);
}
