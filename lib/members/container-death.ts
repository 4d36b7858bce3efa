import { readFileSync } from 'node:fs';
import type { ContainerEnd, ContainerMark, ContainerUnknown } from '../core/container.js';
import { isJsonObject, type JsonDocument, partOf } from '../core/json-document.js';

/**
 * What a pod's status proves about the death of a container (R24). The kubelet reports a container as terminated only
 * after the runtime has; and with the main process of a private PID namespace the kernel ends all others. That such a
 * report means the end of every process is the assumption H7: a runtime that lost its monitor breaks it, and so does
 * whoever may patch `pods/status`.
 */

/** What a process knows of itself without asking the API server. */
export interface ProcessFacts {
  readonly platform: string;
  /** The uid of its pod, of the token that is bound to it or of the environment; undefined if nothing tells it. */
  readonly podUid: string | undefined;
  /** When the first process of this PID namespace began, by the node's wall clock; undefined if unknown. */
  readonly firstProcessStartMs: number | undefined;
}

/** Only these runtimes are known to report the end of a container after that of its processes. */
const CONTAINER_ID = /^(?:containerd|cri-o):\/\/[0-9a-f]{64}$/;

/** The reasons that a runtime gives; others are the kubelet's guesses about containers that it could not look up. */
const ENDED_BY_RUNTIME = new Set(['Completed', 'Error', 'OOMKilled']);

/** What containerd reports when it lost the process that knew the exit code. */
const LOST_EXIT_CODE = 255;

/** The status is written in whole seconds, and the runtime starts the process a moment before or after it looks. */
const START_TOLERANCE_MS = 1_500;

const STATUS_LISTS = ['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses'];

/** The annotation of a static pod's mirror, whose uid is not that of the pod that runs. */
const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

/**
 * Finds the own container in the status of the own pod. A status may be that of a predecessor in the same pod, so it
 * counts only if the container began together with this PID namespace.
 */
export function ownContainer(
  pod: JsonDocument,
  facts: ProcessFacts,
): ContainerMark | ContainerUnknown {
  const obstacle = obstacleIn(pod, facts);
  if (obstacle !== undefined) return { why: obstacle, mayPass: false };
  const { podUid, firstProcessStartMs } = facts;
  const found = statusesOf(pod).filter((status) => beganAt(status, firstProcessStartMs!));
  if (found.length !== 1) {
    const why = `${found.length} running containers of the pod's status began when process 1 did, and not one`;
    return { why, mayPass: found.length === 0 };
  }
  const { name, containerID } = found[0]!;
  if (typeof containerID !== 'string' || !CONTAINER_ID.test(containerID)) {
    const why = `the container ID ${String(containerID)} is not one of containerd or CRI-O`;
    return { why, mayPass: typeof containerID !== 'string' };
  }
  return { podUid: podUid!, containerName: String(name), containerId: containerID };
}

/** Why no status of this pod could tell it. */
function obstacleIn(pod: JsonDocument, facts: ProcessFacts): string | undefined {
  const { platform, podUid, firstProcessStartMs } = facts;
  if (platform !== 'linux') return `processes on ${platform} have no PID namespace`;
  if (podUid === undefined)
    return 'neither the service account token nor POD_UID tells the uid of this pod';
  if (firstProcessStartMs === undefined) return 'the start of process 1 cannot be read from /proc';
  const { uid, annotations } = partOf(pod, 'metadata');
  if (uid !== podUid)
    return `the pod that was read is another one (${String(uid)} instead of ${podUid})`;
  if (isJsonObject(annotations) && MIRROR_ANNOTATION in annotations)
    return 'static pods are restarted under one uid';
  return sharedProcesses(partOf(pod, 'spec'));
}

/** The containers of a pod whose end is proved. Phase, absence, deletion, NotReady and restart counts prove nothing. */
export function endedContainers(pod: JsonDocument): ContainerEnd[] {
  const { uid } = partOf(pod, 'metadata');
  if (typeof uid !== 'string') return [];
  return statusesOf(pod).flatMap((status) =>
    ['state', 'lastState'].flatMap((when) =>
      endIn(partOf(partOf(status, when), 'terminated'), uid),
    ),
  );
}

function endIn(terminated: JsonDocument, podUid: string): ContainerEnd[] {
  // The ID beside the state is that of the newest container, and stays when the kubelet has lost track of it.
  const { containerID, reason, exitCode, finishedAt } = terminated;
  if (typeof containerID !== 'string' || !CONTAINER_ID.test(containerID)) return [];
  if (typeof reason !== 'string' || !ENDED_BY_RUNTIME.has(reason)) return [];
  if (!Number.isInteger(exitCode) || exitCode === LOST_EXIT_CODE) return [];
  const finishedAtMs = timeOf(finishedAt);
  if (Number.isNaN(finishedAtMs)) return [];
  return [{ podUid, containerId: containerID, finishedAtMicros: finishedAtMs * 1_000 }];
}

function sharedProcesses(spec: JsonDocument): string | undefined {
  if (spec['shareProcessNamespace'] === true) return 'the pod sets shareProcessNamespace';
  if (spec['hostPID'] === true) return 'the pod sets hostPID';
  if (spec['runtimeClassName'] != null) return 'the pod sets runtimeClassName';
  return undefined;
}

function beganAt(status: JsonDocument, startMs: number): boolean {
  const startedAtMs = timeOf(partOf(partOf(status, 'state'), 'running')['startedAt']);
  return Math.abs(startedAtMs - startMs) <= START_TOLERANCE_MS;
}

function statusesOf(pod: JsonDocument): JsonDocument[] {
  const status = partOf(pod, 'status');
  return STATUS_LISTS.flatMap((list) => {
    const entries = status[list];
    return Array.isArray(entries) ? entries.filter(isJsonObject) : [];
  });
}

function timeOf(value: unknown): number {
  return typeof value === 'string' ? Date.parse(value) : NaN;
}

/** The clock ticks of `/proc` are 100 a second on every architecture that Node.js runs on. */
const TICKS_PER_SECOND = 100;

/** When process 1 of this PID namespace began, by the node's wall clock; undefined where `/proc` does not tell. */
export function firstProcessStartMs(read = (path: string) => readFileSync(path, 'utf8')) {
  try {
    // The name of the program comes second, in brackets, and may hold anything.
    const fields = read('/proc/1/stat').split(')').at(-1)!.trim().split(' ');
    const startTicks = Number(fields[19]);
    const bootSeconds = Number(/^btime (\d+)$/m.exec(read('/proc/stat'))?.[1]);
    const startMs = (bootSeconds + startTicks / TICKS_PER_SECOND) * 1_000;
    return Number.isFinite(startMs) ? startMs : undefined;
  } catch {
    // Another platform, or a /proc that hides the first process.
    return undefined;
  }
}

/** Asked at each use, as the process may have been restored from a checkpoint since the last one (R24). */
export function factsOfThisProcess(podUid: string | undefined): ProcessFacts {
  return { platform: process.platform, podUid, firstProcessStartMs: firstProcessStartMs() };
}
