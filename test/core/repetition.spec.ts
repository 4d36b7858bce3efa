import { describe, expect, it } from '@jest/globals';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import { RandomStream } from '../../proof/simulation/random-stream.js';
import {
  CONFIG,
  heldBy,
  MachineRun,
  rejected,
  representation,
  unreachable,
} from '../support/machine-run.js';

const RELEASED: Partial<LeaseRecord> = { holderIdentity: '', releasedTransitions: 4 };
const released = (revision: number) => representation(heldBy('x', RELEASED), revision);

/** The times of the attempts to acquire until `end`; `answer` is what becomes of each request. */
function attempts(run: MachineRun, end: number, answer: (run: MachineRun) => void): number[] {
  const times: number[] = [];
  while (run.now < end) {
    if (run.state.pending === null) run.wake();
    else {
      if (run.request.purpose === 'acquire') times.push(run.now);
      answer(run);
    }
  }
  return times;
}

const pauses = (times: readonly number[]): number[] =>
  times.slice(1).map((time, index) => time - times[index]!);

describe('when an attempt to acquire fails in the same way again and again', () => {
  it('waits twice as long each time, up to the lease duration', () => {
    const run = new MachineRun().start().reads(released(7));
    run.random = 1;
    const times = attempts(run, 100_000, () =>
      run.request.purpose === 'read'
        ? run.reads(released(7))
        : run.writes({ kind: 'not-applied', error: rejected() }),
    );
    expect(pauses(times)).toEqual([2_000, 4_000, 8_000, 15_000, 15_000, 15_000, 15_000, 15_000]);
  });

  it('waits as long, and explains, when creating the lease is answered as if it were a replacement', () => {
    const run = new MachineRun().start().reads(null);
    run.random = 1;
    const times = attempts(run, 60_000, () =>
      run.request.purpose === 'read' ? run.reads(null) : run.writes({ kind: 'absent' }),
    );
    expect(pauses(times)).toEqual([2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
    const errors = run.of('failed').map(({ error }) => error.message);
    expect(errors).toHaveLength(times.length);
    expect(errors[0]).toMatch(/answered "absent".*namespace.*"not-applied"/s);
  });

  it('creates a lease at once that turns out to be deleted when it is replaced', () => {
    const run = new MachineRun().start().reads(released(7)).writes({ kind: 'absent' });
    expect(run.request.request.verb).toBe('create');
    expect(run.of('failed')).toEqual([]);
  });

  it('becomes rarer also where a store finds a lease and has none to replace', () => {
    const run = new MachineRun().start().reads(released(7));
    const times = attempts(run, 600_000, () => {
      if (run.request.purpose === 'read') run.reads(released(7));
      else run.writes({ kind: run.request.request.verb === 'create' ? 'conflict' : 'absent' });
    });
    expect(times.length).toBeLessThan(100);
  });

  it('tries a record that is news at once', () => {
    const run = new MachineRun().start().reads(released(7));
    run.writes({ kind: 'not-applied', error: rejected() }).say({ kind: 'watch-opened' });
    run.reads(released(7));
    for (let failure = 0; failure < 5; failure++) {
      run.wake().writes({ kind: 'not-applied', error: rejected() });
    }
    const news = representation(heldBy('x', { ...RELEASED, renewTimeMicros: 9 }), 8);
    run.at(run.now + 100).watch(news);
    expect(run.request).toMatchObject({ request: { expected: { revision: 8n } } });
  });

  it('obeys a Retry-After of an hour for no longer than the lease duration', () => {
    const run = new MachineRun().start().reads(released(7));
    run.writes({ kind: 'not-applied', error: rejected(3_600_000) });
    run.say({ kind: 'watch-opened' }).reads(released(7));
    expect(run.wakeAt).toBe(CONFIG.leaseDurationMs);
  });
});

describe('when a version was refused as outdated', () => {
  it('is not tried again within a lease duration, however often a stale cache shows it', () => {
    const run = new MachineRun().start().reads(released(7));
    const times = attempts(run, 200_000, () =>
      run.request.purpose === 'read' ? run.reads(released(7)) : run.writes({ kind: 'conflict' }),
    );
    for (const pause of pauses(times)) expect(pause).toBeGreaterThanOrEqual(CONFIG.leaseDurationMs);
    expect(times.length).toBeGreaterThan(10);
  });

  it.each<[string, (run: MachineRun) => MachineRun]>([
    ['replace revision 7', (run) => run.reads(released(7))],
    ['create', (run) => run.reads(null)],
  ])('says so when that goes on, less and less often: %s', (attempted, answer) => {
    const run = answer(new MachineRun().start());
    const times = attempts(run, 3_600_000, () =>
      run.request.purpose === 'read' ? answer(run) : run.writes({ kind: 'conflict' }),
    );
    const errors = run.of('failed').map(({ error }) => error.message);
    expect(errors[0]).toContain(
      `refused the last 4 attempts to acquire the lease, now to ${attempted}`,
    );
    expect(errors.length).toBe(3 + 1 + Math.floor((times.length - 32) / 32));
  });

  it('says so where each write is sent twice, and the second refused', () => {
    const run = new MachineRun().start().reads(released(7));
    let stored = released(7);
    attempts(run, 120_000, () => {
      if (run.request.purpose === 'read') return run.reads(stored);
      stored = representation(run.written, stored.revision + 1n);
      return run.writes({ kind: 'conflict' });
    });
    expect(run.of('failed')[0]!.error.message).toContain('sends each write twice');
  });

  it('sends one read per retry period and three writes per lease duration behind two caches of different age', () => {
    const run = new MachineRun().start().reads(released(8));
    let reads = 0;
    const times = attempts(run, 600_000, () => {
      if (run.request.purpose === 'acquire') return run.writes({ kind: 'conflict' });
      reads += 1;
      return run.reads(
        reads % 2 === 0
          ? released(8)
          : representation(heldBy('', { ...RELEASED, renewTimeMicros: 5 }), 7),
      );
    });
    expect(times.length).toBeLessThanOrEqual((3 * 600_000) / CONFIG.leaseDurationMs + 2);
    expect(reads).toBeLessThanOrEqual(600_000 / (0.8 * CONFIG.retryPeriodMs) + times.length + 2);
  });

  it('is tried at once when the store was restored to it', () => {
    // Everybody has tried the released version 7 and failed but one, who has renewed since.
    const run = new MachineRun().start().reads(released(7)).writes({ kind: 'conflict' });
    run.reads(representation(heldBy('winner', { leaseTransitions: 5 }), 8)).wake();
    run.reads(representation(heldBy('winner', { leaseTransitions: 5, renewTimeMicros: 2 }), 9));
    const restoredAt = run.wake().now;
    run.reads(released(7));
    expect(run.request).toMatchObject({
      purpose: 'acquire',
      request: { expected: { revision: 7n } },
    });
    expect(run.now).toBe(restoredAt);
    expect(run.applied(8).isLeader()).toBe(true);
  });

  it('does not keep a missing lease from being created', () => {
    const run = new MachineRun()
      .start()
      .reads(released(7))
      .writes({ kind: 'conflict' })
      .reads(null);
    if (run.state.pending === null) run.wake();
    expect(run.request.request.verb).toBe('create');
    expect(run.now).toBeLessThanOrEqual(CONFIG.retryPeriodMs);
  });
});

describe('when a healthy leader crashes and another standby is faster', () => {
  it('costs a standby with a watch one write at most, and no read and no error', () => {
    const run = MachineRun.standingBy();
    const before = run.purposes.length;
    run.at(15_000).tick().writes({ kind: 'conflict' });
    run.at(15_050).watch(representation(heldBy('third', { leaseTransitions: 5 }), 12));
    run
      .at(17_000)
      .watch(representation(heldBy('third', { leaseTransitions: 5, renewTimeMicros: 3 }), 13));
    run.at(20_000).tick();
    expect(run.purposes.slice(before)).toEqual(['acquire']);
    expect(run.of('failed')).toEqual([]);
  });
});

describe('when all followers lose the server at the same instant', () => {
  const readAt = (random: number): number => {
    const run = MachineRun.standingBy().at(5_000);
    run.random = random;
    return run.say({ kind: 'watch-interrupted' }).wakeAt;
  };

  it('spreads their first reads over a retry period', () => {
    expect([0.1, 0.5, 0.9].map(readAt)).toEqual([5_200, 6_000, 6_800]);
  });

  it.each([2_000, 5_000, 12_000])(
    'comes back spread: of a hundred no more than a third asks within 0.3 s after %d ms',
    (outageMs) => {
      const backAt = 1_000 + outageMs;
      const sentAt = Array.from({ length: 100 }, (_, seed) => {
        const random = new RandomStream(seed, 'standby');
        const run = MachineRun.standingBy().at(1_000);
        run.random = random.next();
        run.say({ kind: 'watch-interrupted' });
        for (;;) {
          run.random = random.next();
          if (run.state.pending === null) run.wake();
          if (run.now >= backAt) return run.now - backAt;
          run.random = random.next();
          run.reads({ kind: 'failed', error: unreachable });
        }
      });
      expect(sentAt.filter((delay) => delay < 300).length).toBeLessThanOrEqual(33);
      expect(Math.max(...sentAt)).toBeLessThanOrEqual(CONFIG.retryPeriodMs);
    },
  );

  it('does not delay a leader', () => {
    const run = MachineRun.leading().say({ kind: 'watch-opened' }).at(1_000);
    run.random = 0.9;
    run.say({ kind: 'watch-interrupted' });
    expect(run.wakeAt).toBe(2_000);
  });
});

describe('when a lock reports again and again that a holder has died', () => {
  const dies = (run: MachineRun): MachineRun =>
    run.say({ kind: 'holder-died', timingKey: run.state.observation!.lease!.timingKey });

  it('makes the first attempt at once and the others less and less often', () => {
    const run = MachineRun.standingBy();
    const attemptedAt: number[] = [];
    for (let now = 100; now <= 30_000; now += 100) {
      dies(run.at(now));
      if (run.state.pending?.purpose !== 'acquire') continue;
      attemptedAt.push(now);
      run.writes({ kind: 'not-applied', error: rejected() });
    }
    expect(attemptedAt[0]).toBe(100);
    expect(attemptedAt.length).toBeGreaterThan(2);
    expect(attemptedAt.length).toBeLessThanOrEqual(6);
  });

  it('does not make a leader renew more often', () => {
    const run = MachineRun.leading();
    let renewals = 0;
    for (let now = 100; now <= 10_000; now += 100) {
      dies(run.at(now));
      if (run.state.pending !== null) run.applied(11 + renewals++);
    }
    expect(renewals).toBe(5);
  });
});
