import type { ContainerEnd } from '../core/container.js';
import { isJsonObject, type JsonDocument, partOf } from '../core/json-document.js';
import type { Member } from '../core/member.js';
import { endedContainers } from './container-death.js';

/** A pod, as far as it matters who the members are. */
export interface ObservedPod {
  readonly member: Omit<Member, 'isSelf'>;
  /** All its containers have ended for good: an evicted pod, or one of a finished job, stays in the list for long. */
  readonly isOver: boolean;
  /** Proved by its status (R24). */
  readonly endedContainers: readonly ContainerEnd[];
  readonly labels: JsonDocument;
  readonly resourceVersion: string;
}

/** @throws Error that says what is wrong with the object */
export function parsePod(object: unknown): ObservedPod {
  const metadata = partOf(object, 'metadata');
  const { name, uid, resourceVersion, creationTimestamp, deletionTimestamp } = metadata;
  if (typeof name !== 'string' || name === '') throw new Error('has no name');
  if (typeof uid !== 'string' || uid === '') throw new Error(`(${name}) has no uid`);
  if (typeof resourceVersion !== 'string') throw new Error(`(${name}) has no resourceVersion`);
  const createdAt = new Date(String(creationTimestamp));
  if (Number.isNaN(createdAt.getTime())) throw new Error(`(${name}) has no creationTimestamp`);
  const status = partOf(object, 'status');
  const { nodeName } = partOf(object, 'spec');
  const labels = partOf(metadata, 'labels');
  const templateHash = labels['pod-template-hash'];
  return {
    member: {
      name,
      uid,
      isReady: isReady(status),
      isTerminating: deletionTimestamp !== undefined && deletionTimestamp !== null,
      createdAt,
      ...(typeof templateHash === 'string' && { templateHash }),
      ...(typeof nodeName === 'string' && nodeName !== '' && { node: nodeName }),
    },
    isOver: isOver(status),
    endedContainers: isJsonObject(object) ? endedContainers(object) : [],
    labels,
    resourceVersion,
  };
}

/** By the status of a pod. */
export function isReady({ conditions }: JsonDocument): boolean {
  if (!Array.isArray(conditions)) return false;
  const ready = conditions.filter(isJsonObject).find(({ type }) => type === 'Ready');
  return ready?.['status'] === 'True';
}

/** By the status of a pod: {@link ObservedPod.isOver}. */
export function isOver({ phase }: JsonDocument): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/**
 * Labels that differ between the pods of one deployment: those that controllers and admission add to each pod or to each
 * revision, and those that charts and people change with every release.
 */
const NOT_OF_THE_DEPLOYMENT: ReadonlySet<string> = new Set([
  'pod-template-hash',
  'pod-template-generation',
  'controller-revision-hash',
  'rollouts-pod-template-hash',
  'statefulset.kubernetes.io/pod-name',
  'apps.kubernetes.io/pod-index',
  'controller-uid',
  'job-name',
  'helm.sh/chart',
]);
const PREFIXES_NOT_OF_THE_DEPLOYMENT = [
  'batch.kubernetes.io/',
  'topology.kubernetes.io/',
  'nestjs-leader-election/',
];

/** What follows the slash in the name of a label, or all of it: `tags.datadoghq.com/version` and others. */
const NAMES_NOT_OF_THE_DEPLOYMENT: ReadonlySet<string> = new Set(['version', 'canonical-revision']);

/** The selector of the pods of the same deployment; undefined if no label is left that could tell them from others. */
export function selectorFor(labels: JsonDocument): string | undefined {
  const own = Object.entries(labels).filter(
    ([name]) =>
      !NOT_OF_THE_DEPLOYMENT.has(name) &&
      !NAMES_NOT_OF_THE_DEPLOYMENT.has(name.split('/').at(-1)!) &&
      !PREFIXES_NOT_OF_THE_DEPLOYMENT.some((prefix) => name.startsWith(prefix)),
  );
  if (own.length === 0) return undefined;
  return own.map(([name, value]) => `${name}=${String(value)}`).join(',');
}
