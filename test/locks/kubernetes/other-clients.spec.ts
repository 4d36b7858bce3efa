import { describe, expect, it } from '@jest/globals';
import type { UncleanKind } from '../../../lib/core/election-state.js';
import type { LeaseRecord, ObservedLease } from '../../../lib/core/lease-record.js';
import { configMapAddress } from '../../../lib/kubernetes/object-request.js';
import { ConfigMapRecordCodec } from '../../../lib/locks/kubernetes/config-map-record.codec.js';
import { encodeReplacement } from '../../../lib/locks/kubernetes/lease-record.codec.js';
import { MachineRun } from '../../support/machine-run.js';
import { NOW_MICROS } from '../lease-records.js';
import { ADDRESS, decoded, wire } from './wire-lease.js';

const NOW = '2026-01-02T03:04:05.678901Z';
const EARLIER = '2026-01-02T03:00:00.000000Z';
const EARLIER_MICROS = NOW_MICROS - 245_678_901;
const POD = 'plan-7c9d5b6f4-x2xkq';

interface Recorded {
  readonly object: object;
  /** What is read of it, as far as it matters. */
  readonly record: Partial<LeaseRecord>;
  /** When a candidate whose own leases last 15 s takes it, after it has first seen it. */
  readonly takenAfterMs: number;
  /** What it says of the takeover, if anything. */
  readonly was?: UncleanKind;
}

/** When a candidate that sees nothing else acquires, and its run. */
function taken(lease: ObservedLease): { readonly afterMs: number; readonly run: MachineRun } {
  const run = new MachineRun().start().reads(lease);
  if (run.state.pending === null) run.say({ kind: 'watch-opened' }).reads(lease);
  while (run.state.pending?.purpose !== 'acquire') run.wake();
  return { afterMs: run.now, run };
}

