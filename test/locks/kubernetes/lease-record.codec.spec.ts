import { describe, it, expect } from '@jest/globals';
import type { LeaseRecord } from '../../../lib/core/lease-record.js';
import {
  APPLICATION_ANNOTATION,
  CONTAINER_ANNOTATION,
  CROWD_ANNOTATION,
  MEMBER_ANNOTATION,
  RELEASED_ANNOTATION,
  GAVE_UP_ANNOTATION,
  SUCCESSOR_ANNOTATION,
} from '../../../lib/locks/kubernetes/lease-object.js';
import {
  decodeLease,
  encodeNewLease,
  encodeReplacement,
} from '../../../lib/locks/kubernetes/lease-record.codec.js';
import { formatMicroTime, parseMicroTime } from '../../../lib/locks/record-text.js';
import { EMPTY_RECORD, NOW_MICROS } from '../lease-records.js';
import { ADDRESS, decoded, wire } from './wire-lease.js';

const RECORD: LeaseRecord = {
  holderIdentity: 'pod-1_abc',
  leaseDurationSeconds: 15,
  acquireTimeMicros: NOW_MICROS,
  renewTimeMicros: NOW_MICROS + 1,
  leaseTransitions: 3,
  releasedTransitions: null,
};

describe('MicroTime', () => {
  it.each([
    [0, '1970-01-01T00:00:00.000000Z'],
    [NOW_MICROS, '2026-01-02T03:04:05.678901Z'],
    [NOW_MICROS - 678_901, '2026-01-02T03:04:05.000000Z'],
    [-1, '1969-12-31T23:59:59.999999Z'],
  ])('when %d microseconds are written, has exactly six fraction digits', (micros, text) => {
    expect(formatMicroTime(micros)).toBe(text);
    expect(parseMicroTime(text)).toBe(micros);
  });

  it.each([
    ['no fraction', '2026-01-02T03:04:05Z', NOW_MICROS - 678_901],
    ['three digits', '2026-01-02T03:04:05.678Z', NOW_MICROS - 901],
    ['nine digits', '2026-01-02T03:04:05.678901234Z', NOW_MICROS],
    ['an offset to the east', '2026-01-02T05:04:05.678901+02:00', NOW_MICROS],
    ['an offset to the west', '2026-01-01T21:34:05.678901-05:30', NOW_MICROS],
    ['lower case', '2026-01-02t03:04:05.678901z', NOW_MICROS],
  ])('when a time with %s is read, is understood', (_, text, micros) => {
    expect(parseMicroTime(text)).toBe(micros);
  });

  it.each([
    ['empty', ''],
    ['words', 'yesterday'],
    ['a day that does not exist', '2026-02-30T03:04:05Z'],
    ['an hour that does not exist', '2026-01-02T25:04:05Z'],
    ['without offset', '2026-01-02T03:04:05'],
    ["Go's zero time, which no number holds to the microsecond", '0001-01-01T00:00:00Z'],
    ['a number', 17],
    ['null', null],
    ['an object', {}],
  ])('when the value is %s, is null', (_, value) => {
    expect(parseMicroTime(value)).toBeNull();
  });
});

const CONTAINER = {
  holderIdentity: RECORD.holderIdentity,
  transitions: RECORD.leaseTransitions,
  acquireTimeMicros: RECORD.acquireTimeMicros!,
  podUid: 'uid-of-a-pod',
  containerName: 'app',
  containerId: `containerd://${'a'.repeat(64)}`,
};
/** As the holder of `RECORD` writes it. */
const NAMED = encodeNewLease({ ...RECORD, container: CONTAINER }, ADDRESS)['metadata'] as {
  readonly annotations: Readonly<Record<string, string>>;
};
const CONTAINER_TEXT = NAMED.annotations[CONTAINER_ANNOTATION]!;

