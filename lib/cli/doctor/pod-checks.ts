import { isJsonObject, type JsonDocument, partOf } from '../../core/json-document.js';
import { podOf } from '../../core/member.js';
import { collectionPath, objectPath, podAddress } from '../../kubernetes/object-request.js';
import { isOver, isReady } from '../../members/pod.js';
import { bodyOf, type ClusterApi } from './cluster-api.js';
import { fault, type Finding, ok, warning } from './finding.js';

export interface Fleet {
  /** Of the lease; empty if no process holds it. */
  readonly holderIdentity: string;
  /** Of the pods of the application; undefined: the pod of the holder alone is looked at. */
  readonly selector: string | undefined;
  readonly drainTimeoutMs: number;
  /** The release may take two of them. */
  readonly requestTimeoutMs: number;
}

/** Kubernetes' default. */
const DEFAULT_GRACE_SECONDS = 30;

/** The pod of the holder, and those of the whole application. */
export async function podFindings(api: ClusterApi, fleet: Fleet): Promise<readonly Finding[]> {
  const [holder, pods] = await Promise.all([holderPod(api, fleet), podsOf(api, fleet)]);
  const seen = pods ?? (holder.pod === undefined ? [] : [holder.pod]);
  return [
    ...holder.findings,
    ...graceFindings(seen, fleet),
    ...(pods === undefined ? [] : fleetFindings(pods, fleet)),
  ];
}

interface HolderPod {
  readonly pod: JsonDocument | undefined;
  readonly findings: readonly Finding[];
}

/** By default an identity is `<pod>_<uuid>`. */
async function holderPod(api: ClusterApi, { holderIdentity }: Fleet): Promise<HolderPod> {
  const none = { pod: undefined, findings: [] };
  if (holderIdentity === '') return none;
  const name = podOf(holderIdentity);
  const answer = await api.ask({
    method: 'GET',
    path: objectPath(podAddress(api.namespace, name)),
  });
  const pod = bodyOf(answer, 200);
  if (answer.kind === 'response' && answer.status === 404) {
    const what = `the holder ${holderIdentity} is not a pod of namespace ${api.namespace}: its pod is gone, or its identity does not begin with the name of the pod`;
    const fix =
      'Wait until the lease expires. If the identity is your own, begin it with the name of the pod, or ignore this.';
    return { pod: undefined, findings: [warning('holder.no-pod', what, fix)] };
  }
  // Without the right to read pods nothing is known, which the feature pods of the rights says.
  if (pod === undefined) return none;
  return { pod, findings: stateOf(pod, name) };
}

function stateOf(pod: JsonDocument, name: string): Finding[] {
  const status = partOf(pod, 'status');
  const metadata = partOf(pod, 'metadata');
  if (typeof metadata['deletionTimestamp'] === 'string') {
    return [
      ok('holder.terminating', `the pod ${name} of the holder is shutting down, and hands over`),
    ];
  }
  if (isOver(status)) {
    return [
      warning(
        'holder.ended',
        `the pod ${name} of the holder has ended (${String(status['phase'])}) without a release`,
        'Wait until the lease expires; podWatch: true makes that a second.',
      ),
    ];
  }
  return isReady(status)
    ? []
    : [
        warning(
          'holder.not-ready',
          `the pod ${name} of the holder is not ready`,
          'Look at its probes and its log.',
        ),
      ];
}

async function podsOf(
  api: ClusterApi,
  { selector }: Fleet,
): Promise<readonly JsonDocument[] | undefined> {
  if (selector === undefined) return undefined;
  const list = await api.object(collectionPath(podAddress(api.namespace)), {
    labelSelector: selector,
    limit: '500',
  });
  const items = list?.['items'];
  if (!Array.isArray(items)) return undefined;
  return items.filter(isJsonObject).filter((pod) => !isOver(partOf(pod, 'status')));
}

