import { describe, expect, it } from '@jest/globals';
import type { AuditEntry } from '../control-plane/audit-log.js';
import { checkApiHistory } from './api-history-check.js';

const REPLICAS = 'system:serviceaccount:election:replica';
const BEGIN = Date.parse('2026-01-01T00:00:00.000Z');

interface Write {
  readonly atMs: number;
  readonly holder: string;
  readonly replaces?: number;
  readonly version: number;
  readonly user?: string;
  readonly change?: Partial<AuditEntry>;
  readonly renewTime?: string;
}

function write({ atMs, holder, replaces, version, user = REPLICAS, ...rest }: Write): AuditEntry {
  const { change = {}, renewTime = `renewed-${version}` } = rest;
  const spec = { holderIdentity: holder, leaseDurationSeconds: 3, renewTime };
  const metadata = { uid: 'u', resourceVersion: String(version) };
  return {
    user,
    verb: replaces === undefined ? 'create' : 'update',
    resource: 'leases',
    namespace: 'election',
    name: 'lease',
    code: 200,
    requestReceivedTimestamp: new Date(BEGIN + atMs).toISOString(),
    stageTimestamp: new Date(BEGIN + atMs + 2).toISOString(),
    userAgent: '',
    requestURI: '/leases/lease',
    requestObject: { metadata: { uid: 'u', resourceVersion: String(replaces ?? '') }, spec },
    responseObject: { metadata, spec },
    ...change,
  };
}

const check = (entries: readonly AuditEntry[], budget = 100) =>
  checkApiHistory({ entries, replicas: REPLICAS, leaseName: 'lease', budget });

const CREATED = write({ atMs: 0, holder: 'a', version: 1 });
const RENEWED = write({ atMs: 400, holder: 'a', replaces: 1, version: 2 });

describe('when the audit log is checked', () => {
  it('finds nothing in renewals, a release and a takeover of what has lapsed', () => {
    const entries = [
      CREATED,
      RENEWED,
      write({ atMs: 3_400, holder: 'b', replaces: 2, version: 3 }),
      write({ atMs: 3_500, holder: '', replaces: 3, version: 4 }),
      write({ atMs: 3_510, holder: 'c', replaces: 4, version: 5 }),
    ];
    expect(check(entries)).toEqual({
      violations: [],
      writes: 5,
      takeovers: 1,
      mostRequestsInTenSeconds: 5,
    });
  });

  it.each([
    ['no uid', { metadata: { resourceVersion: '1' } }],
    ['no resourceVersion', { metadata: { uid: 'u' } }],
  ])('finds an update with %s (I6)', (_, requestObject) => {
    const { violations } = check([CREATED, { ...RENEWED, requestObject }]);
    expect(violations).toEqual([expect.stringMatching(/^I6: an update of lease/)]);
  });

  it.each(['patch', 'delete', 'deletecollection'])('finds a %s (I6)', (verb) => {
    expect(check([{ ...RENEWED, verb }]).violations).toEqual([expect.stringMatching(/^I6/)]);
  });

  it('asks nothing of an update that was refused unread, or of what people do', () => {
    const { requestObject: _, ...unread } = { ...RENEWED, code: 401 };
    expect(check([unread, { ...RENEWED, verb: 'patch', user: 'admin' }]).violations).toEqual([]);
  });

  it('finds who replaces a holder before its lease has lapsed (I7)', () => {
    const taken = write({ atMs: 3_300, holder: 'b', replaces: 2, version: 3 });
    expect(check([taken, RENEWED, CREATED]).violations).toEqual([
      'I7: b replaced a after 2900 ms of a lease of 3000 ms',
    ]);
  });

  it('counts from the last change of what observers go by, not from an edit of something else', () => {
    const labelled = write({
      atMs: 3_000,
      holder: 'a',
      replaces: 2,
      version: 3,
      user: 'admin',
      renewTime: 'renewed-2',
    });
    const taken = write({ atMs: 3_400, holder: 'b', replaces: 3, version: 4 });
    expect(check([CREATED, RENEWED, labelled, taken]).violations).toEqual([]);
  });

  it('judges no takeover of a version that the log does not have', () => {
    const taken = write({ atMs: 500, holder: 'b', replaces: 7, version: 8 });
    expect(check([CREATED, RENEWED, taken])).toMatchObject({ violations: [], takeovers: 0 });
  });

  it('finds more requests in ten seconds than the budget has (I8)', () => {
    const reads = Array.from({ length: 30 }, (_, index) =>
      write({ atMs: 1_000 * index, holder: 'a', version: 1, change: { verb: 'get' } }),
    );
    expect(check(reads, 11).violations).toEqual([]);
    expect(check(reads, 10).violations).toEqual([
      'I8: the replicas sent 11 requests within 10000 ms, more than 10',
    ]);
  });
});