/** What a Lease holds after other clients have written it, as the API server answers it. */
const LEASES: [string, Recorded][] = [
  [
    'client-go as the holder',
    {
      object: wire({
        holderIdentity: `${POD}_8a3d3c1e-6f0f-4c52-9f7c-3f1f0f7d6b1a`,
        leaseDurationSeconds: 30,
        acquireTime: EARLIER,
        renewTime: NOW,
        leaseTransitions: 4,
      }),
      record: {
        leaseDurationSeconds: 30,
        acquireTimeMicros: EARLIER_MICROS,
        renewTimeMicros: NOW_MICROS,
        leaseTransitions: 4,
      },
      takenAfterMs: 30_000,
    },
  ],
  [
    "client-go's release",
    {
      object: wire({
        holderIdentity: '',
        leaseDurationSeconds: 1,
        acquireTime: NOW,
        renewTime: NOW,
        leaseTransitions: 4,
      }),
      record: { holderIdentity: '', leaseTransitions: 4 },
      takenAfterMs: 0,
    },
  ],
  [
    "fabric8's creation, which counts no transition",
    {
      object: wire({
        holderIdentity: 'operator-1',
        leaseDurationSeconds: 20,
        acquireTime: NOW,
        renewTime: NOW,
        leaseTransitions: 0,
      }),
      record: { holderIdentity: 'operator-1', leaseTransitions: 0 },
      takenAfterMs: 20_000,
    },
  ],
  [
    "fabric8's release, with an empty holder",
    {
      object: wire({
        holderIdentity: '',
        leaseDurationSeconds: 1,
        acquireTime: NOW,
        renewTime: NOW,
        leaseTransitions: 0,
      }),
      record: { holderIdentity: '', leaseTransitions: 0 },
      takenAfterMs: 0,
    },
  ],
  [
    "fabric8's release of later versions, whose patch leaves the holder in place",
    {
      object: wire({
        holderIdentity: 'operator-1',
        leaseDurationSeconds: 1,
        acquireTime: NOW,
        renewTime: NOW,
        leaseTransitions: 2,
      }),
      record: { holderIdentity: 'operator-1', leaseDurationSeconds: 1 },
      takenAfterMs: 1_000,
    },
  ],
  [
    'Spring Cloud Kubernetes as the holder, by the name of the pod',
    {
      object: wire({
        holderIdentity: POD,
        leaseDurationSeconds: 15,
        acquireTime: EARLIER,
        renewTime: NOW,
        leaseTransitions: 3,
      }),
      record: { holderIdentity: POD, leaseTransitions: 3 },
      takenAfterMs: 15_000,
    },
  ],
  [
    "Spring Cloud Kubernetes' release, which removes the holder",
    {
      object: wire({
        leaseDurationSeconds: 1,
        acquireTime: NOW,
        renewTime: NOW,
        leaseTransitions: 3,
      }),
      record: { holderIdentity: '', leaseTransitions: 3 },
      takenAfterMs: 0,
    },
  ],
  [
    'the Java client of Kubernetes, whose times are whole milliseconds',
    {
      object: wire(
        {
          holderIdentity: POD,
          leaseDurationSeconds: 10,
          acquireTime: '2026-01-02T03:04:05.678000Z',
          renewTime: '2026-01-02T03:04:05.678000Z',
          leaseTransitions: 0,
        },
        { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: POD, uid: 'p-1' }] },
      ),
      record: { acquireTimeMicros: NOW_MICROS - 901, renewTimeMicros: NOW_MICROS - 901 },
      takenAfterMs: 10_000,
    },
  ],
  [
    "Apache Camel's creation, which has no transitions",
    {
      object: wire(
        { holderIdentity: POD, leaseDurationSeconds: 60, acquireTime: NOW, renewTime: NOW },
        { labels: { provider: 'camel' } },
      ),
      record: { holderIdentity: POD, leaseTransitions: 0 },
      takenAfterMs: 60_000,
    },
  ],
  [
    'Apache Camel after it has yielded, which leaves the transitions alone',
    {
      object: wire({ leaseTransitions: 2 }, { labels: { provider: 'camel' } }),
      record: { holderIdentity: '', leaseDurationSeconds: null, renewTimeMicros: null },
      takenAfterMs: 0,
      was: 'emptied',
    },
  ],
  [
    'Apache Camel after it has yielded its first term, which leaves nothing',
    {
      object: wire({}, { labels: { provider: 'camel' } }),
      record: { holderIdentity: '', leaseTransitions: 0 },
      takenAfterMs: 0,
      was: 'unheld',
    },
  ],
];

describe('when another client has written the Lease', () => {
  it.each(LEASES)('reads the record, and takes it over in time: %s', (_, recorded) => {
    const lease = decoded(recorded.object);
    expect(lease.record).toMatchObject(recorded.record);
    const { afterMs, run } = taken(lease);
    expect(afterMs).toBe(recorded.takenAfterMs);
    expect(run.written.leaseTransitions).toBe(lease.record.leaseTransitions + 1);
    run.applied(43);
    expect(run.of('unclean-acquisition').map(({ was }) => was)).toEqual(
      recorded.was === undefined ? [] : [recorded.was],
    );
  });

  it.each(LEASES)('keeps what it does not know of the object: %s', (_, { object }) => {
    const foreign = {
      annotations: { 'example.com/note': 'kept' },
      finalizers: ['example.com/kept'],
      ...(object as { metadata: object }).metadata,
    };
    const lease = decoded({ ...object, metadata: foreign });
    const body = encodeReplacement(taken(lease).run.written, lease, ADDRESS);
    expect(body['metadata']).toMatchObject(foreign);
  });
});

const CLIENT_GO = 'control-plane.alpha.kubernetes.io/leader';
const CONFIG_MAP = configMapAddress('default', 'leaders');

function configMap(record: object | undefined, rest: object = {}): object {
  const annotations = record === undefined ? {} : { [CLIENT_GO]: JSON.stringify(record) };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'leaders',
      namespace: 'default',
      uid: 'u-1',
      resourceVersion: '42',
      annotations,
    },
    ...rest,
  };
}

