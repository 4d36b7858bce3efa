import { LEASE } from './lease-kind.js';
import type { Body, Change, ObjectKind, StoredObject } from './object-kind.js';
import { type Answer, invalid } from './status-body.js';

const NAMES = { kind: 'Pod', resource: 'pods', group: '' };
const DEFAULTS = { restartPolicy: 'Always', terminationGracePeriodSeconds: 30 };
const QUALITY = { qosClass: 'BestEffort' };

/** No kubelet: a Pod runs when somebody writes so to its `status` sub-resource. */
export const POD: ObjectKind = {
  ...NAMES,
  isReplacedUnconditionally: true,
  isCreatedByPut: false,
  hasStatus: true,
  hasGeneration: true,
  emptyContent: { spec: { containers: null }, status: {} },
  faultOf,
  contentOf,
  selectable: {
    ...LEASE.selectable,
    'spec.nodeName': ({ spec }) => (spec as { nodeName?: string }).nodeName,
    'status.phase': ({ status }) => (status as { phase?: string }).phase,
  },
  unknownSelector: (field) => `field label not supported: ${field}`,
  graceOf,
};

function faultOf(body: Body, name: string, change?: Change): Answer | undefined {
  if (change?.part === 'status') return undefined;
  const spec = (body['spec'] ?? {}) as Body;
  const containers = spec['containers'];
  if (!Array.isArray(containers) || containers.length === 0) {
    return invalid(name, 'spec.containers: Required value', NAMES);
  }
  const before = change?.stored['spec'] as Body | undefined;
  if (before !== undefined && before['nodeName'] !== spec['nodeName']) {
    return invalid(name, 'spec: Forbidden: pod updates may not change fields other than', NAMES);
  }
  return undefined;
}

function contentOf(body: Body, change?: Change): Body {
  const spec = { ...DEFAULTS, ...(body['spec'] as Body | undefined) };
  if (change === undefined) return { spec, status: { phase: 'Pending', ...QUALITY } };
  if (change.part === 'object') return { spec, status: change.stored['status'] };
  const status = body['status'] as Body | undefined;
  return { spec: change.stored['spec'], status: { ...status, ...QUALITY } };
}

/** A Pod that runs nowhere, or no more, needs no time to end. */
function graceOf({ spec, status }: StoredObject): number {
  const { nodeName, terminationGracePeriodSeconds } = spec as Body;
  const { phase } = status as Body;
  const isOver = phase === 'Failed' || phase === 'Succeeded';
  return nodeName === undefined || isOver ? 0 : Number(terminationGracePeriodSeconds);
}