function graceFindings(pods: readonly JsonDocument[], fleet: Fleet): Finding[] {
  const short = pods.find((pod) => graceMs(pod) < shutdownMs(pod, fleet));
  if (short === undefined) return [];
  const needSeconds = shutdownMs(short, fleet) / 1_000;
  return [
    fault(
      'pod.grace-period',
      `pod ${nameOf(short)} has ${graceMs(short) / 1_000} s to shut down, and the sleep of its preStop hook, the drain and the release may take ${needSeconds} s: it would be killed before it releases the lease`,
      `Set terminationGracePeriodSeconds to at least ${Math.ceil(needSeconds)} and a few seconds for the hooks of the application, or lower drainTimeoutMs.`,
    ),
  ];
}

/** From the deletion of the pod to the release of the lease, at most, without the hooks of the application. */
function shutdownMs(pod: JsonDocument, { drainTimeoutMs, requestTimeoutMs }: Fleet): number {
  const sleepsMs = containersOf(pod).map((container) => {
    const { seconds } = partOf(partOf(partOf(container, 'lifecycle'), 'preStop'), 'sleep');
    return typeof seconds === 'number' ? seconds * 1_000 : 0;
  });
  return Math.max(0, ...sleepsMs) + drainTimeoutMs + 2 * requestTimeoutMs;
}

function fleetFindings(
  pods: readonly JsonDocument[],
  { selector, holderIdentity }: Fleet,
): Finding[] {
  if (pods.length === 0) {
    return [
      fault(
        'fleet.empty',
        `no pod matches ${selector}`,
        'Correct --selector, or start the application.',
      ),
    ];
  }
  const findings: Finding[] = [];
  const ready = pods.filter((pod) => isReady(partOf(pod, 'status')));
  if (ready.length === 0) {
    findings.push(
      fault(
        'fleet.none-ready',
        `none of the ${pods.length} pods that match ${selector} is ready`,
        'Look at their probes and their logs.',
      ),
    );
  } else if (ready.length === 1) {
    findings.push(
      warning(
        'fleet.single',
        `one pod that matches ${selector} is ready: no other takes over when it dies`,
        'Run at least two replicas.',
      ),
    );
  }
  const images = new Set(pods.map(imagesOf));
  if (images.size > 1) {
    findings.push(
      warning(
        'fleet.mixed-images',
        `the pods that match ${selector} run ${images.size} different images`,
        'Finish the rollout. If they are two applications, give each a lease of its own.',
      ),
    );
  }
  const graces = new Set(pods.map(graceMs));
  if (graces.size > 1) {
    findings.push(
      warning(
        'fleet.mixed-pods',
        'the pods have different terminationGracePeriodSeconds',
        'Finish the rollout, or let one controller make them.',
      ),
    );
  }
  const holder = podOf(holderIdentity);
  if (holderIdentity !== '' && !pods.some((pod) => nameOf(pod) === holder)) {
    findings.push(
      warning(
        'holder.other-fleet',
        `the holder ${holderIdentity} is none of the pods that match ${selector}`,
        'Another application may use this lease: compare the leaseName of both.',
      ),
    );
  }
  return findings.length > 0
    ? findings
    : [ok('fleet.ready', `${ready.length} of ${pods.length} pods are ready to lead`)];
}

function graceMs(pod: JsonDocument): number {
  const { terminationGracePeriodSeconds: seconds } = partOf(pod, 'spec');
  return (typeof seconds === 'number' ? seconds : DEFAULT_GRACE_SECONDS) * 1_000;
}

function nameOf(pod: JsonDocument): string {
  return String(partOf(pod, 'metadata')['name']);
}

function imagesOf(pod: JsonDocument): string {
  return containersOf(pod)
    .map(({ image }) => String(image))
    .join(' ');
}

function containersOf(pod: JsonDocument): readonly JsonDocument[] {
  const { containers } = partOf(pod, 'spec');
  return Array.isArray(containers) ? containers.filter(isJsonObject) : [];
}
