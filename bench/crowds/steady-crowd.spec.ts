import { describe, expect, it } from '@jest/globals';
import type { AuditEntry } from '../../proof/control-plane/audit-log.js';
import { type Mark, steadyCost } from './steady-crowd.js';

const BEGUN = Date.UTC(2026, 10, 27);

const entry = (second: number, account: string, verb: string, code = 200): AuditEntry => ({
  user: `system:serviceaccount:n:${account}`,
  verb,
  resource: 'leases',
  namespace: 'n',
  code,
  requestReceivedTimestamp: new Date(BEGUN + second * 1_000).toISOString(),
  stageTimestamp: '',
  userAgent: '',
  requestURI: '',
});

const mark = (second: number, connections: number, bytes: number, cpuSeconds = 0): Mark => ({
  at: new Date(BEGUN + second * 1_000),
  traffic: { connections, open: 3, bytes },
  cpuSeconds,
});

const measured = (entries: readonly AuditEntry[], standbys = 2) =>
  steadyCost(entries, { from: mark(100, 5, 1_000, 1), to: mark(130, 8, 4_000, 2), standbys });

describe('when half a minute of a crowd was measured', () => {
  it('says what a whole one costs, of the leader and of each standby', () => {
    const entries = [
      ...[100, 110, 120].map((second) => entry(second, 'leader', 'update')),
      ...[105, 115].map((second) => entry(second, 'standby', 'get')),
    ];
    expect(measured(entries)).toMatchObject({
      leaderRequests: 6,
      standbyRequests: 2,
      requests: 10,
      connections: 3,
      newConnections: 6,
      bytes: 6_000,
      cpuSeconds: 2,
    });
  });

  it('leaves out what came before and after it', () => {
    const entries = [99, 130].map((second) => entry(second, 'standby', 'get'));
    expect(measured(entries).requests).toBe(0);
  });

  it('counts an event for each write that changed something and each watch that had begun', () => {
    const entries = [
      entry(1, 'leader', 'watch'),
      entry(2, 'standby', 'watch'),
      entry(140, 'standby', 'watch'),
      entry(100, 'leader', 'update'),
      entry(110, 'standby', 'update', 409),
    ];
    expect(measured(entries)).toMatchObject({ watchEvents: 4, requests: 4 });
  });
});