describe('when a record names the container of its holder', () => {
  const specOf = (record: LeaseRecord) => encodeNewLease(record, ADDRESS)['spec'] as object;
  const containerIn = (record: LeaseRecord, annotation: unknown) =>
    decoded(wire(specOf(record), { annotations: { [CONTAINER_ANNOTATION]: annotation } })).record
      .container;

  it('writes it after what tells the acquisition', () => {
    expect(CONTAINER_TEXT).toBe(
      `pod-1_abc/3/2026-01-02T03:04:05.678901Z/uid-of-a-pod/app/containerd://${'a'.repeat(64)}`,
    );
  });

  it.each<[string, Partial<LeaseRecord>]>([
    ['this acquisition', {}],
    ['this acquisition, renewed since', { renewTimeMicros: NOW_MICROS + 9_000_000 }],
    [
      'another holder, whose client has kept what it does not know',
      { holderIdentity: 'client-go' },
    ],
  ])('reads it with the acquisition that it is of on the record of %s', (_, change) => {
    expect(containerIn({ ...RECORD, ...change }, CONTAINER_TEXT)).toEqual(CONTAINER);
  });

  it('reads it where the identity of the holder has slashes', () => {
    const text = CONTAINER_TEXT.replace('pod-1_abc', 'a/3/b');
    expect(containerIn(RECORD, text)).toEqual({ ...CONTAINER, holderIdentity: 'a/3/b' });
  });

  it.each<[string, unknown]>([
    ['another runtime', CONTAINER_TEXT.replace('containerd', 'docker')],
    ['an id that is cut off', CONTAINER_TEXT.slice(0, -1)],
    ['an id and more', `${CONTAINER_TEXT}a`],
    ['no container', CONTAINER_TEXT.replace('/app/', '/')],
    ['no acquire time', CONTAINER_TEXT.replace('2026-01-02', '2026-13-02')],
    ['no holder', CONTAINER_TEXT.replace('pod-1_abc/', '/')],
    ['nothing', ''],
    ['a number in place of text', 3],
  ])('reads none from a text with %s', (_, annotation) => {
    expect(containerIn(RECORD, annotation)).toBeUndefined();
  });

  it('takes it off when the next record names none', () => {
    const before = decoded(
      wire(specOf(RECORD), { annotations: { ...NAMED.annotations, kept: 'x' } }),
    );
    expect(before.record.container).toEqual(CONTAINER);
    const next = encodeReplacement({ ...RECORD, leaseTransitions: 4 }, before, ADDRESS);
    expect((next['metadata'] as { annotations: object }).annotations).toEqual({ kept: 'x' });
  });
});

