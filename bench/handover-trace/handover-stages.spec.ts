import { describe, expect, it } from '@jest/globals';
import type { AuditEntry } from '../../proof/control-plane/audit-log.js';
import type { ProbeEvent, ProbeProcess } from '../../test/e2e/support/probe-process.js';
import { measured, STAGES } from './handover-stages.js';
import type { TracedStage } from './hooks.js';

const OFFSET_MS = -1_000;

const traced = (stage: TracedStage, at: number, cpuMs: number): ProbeEvent => ({
  at,
  event: 'traced',
  stage,
  cpuMs,
});

const replica = (...events: ProbeEvent[]): ProbeProcess => ({ events }) as unknown as ProbeProcess;

/** A PUT that the server has received and answered at these milliseconds of the monotonic clock. */
function put(receivedAt: number, answeredAt: number, code = 200): AuditEntry {
  const wall = (at: number): string =>
    new Date(Math.floor(at) - OFFSET_MS).toISOString().replace(
      'Z',
      `${Math.round((at % 1) * 1_000)
        .toString()
        .padStart(3, '0')}Z`,
    );
  return {
    verb: 'update',
    code,
    requestReceivedTimestamp: wall(receivedAt),
    stageTimestamp: wall(answeredAt),
  } as AuditEntry;
}

describe('when two processes and the audit log have told of a handover', () => {
  const granted: ProbeEvent = { at: 120, event: 'granted', cpuMs: 59 };
  const leader = replica(
    traced('sent', 90, 1),
    traced('signalled', 101, 2),
    { at: 103, event: 'revoked' },
    traced('sent', 106, 6),
  );
  const follower = replica(
    traced('heard', 95, 50),
    traced('heard', 110.5, 51),
    traced('sent', 115, 54),
    traced('answered', 118.5, 57),
    granted,
  );
  const handover = { askedAt: 100, leader, follower, granted, wallOffsetMs: OFFSET_MS };
  const entries = [
    put(90.5, 92),
    put(106.25, 109.5),
    put(115.25, 117.5),
    put(116, 116.5, 409),
    put(130, 131),
  ];

  it('knows how long each stage was, to the microsecond, and that together they are the whole', () => {
    const { stages, wholeMs } = measured(handover, entries);
    expect(STAGES.map((stage) => stages[stage])).toEqual([
      1, 2, 3, 0.25, 3.25, 1, 4.5, 0.25, 2.25, 1, 1.5,
    ]);
    expect(wholeMs).toBe(20);
  });

  it('counts the CPU time on the way, and not that of the waits', () => {
    const { leaderCpuMs, followerCpuMs } = measured(handover, entries);
    expect(leaderCpuMs).toBe(4);
    expect(followerCpuMs).toBe(3 + 2);
  });

  it('counts the writes in vain of this handover', () => {
    expect(measured(handover, entries).wastedWrites).toBe(1);
  });

  it('says what is missing instead of measuring something else', () => {
    expect(() => measured(handover, entries.slice(0, 1))).toThrow('release in the audit log');
  });
});
