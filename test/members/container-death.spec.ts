import { describe, expect, it } from '@jest/globals';
import type { JsonDocument } from '../../lib/core/json-document.js';
import {
  endedContainers,
  firstProcessStartMs,
  ownContainer,
} from '../../lib/members/container-death.js';

const ID = `containerd://${'a'.repeat(64)}`;
const OTHER_ID = `containerd://${'b'.repeat(64)}`;
const START_MS = Date.UTC(2026, 0, 1, 12, 0, 0, 400);
const running = (startedAt = '2026-01-01T12:00:00Z') => ({ running: { startedAt } });
const terminated = (change: JsonDocument = {}) => ({
  terminated: {
    containerID: ID,
    reason: 'Error',
    exitCode: 137,
    startedAt: '2026-01-01T11:00:00Z',
    finishedAt: '2026-01-01T12:30:00Z',
    ...change,
  },
});

interface PodChange {
  readonly metadata?: JsonDocument;
  readonly spec?: JsonDocument;
  readonly statuses?: readonly JsonDocument[];
  readonly status?: JsonDocument;
}
const pod = ({ metadata, spec, statuses, status }: PodChange = {}): JsonDocument => ({
  metadata: { name: 'web-1', uid: 'uid-1', ...metadata },
  spec: { containers: [{ name: 'app' }], ...spec },
  status: {
    phase: 'Running',
    containerStatuses: statuses ?? [{ name: 'app', containerID: ID, state: running() }],
    ...status,
  },
});
const FACTS = { platform: 'linux', podUid: 'uid-1', firstProcessStartMs: START_MS };

describe('when a holder looks for its own container', () => {
  it('finds the one that began with process 1', () => {
    expect(ownContainer(pod(), FACTS)).toEqual({
      podUid: 'uid-1',
      containerName: 'app',
      containerId: ID,
    });
  });

  it('finds it among containers that began at other times', () => {
    const statuses = [
      { name: 'proxy', containerID: OTHER_ID, state: running('2026-01-01T11:59:50Z') },
      { name: 'app', containerID: ID, state: running() },
    ];
    expect(ownContainer(pod({ statuses }), FACTS)).toMatchObject({ containerId: ID });
  });

  it.each<[string, PodChange, Partial<typeof FACTS>, RegExp]>([
    [
      'the status is still that of its predecessor in the pod',
      { statuses: [{ name: 'app', containerID: ID, state: running('2026-01-01T11:58:00Z') }] },
      {},
      /^0 running containers/,
    ],
    [
      'the status says that the container has ended',
      { statuses: [{ name: 'app', containerID: ID, state: terminated() }] },
      {},
      /^0 running containers/,
    ],
    [
      'two containers began at the same time',
      {
        statuses: [
          { name: 'app', containerID: ID, state: running() },
          { name: 'proxy', containerID: OTHER_ID, state: running('2026-01-01T12:00:01Z') },
        ],
      },
      {},
      /^2 running containers/,
    ],
    [
      'a debug container began at the same time',
      {
        status: {
          ephemeralContainerStatuses: [{ name: 'debug', containerID: OTHER_ID, state: running() }],
        },
      },
      {},
      /^2 running containers/,
    ],
    ['the pod is another of the same name', { metadata: { uid: 'uid-2' } }, {}, /another one/],
    ['nothing tells the uid of the pod', {}, { podUid: undefined as never }, /POD_UID/],
    ['the start of process 1 is unknown', {}, { firstProcessStartMs: undefined as never }, /proc/],
    ['this is not Linux', {}, { platform: 'win32' }, /win32/],
    ['processes are shared in the pod', { spec: { shareProcessNamespace: true } }, {}, /share/],
    ['processes are shared with the node', { spec: { hostPID: true } }, {}, /hostPID/],
    ['a runtime class is set', { spec: { runtimeClassName: 'kata' } }, {}, /runtimeClassName/],
    [
      'it is a static pod',
      { metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } } },
      {},
      /static/,
    ],
    [
      'the runtime is an unknown one',
      { statuses: [{ name: 'app', containerID: `docker://${'a'.repeat(64)}`, state: running() }] },
      {},
      /docker/,
    ],
    [
      'the container has no ID yet',
      { statuses: [{ name: 'app', state: running() }] },
      {},
      /undefined/,
    ],
    ['the status is nonsense', { status: { containerStatuses: 'x' } }, {}, /^0 running/],
  ])('names none, with the reason, where %s', (_case, change, facts, why) => {
    const found = ownContainer(pod(change), { ...FACTS, ...facts });
    expect(found).toMatchObject({ why: expect.stringMatching(why) });
  });

  it.each([
    ['no container that began with it yet', true, [{ name: 'app', containerID: ID, state: {} }]],
    ['no ID of it yet', true, [{ name: 'app', state: running() }]],
    [
      'two that began with it',
      false,
      [ID, OTHER_ID].map((containerID) => ({ name: 'app', containerID, state: running() })),
    ],
    ['an unknown runtime', false, [{ name: 'app', containerID: 'x', state: running() }]],
  ])('says whether a later status may tell it: %s', (_case, mayPass, statuses) => {
    expect(ownContainer(pod({ statuses }), FACTS)).toMatchObject({ mayPass });
  });
});