/** What a ConfigMap holds, with the record in the annotation that client-go has chosen. */
const CONFIG_MAPS: [string, Recorded][] = [
  [
    'client-go, whose times are whole seconds',
    {
      object: configMap({
        holderIdentity: 'a',
        leaseDurationSeconds: 30,
        acquireTime: '2026-01-02T03:00:00Z',
        renewTime: '2026-01-02T03:04:05Z',
        leaderTransitions: 3,
        strategy: '',
        preferredHolder: '',
      }),
      record: {
        acquireTimeMicros: EARLIER_MICROS,
        renewTimeMicros: NOW_MICROS - 678_901,
        leaseTransitions: 3,
        coordination: undefined,
      },
      takenAfterMs: 30_000,
    },
  ],
  [
    "client-go's release",
    {
      object: configMap({
        holderIdentity: '',
        leaseDurationSeconds: 1,
        acquireTime: '2026-01-02T03:04:05Z',
        renewTime: '2026-01-02T03:04:05Z',
        leaderTransitions: 3,
      }),
      record: { holderIdentity: '' },
      takenAfterMs: 0,
    },
  ],
  [
    'fabric8 and Spring Cloud Kubernetes, which have another name for the duration',
    {
      object: configMap({
        holderIdentity: POD,
        leaseDuration: 40,
        acquireTime: NOW,
        renewTime: NOW,
        leaderTransitions: 0,
      }),
      record: { leaseDurationSeconds: 40, renewTimeMicros: NOW_MICROS },
      takenAfterMs: 40_000,
    },
  ],
  [
    'fabric8 with a part of a second',
    {
      object: configMap({ holderIdentity: POD, leaseDuration: 20.5, renewTime: NOW }),
      record: { leaseDurationSeconds: 21 },
      takenAfterMs: 21_000,
    },
  ],
  [
    "fabric8's release",
    {
      object: configMap({
        holderIdentity: null,
        leaseDuration: 1,
        acquireTime: NOW,
        renewTime: NOW,
        leaderTransitions: 5,
      }),
      record: { holderIdentity: '', leaseTransitions: 5 },
      takenAfterMs: 0,
    },
  ],
  [
    "Spring's first integration, which has no record but a name",
    {
      object: configMap(undefined, { data: { 'leader.id.other': POD } }),
      record: { holderIdentity: '' },
      takenAfterMs: 0,
      was: 'unheld',
    },
  ],
  [
    'Apache Camel, which has no record but a name and a time',
    {
      object: configMap(undefined, {
        data: { 'leader.pod.plan': POD, 'leader.local.timestamp.plan': '2026-01-02T03:04:05Z' },
      }),
      record: { holderIdentity: '' },
      takenAfterMs: 0,
      was: 'unheld',
    },
  ],
];

describe('when another client has written the ConfigMap', () => {
  const codec = new ConfigMapRecordCodec({
    leaseName: 'plan',
    role: 'plan',
    isClientGo: true,
    podName: undefined,
  });
  const read = (object: object): ObservedLease => {
    const found = codec.decode(object, CONFIG_MAP);
    if (found.kind === 'unusable') throw new Error(found.problem);
    return found.lease;
  };

  it.each(CONFIG_MAPS)(
    'reads the record, takes it over in time and keeps the rest: %s',
    (_, recorded) => {
      const lease = read(recorded.object);
      expect(lease.record).toMatchObject(recorded.record);
      const { afterMs, run } = taken(lease);
      expect(afterMs).toBe(recorded.takenAfterMs);
      const body = codec.replaced(run.written, lease, CONFIG_MAP);
      const { data = {} } = recorded.object as { data?: object };
      expect(body['data']).toMatchObject({ ...data, 'leader.id.plan': 'me' });
      run.applied(43);
      expect(run.of('unclean-acquisition').map(({ was }) => was)).toEqual(
        recorded.was === undefined ? [] : [recorded.was],
      );
      expect(read(body).record.leaseDurationSeconds).toBe(15);
    },
  );
});