describe('decodeLease', () => {
  it.each([
    ['the holder', '@acme/plans (term 3)', '@acme/plans'],
    ['a former holder, kept by a version that does not know it', '@acme/plans (term 2)', undefined],
    ['nobody', '@acme/plans', undefined],
    ['a term without a name', ' (term 3)', undefined],
  ])('when the application is that of %s, reads it as such', (_, annotation, application) => {
    const annotations = { [APPLICATION_ANNOTATION]: annotation };
    const lease = decoded(wire({ leaseTransitions: 3 }, { annotations }));
    expect(lease.record.application).toBe(application);
  });

  it.each([
    ['a holder', '2:4', { candidates: 2, stepMs: 4 }],
    ['a holder that has measured', '97.25:12.5', { candidates: 97.25, stepMs: 12.5 }],
    ['too few', '0.5:4', undefined],
    ['too many', '4001:4', undefined],
    ['a step that no holder measures', '2:3', undefined],
    ['a step that is longer than any window', '2:5001', undefined],
    ['one number', '2', undefined],
    ['a negative number', '-2:4', undefined],
    ['something infinite', 'Infinity:4', undefined],
    ['words', 'many:often', undefined],
    ['nothing', '', undefined],
    ['a number in place of text', 2, undefined],
  ])('when the crowd is that of %s, reads it as such', (_, annotation, crowd) => {
    const lease = decoded(wire({}, { annotations: { [CROWD_ANNOTATION]: annotation } }));
    expect(lease.record.crowd).toEqual(crowd);
  });

  it.each([
    ['a release', '3:uid-1', { transitions: 3, uid: 'uid-1' }],
    ['a release that names an identity', '3:pod_1:2', { transitions: 3, uid: 'pod_1:2' }],
    ['no term', 'uid-1', undefined],
    ['no member', '3:', undefined],
    ['a negative term', '-3:uid-1', undefined],
    ['a text without end', `3:${'x'.repeat(1_025)}`, undefined],
    ['a number in place of text', 3, undefined],
  ])('when the successor is that of %s, reads it as such', (_, annotation, successor) => {
    const lease = decoded(wire({}, { annotations: { [SUCCESSOR_ANNOTATION]: annotation } }));
    expect(lease.record.successor).toEqual(successor);
  });

  it.each([
    ['a member', '3:1:uid-1', { transitions: 3, count: 1, uid: 'uid-1' }],
    ['an identity', '3:12:pod_1:2', { transitions: 3, count: 12, uid: 'pod_1:2' }],
    ['nobody', '3:1:', undefined],
    ['a member that has never given up', '3:0:uid-1', undefined],
    ['a member that has done nothing else', '3:100:uid-1', undefined],
    ['a member in no term', '1:uid-1', undefined],
    ['a text without end', `3:1:${'x'.repeat(1_025)}`, undefined],
    ['a number in place of text', 3, undefined],
  ])('when who gave up is %s, reads it as such', (_, annotation, gaveUp) => {
    const lease = decoded(wire({}, { annotations: { [GAVE_UP_ANNOTATION]: annotation } }));
    expect(lease.record.gaveUp).toEqual(gaveUp);
  });

  it.each([
    ['the holder', 'uid-1 (term 3)', 'uid-1'],
    ['a former holder, kept by a version that does not know it', 'uid-1 (term 2)', undefined],
    ['no term', 'uid-1', undefined],
  ])('when the member is that of %s, reads it as such', (_, annotation, memberUid) => {
    const annotations = { [MEMBER_ANNOTATION]: annotation };
    expect(decoded(wire({ leaseTransitions: 3 }, { annotations })).record.memberUid).toBe(
      memberUid,
    );
  });

  it('when every field is there, reads them all', () => {
    const lease = decoded(encodeReplacement(RECORD, decoded(wire({})), ADDRESS));
    expect(lease).toMatchObject({ record: RECORD, uid: 'u-1', revision: 42n });
  });

  it.each([
    ['the spec is absent', undefined],
    ['the spec is null', null],
    ['the spec is a list', []],
    ['all fields are absent', {}],
    [
      'all fields are null',
      {
        holderIdentity: null,
        leaseDurationSeconds: null,
        acquireTime: null,
        renewTime: null,
        leaseTransitions: null,
      },
    ],
    [
      'all fields but the holder are nonsense',
      { leaseDurationSeconds: 0, acquireTime: 'x', renewTime: 12, leaseTransitions: -1 },
    ],
    [
      'numbers are of other types',
      { leaseDurationSeconds: '15', leaseTransitions: 1.5, renewTime: {}, acquireTime: true },
    ],
    ['numbers exceed int32', { leaseDurationSeconds: 2 ** 31, leaseTransitions: 2 ** 31 }],
  ])('when %s, reads an empty record', (_, spec) => {
    expect(decoded(wire(spec)).record).toEqual(EMPTY_RECORD);
  });

  it('when the holder is not a text, still reads a holder, so that the lease is not taken for free', () => {
    expect(decoded(wire({ holderIdentity: 7 })).record.holderIdentity).toBe('7');
  });

  it.each([
    ['12', 12],
    ['x', null],
    ['', null],
    ['99999999999', null],
    [7, null],
  ])('when the release marker is %j, reads %j', (marker, transitions) => {
    const lease = decoded(wire({}, { annotations: { [RELEASED_ANNOTATION]: marker } }));
    expect(lease.record.releasedTransitions).toBe(transitions);
  });

  it('when the resourceVersion exceeds what a number holds, keeps it exact', () => {
    expect(decoded(wire({}, { resourceVersion: '9007199254740993' })).revision).toBe(
      9007199254740993n,
    );
  });

  it.each([
    ['not an object', 'text'],
    ['null', null],
    ['a list', [wire({})]],
    ['of another kind', { ...wire({}), kind: 'ConfigMap' }],
    ['a Status', { kind: 'Status', metadata: {} }],
    ['another Lease', wire({}, { name: 'other' })],
    ['without uid', wire({}, { uid: undefined })],
    ['without resourceVersion', wire({}, { resourceVersion: undefined })],
    ['with a resourceVersion that is no number', wire({}, { resourceVersion: 'abc' })],
    ['with a resourceVersion that is negative', wire({}, { resourceVersion: '-1' })],
    ['without metadata', { kind: 'Lease', spec: {} }],
  ])('when the answer is %s, says what is wrong', (_, json) => {
    const result = decodeLease(json, ADDRESS);
    expect(result).toEqual({ kind: 'unusable', problem: expect.any(String) });
  });
});

