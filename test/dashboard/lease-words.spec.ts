import { type LeaseRecord, type ObservedLease, recordFor } from '../../lib/core/lease-record.js';
import { leaseWords, rawLease } from '../../lib/dashboard/lease-words.js';

const PLACE = 'Lease default/plans';
const ACQUIRED = Date.UTC(2026, 0, 1) * 1_000;
const WRITTEN = { term: 3, acquireTimeMicros: ACQUIRED, renewTimeMicros: ACQUIRED + 2_000_000 };
const HELD = recordFor('hold', WRITTEN, { identity: 'pod-a', leaseDurationMs: 15_000 });
const RELEASED = recordFor('release', WRITTEN, { identity: 'pod-a', leaseDurationMs: 15_000 });

function lease(record: LeaseRecord, source?: unknown): ObservedLease {
  return { record, uid: 'u', revision: 1n, timingKey: 'k', source };
}
const REQUEST = {
  id: 'r1',
  asks: 'step-down',
  transitions: 3,
  holderIdentity: 'pod-a',
  by: 'anna@laptop',
  successor: 'pod-b',
} as const;

describe('a lease in plain words', () => {
  it.each<[string, LeaseRecord, unknown, string]>([
    [
      'who holds it, and since when',
      HELD,
      {},
      'pod-a acquired Lease default/plans in term 3 at 2026-01-01T00:00:00.000Z.',
    ],
    ['when it was renewed', HELD, {}, 'It was last renewed at 2026-01-01T00:00:02.000Z.'],
    [
      'when it may be taken',
      HELD,
      {},
      'Another process takes it when it has not been renewed for 15 s.',
    ],
    [
      'that a duration cannot be read',
      { ...HELD, leaseDurationSeconds: null },
      {},
      'candidates use their own leaseDurationMs',
    ],
    [
      'that it was released',
      RELEASED,
      {},
      'was released in term 3 at 2026-01-01T00:00:02.000Z: no process holds it.',
    ],
    ['that it was cleared by hand', { ...HELD, holderIdentity: '' }, {}, 'none has released it'],
    [
      'what the leader is asked for',
      { ...HELD, request: REQUEST },
      {},
      'asked to step down in favour of pod-b by anna@laptop, and has not answered yet.',
    ],
    [
      'what it has answered',
      {
        ...HELD,
        answer: { id: 'r0', transitions: 3, by: 'pod-a', atMicros: 0, refused: 'no such member' },
      },
      {},
      'pod-a has refused: no such member (term 3).',
    ],
    [
      'whose it is',
      { ...HELD, application: 'mail-app' },
      {},
      'The holder belongs to application "mail-app".',
    ],
    [
      'how many compete',
      { ...HELD, crowd: { candidates: 2.6, stepMs: 4 } },
      {},
      'The leader counts 3 candidates.',
    ],
    [
      'that a coordinator is to choose',
      { ...HELD, coordination: { strategy: 'OldestEmulationVersion' } },
      {},
      'spec.strategy is "OldestEmulationVersion"',
    ],
    [
      'that it is being deleted',
      HELD,
      { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } },
      'is being deleted',
    ],
    [
      'that it is deleted with its owner',
      HELD,
      { metadata: { ownerReferences: [{ kind: 'Pod', name: 'x' }] } },
      'belongs to Pod x',
    ],
  ])('says %s', (_what, record, source, expected) => {
    expect(leaseWords(lease(record, source), PLACE).join('\n')).toContain(expected);
  });

  it('says that there is none', () => {
    expect(leaseWords(null, PLACE)).toEqual([
      'Lease default/plans does not exist: the first candidate creates it.',
    ]);
  });

  it('says nothing of a request of an earlier term, or of one that was answered', () => {
    const answer = { id: 'r1', transitions: 3, by: 'pod-a', atMicros: 0, refused: '' };
    const [late, answered] = [
      { ...HELD, leaseTransitions: 4, request: REQUEST },
      { ...HELD, request: REQUEST, answer },
    ];
    expect(leaseWords(lease(late), PLACE).join()).not.toContain('asked');
    expect(leaseWords(lease(answered), PLACE).join()).not.toContain('not answered');
  });
});

describe('a lease as it is stored', () => {
  it('is the whole Lease, without what only the API server reads', () => {
    const metadata = { name: 'plans', managedFields: [{}] };
    const source = { kind: 'Lease', metadata, spec: { holderIdentity: 'pod-a' } };
    expect(rawLease(lease(HELD, source))).toEqual({ ...source, metadata: { name: 'plans' } });
  });

  it('is the record alone where the object holds something else as well', () => {
    const source = { kind: 'ConfigMap', data: { password: 'x' } };
    expect(rawLease(lease(HELD, source))).toBe(HELD);
  });
});