describe('when the status of a pod is read for proof of death', () => {
  const END = {
    podUid: 'uid-1',
    containerId: ID,
    finishedAtMicros: Date.UTC(2026, 0, 1, 12, 30) * 1_000,
  };

  it.each<[string, JsonDocument]>([
    ['a container that has ended', { name: 'app', containerID: ID, state: terminated() }],
    [
      'a container that was restarted',
      { name: 'app', containerID: OTHER_ID, state: running(), lastState: terminated() },
    ],
    [
      'a container that succeeded',
      { name: 'app', state: terminated({ reason: 'Completed', exitCode: 0 }) },
    ],
    ['a container out of memory', { name: 'app', state: terminated({ reason: 'OOMKilled' }) }],
  ])('%s is proved to have ended', (_case, status) => {
    expect(endedContainers(pod({ statuses: [status] }))).toEqual([END]);
  });

  it.each<[string, JsonDocument]>([
    [
      'the kubelet could not look the container up, and only the ID beside the state is its',
      {
        containerID: ID,
        state: terminated({ containerID: undefined, reason: 'ContainerStatusUnknown' }),
      },
    ],
    ['the inner ID is missing', { containerID: ID, state: terminated({ containerID: undefined }) }],
    [
      'the reason is a guess of the kubelet',
      { state: terminated({ reason: 'ContainerStatusUnknown' }) },
    ],
    ['the reason is unknown', { state: terminated({ reason: 'Unknown' }) }],
    ['the reason is missing', { state: terminated({ reason: undefined }) }],
    ['the runtime has lost the exit code', { state: terminated({ exitCode: 255 }) }],
    ['there is no exit code', { state: terminated({ exitCode: null }) }],
    ['there is no end', { state: terminated({ finishedAt: null }) }],
    ['the end is nonsense', { state: terminated({ finishedAt: 'yesterday' }) }],
    ['the ID is that of an unknown runtime', { state: terminated({ containerID: 'docker://1' }) }],
    ['the container runs', { containerID: ID, state: running() }],
    [
      'the container waits',
      { containerID: ID, state: { waiting: { reason: 'CrashLoopBackOff' } } },
    ],
  ])('nothing is proved where %s', (_case, status) => {
    expect(endedContainers(pod({ statuses: [{ name: 'app', ...status }] }))).toEqual([]);
  });

  it.each<[string, PodChange]>([
    ['the phase is Failed', { status: { phase: 'Failed', reason: 'NodeLost' } }],
    ['the phase is Succeeded', { status: { phase: 'Succeeded' } }],
    ['the pod is being deleted', { metadata: { deletionTimestamp: '2026-01-01T12:00:00Z' } }],
    ['the pod is not ready', { status: { conditions: [{ type: 'Ready', status: 'False' }] } }],
    [
      'the restart count is high',
      { statuses: [{ name: 'app', restartCount: 9, containerID: ID, state: running() }] },
    ],
  ])('nothing is proved by the rest of the pod: %s', (_case, change) => {
    expect(endedContainers(pod(change))).toEqual([]);
  });
});

describe('when the start of process 1 is read', () => {
  const files =
    (stat: string, system = 'cpu 1 2\nbtime 1767225600\nprocesses 1\n') =>
    (path: string) =>
      path === '/proc/1/stat' ? stat : system;
  const stat = (name: string, ticks: number) =>
    `1 (${name}) S 0 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 ${ticks} 1 1`;

  it('is the boot time and the ticks since', () => {
    expect(firstProcessStartMs(files(stat('node', 250)))).toBe(1_767_225_602_500);
  });

  it('is not confused by the name of a program', () => {
    expect(firstProcessStartMs(files(stat('a) S 1 (b', 250)))).toBe(1_767_225_602_500);
  });

  it.each([
    ['hidden', '', undefined],
    ['without a boot time', stat('node', 250), 'cpu'],
  ])('is unknown where /proc is %s', (_case, first, system) => {
    expect(firstProcessStartMs(files(first, system))).toBeUndefined();
  });

  it('is unknown where there is no /proc', () => {
    const missing = () => {
      throw new Error('ENOENT');
    };
    expect(firstProcessStartMs(missing)).toBeUndefined();
  });
});