describe('when somebody has asked for coordinated leader election', () => {
  it.each<[string, object, LeaseRecord['coordination']]>([
    ['a strategy', { strategy: 'S' }, { strategy: 'S' }],
    [
      'a preferred holder as well',
      { strategy: 'S', preferredHolder: 'p' },
      { strategy: 'S', preferredHolder: 'p' },
    ],
    [
      'no preferred holder, as an empty text',
      { strategy: 'S', preferredHolder: '' },
      { strategy: 'S' },
    ],
    [
      'a preferred holder that is no text',
      { strategy: 'S', preferredHolder: 7 },
      { strategy: 'S' },
    ],
    ['a preferred holder alone, which the API server refuses', { preferredHolder: 'p' }, undefined],
    ['an empty strategy, as client-go writes it', { strategy: '', preferredHolder: '' }, undefined],
    ['a strategy that is no text', { strategy: 7 }, undefined],
    ['nothing', {}, undefined],
  ])('reads %s', (_, fields, coordination) => {
    const { record } = decoded(wire({ holderIdentity: 'a', ...fields }));
    expect(record.coordination).toEqual(coordination);
  });

  it('never writes what a record says of it', () => {
    const record = { ...RECORD, coordination: { strategy: 'S', preferredHolder: 'p' } };
    expect(Object.keys(encodeNewLease(record, ADDRESS)['spec'] as object).sort()).toEqual(
      Object.keys(encodeNewLease(RECORD, ADDRESS)['spec'] as object).sort(),
    );
  });
});

describe('timingKey', () => {
  const SPEC = {
    holderIdentity: 'a',
    renewTime: '2026-01-02T03:04:05.000001Z',
    acquireTime: '2026-01-02T03:04:05.000000Z',
    leaseDurationSeconds: 15,
    leaseTransitions: 1,
  };
  const KEY = decoded(wire(SPEC)).timingKey;

  it.each([
    ['holder', wire({ ...SPEC, holderIdentity: 'b' })],
    ['renew time by one microsecond', wire({ ...SPEC, renewTime: '2026-01-02T03:04:05.000002Z' })],
    ['renew time to nonsense', wire({ ...SPEC, renewTime: 'soon' })],
    ['acquire time', wire({ ...SPEC, acquireTime: '2026-01-02T03:04:05.000009Z' })],
    ['duration', wire({ ...SPEC, leaseDurationSeconds: 16 })],
    ['transitions', wire({ ...SPEC, leaseTransitions: 2 })],
    ['uid', wire(SPEC, { uid: 'u-2' })],
  ])('when %s changes, changes', (_, json) => {
    expect(decoded(json).timingKey).not.toBe(KEY);
  });

  it('when one nonsense time is replaced by another, changes', () => {
    const [soon, later] = ['soon', 'later'].map((renewTime) =>
      decoded(wire({ ...SPEC, renewTime })),
    );
    expect(soon?.record.renewTimeMicros).toBeNull();
    expect(soon?.timingKey).not.toBe(later?.timingKey);
  });

  it.each([
    ['a label', wire(SPEC, { labels: { a: 'b' } })],
    ['the resourceVersion', wire(SPEC, { resourceVersion: '43' })],
    ['an unknown field of the spec', wire({ ...SPEC, strategy: 'OldestEmulationVersion' })],
  ])('when only %s changes, stays', (_, json) => {
    expect(decoded(json).timingKey).toBe(KEY);
  });
});

describe('encodeReplacement', () => {
  const STORED: Record<string, unknown> = {
    ...wire(
      { holderIdentity: 'old', strategy: 'S', preferredHolder: 'p', futureField: { a: 1 } },
      {
        labels: { team: 'x' },
        annotations: { note: 'keep' },
        ownerReferences: [{ uid: 'o' }],
        finalizers: ['f'],
        managedFields: [{ manager: 'kubectl' }],
        futureMeta: 1,
      },
    ),
    futureTop: true,
  };

  it('when the object has fields this library does not know, keeps every one of them', () => {
    const body = encodeReplacement(RECORD, decoded(STORED), ADDRESS);
    expect(body).toMatchObject({
      futureTop: true,
      metadata: STORED['metadata'] as Record<string, unknown>,
      spec: { strategy: 'S', preferredHolder: 'p', futureField: { a: 1 } },
    });
  });

  it('when it is written, names version and uid of the expected representation', () => {
    const body = encodeReplacement(
      RECORD,
      { ...decoded(STORED), uid: 'u-9', revision: 77n },
      ADDRESS,
    );
    expect(body['metadata']).toMatchObject({ uid: 'u-9', resourceVersion: '77' });
  });

  it('when a field is null, omits it instead of writing null', () => {
    const nulls = {
      ...RECORD,
      leaseDurationSeconds: null,
      acquireTimeMicros: null,
      renewTimeMicros: null,
    };
    const full = decoded(encodeReplacement(RECORD, decoded(STORED), ADDRESS));
    const body = encodeReplacement(nulls, full, ADDRESS);
    expect(Object.keys(body['spec'] as object).sort()).toEqual(
      ['futureField', 'holderIdentity', 'leaseTransitions', 'preferredHolder', 'strategy'].sort(),
    );
  });

  it('when the term is released, leaves the marker, and takes it away with the next holder', () => {
    const released = { ...RECORD, holderIdentity: '', releasedTransitions: 3 };
    const marked = encodeReplacement(released, decoded(STORED), ADDRESS);
    expect(marked['metadata']).toMatchObject({
      annotations: { note: 'keep', [RELEASED_ANNOTATION]: '3' },
    });
    const unmarked = encodeReplacement(RECORD, decoded(marked), ADDRESS);
    expect((unmarked['metadata'] as Record<string, unknown>)['annotations']).toEqual({
      note: 'keep',
    });
  });

  it('when it is encoded, leaves the representation it came from untouched', () => {
    const lease = decoded(structuredClone(STORED));
    encodeReplacement({ ...RECORD, releasedTransitions: 3 }, lease, ADDRESS);
    expect(lease.source).toEqual(STORED);
  });
});

describe('encodeNewLease', () => {
  it('when it is written, carries neither version nor uid and no empty annotations', () => {
    expect(encodeNewLease(RECORD, ADDRESS)).toEqual({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'plan', namespace: 'default' },
      spec: {
        holderIdentity: 'pod-1_abc',
        leaseDurationSeconds: 15,
        acquireTime: '2026-01-02T03:04:05.678901Z',
        renewTime: '2026-01-02T03:04:05.678902Z',
        leaseTransitions: 3,
      },
    });
  });
});
