import { describe, expect, it } from '@jest/globals';
import { heldBy, MachineRun, representation } from '../support/machine-run.js';
import { ModelledServer } from '../support/modelled-server.js';

const HOUR = 3_600_000;
const D = 15_000;

describe('when the wall clock shows that time has passed', () => {
  it.each([
    [9_200, true],
    [9_300, false],
  ])('ends belief by the clock that shows the most: %d ms ahead', (ahead, leads) => {
    const run = MachineRun.leading().at(750);
    run.wallShiftMs = ahead;
    run.tick();
    expect(run.isLeader()).toBe(leads);
  });

  it.each([-HOUR, -200, 90, 100])(
    'takes no notice of a difference that proves nothing: %d ms',
    (shift) => {
      const run = MachineRun.leading().at(1_000);
      run.wallShiftMs = shift;
      run.tick();
      expect(run.in('leading').validUntil).toBe(10_000);
    },
  );

  it('prolongs nothing when it goes back', () => {
    const run = MachineRun.leading().at(9_999);
    run.wallShiftMs = -HOUR;
    run.tick();
    expect(run.isLeader(9_999)).toBe(true);
    expect(run.isLeader(10_000)).toBe(false);
  });

  it('does not keep the lease from everybody by acquisitions that a clock which runs away calls slow', () => {
    const run = new MachineRun().start().reads(null).at(100);
    run.wallShiftMs = 6_000;
    expect(run.applied(10).of('grant')).toHaveLength(1);
  });

  it('grants no late acquisition after a gap', () => {
    const run = new MachineRun().start().reads(null).at(100);
    run.wallShiftMs = 12_000;
    expect(run.applied(10).of('grant')).toEqual([]);
  });
});

describe('when the machine has slept', () => {
  it.each([
    [40, 10_000],
    [60, 9_940],
  ])('counts more than the noise of two readings: %d ms', (slept, validUntil) => {
    const run = MachineRun.leading().at(1_000);
    run.suspendedMs = slept;
    run.tick();
    expect(run.in('leading').validUntil).toBe(validUntil);
  });
});

describe('when somebody sets the wall clock forward by an hour', () => {
  const jumped = (run: MachineRun): MachineRun => {
    run.wallShiftMs = HOUR;
    return run.tick();
  };

  it('takes no live lease', () => {
    const run = jumped(MachineRun.standingBy().at(1_000));
    expect(run.state.pending).toBeNull();
    expect(run.wakeAt).toBe(D);
  });

  it('does not shorten the time for which strict mode waits for another believer', () => {
    const run = new MachineRun({ strict: true }).start().reads(null).applied(10).at(2_000).tick();
    run.applied(11).at(2_100);
    const { settledAt } = run.in('settling');
    jumped(run);
    while (run.of('grant').length === 0) {
      if (run.state.pending === null) run.wake();
      else if (run.request.purpose === 'read') run.reads(run.state.observation!.lease);
      else run.applied(100 + run.now);
    }
    expect(run.now).toBeGreaterThanOrEqual(settledAt);
  });

  it('does not end a drain', () => {
    const run = jumped(MachineRun.leading().at(1_000).withdraw('stepped-down').at(1_100));
    expect(run.state.tenure?.stage).toBe('draining');
    expect(run.of('failed')).toEqual([]);
  });

  it('costs one term and no handover', () => {
    const server = new ModelledServer(() => 20).start().until(61_000);
    server.run.wallShiftMs = HOUR;
    server.until(300_000);
    expect(server.terms).toBe(2);
    expect(server.led(0)).toBeGreaterThan(99);
  });
});

describe('when the wall clock cannot be trusted', () => {
  /** An hour in which the wall clock is off by what `shiftAt` says. */
  function anHour(shiftAt: (now: number) => number): ModelledServer {
    const server = new ModelledServer(() => 20).start();
    for (let now = 0; now <= HOUR; now += 100) {
      server.run.wallShiftMs = shiftAt(now);
      server.until(now);
    }
    return server;
  }

  it.each<[string, (now: number) => number]>([
    ['two time services fight over it', (now) => (Math.floor(now / 30_000) % 2) * 20_000],
    ['it runs away, six times as fast', (now) => 5 * now],
    ['it runs away, sixty times as fast', (now) => 59 * now],
    ['it leaps by 15 s now and then', (now) => 15_000 * Math.floor(now / 119_000)],
  ])('is asked no more after it has ended three terms: %s', (_name, shiftAt) => {
    const server = anHour(shiftAt);
    expect(server.lost).toBeLessThanOrEqual(4);
    expect(server.led(0)).toBeGreaterThan(99);
    expect(server.run.of('failed').map(({ error }) => error.code)).toContain('ERR_WALL_CLOCK');
  });

  it.each<[string, (now: number) => number]>([
    ['leap-second smear', (now) => now * 1e-5],
    ['a step of one second every minute', (now) => 1_000 * Math.floor(now / 60_000)],
    ['slewing by 500 ppm', (now) => now * 5e-4],
  ])('costs no term by what time services do: %s', (_name, shiftAt) => {
    expect(anHour(shiftAt).lost).toBe(0);
  });

  it('is asked again once it has agreed with the other clocks for ten lease durations', () => {
    const server = anHour((now) => 5 * Math.min(now, 120_000));
    expect(server.run.state.wallTrust.disagreedAt).toBeNull();
    server.run.wallShiftMs += 12_000;
    server.until(HOUR + 300);
    server.run.tick();
    expect(server.run.of('revoke').at(-1)).toMatchObject({ reason: 'renew-deadline' });
  });
});

describe('when the monotonic clock shows less than before, as on another machine', () => {
  const RESTORED = -86_400_000;

  it('ends a term at once and asks who leads', () => {
    const run = MachineRun.leading().at(2_000).tick();
    run.at(RESTORED).tick();
    expect(run.of('revoke')).toMatchObject([{ reason: 'renew-deadline' }]);
    expect(run.of('abandon-request')).toHaveLength(1);
    expect(run.request.purpose).toBe('read');
  });

  it('waits for a whole lease duration on the new clock, and no longer', () => {
    const run = MachineRun.standingBy().at(RESTORED).tick();
    run.reads(representation(heldBy('other'), 10));
    expect(run.wakeAt).toBe(RESTORED + D);
    expect(run.wake().request.purpose).toBe('acquire');
  });

  it.each<[string, (run: MachineRun) => MachineRun, boolean]>([
    ['an acquisition', (run) => run, false],
    ['a renewal', (run) => run.applied(10).at(2_000).tick(), true],
    [
      'a release',
      (run) => {
        run.applied(10).withdraw('stepped-down').say({ kind: 'drained', term: 1 });
        return run;
      },
      true,
    ],
  ])('gives back on shutdown what %s that was under way has left', (_what, send, granted) => {
    const run = send(new MachineRun().start().reads(null));
    const { lease } = run.state.observation!;
    const stored = run.request.purpose === 'acquire' ? representation(run.written, 10) : lease!;
    run.withdraw('shutdown').at(RESTORED).tick().say({ kind: 'drained', term: 1 });
    run.say({ kind: 'finish' });
    expect(run.request.purpose).toBe('read');
    run.reads(stored);
    expect(run.request.purpose).toBe('release');
    expect(run.written.releasedTransitions).toBe(granted ? 1 : null);
    expect(run.applied(12).of('stop')).toHaveLength(1);
  });

  it.each([
    [10_000, 50_000],
    [90_000, 0],
  ])('keeps what is left of a cool-down: after %d ms, %d ms', (after, left) => {
    const run = MachineRun.leading().withdraw('stepped-down', 60_000);
    run.say({ kind: 'drained', term: 1 }).applied(11).at(after).withdraw('suspended');
    run.at(RESTORED).say({ kind: 'resume' });
    expect(run.state.contendNotBefore).toBe(RESTORED + left);
  });

  it('still stops within its time', () => {
    const run = MachineRun.leading().withdraw('shutdown').say({ kind: 'drained', term: 1 });
    run.say({ kind: 'finish' }).at(RESTORED).tick();
    while (run.of('stop').length === 0) run.wake();
    expect(run.now).toBeLessThanOrEqual(RESTORED + 6_000);
  });
});

describe('when a leader exists twice, as two copies of one process', () => {
  it('gives one of them up at its next renewal', () => {
    const one = MachineRun.leading();
    const other = new MachineRun();
    other.state = one.state;
    one.at(2_000).tick().applied(11);
    other.at(2_000);
    other.random = 0.7;
    other.tick().writes({ kind: 'conflict' });
    other.reads(one.state.observation!.lease);
    expect(one.isLeader()).toBe(true);
    expect(other.isLeader()).toBe(false);
    expect(other.of('revoke')).toMatchObject([{ reason: 'superseded' }]);
  });

  it('tells what they write apart also while the wall clock is behind', () => {
    const one = MachineRun.leading();
    one.state = { ...one.state, lastRenewMicros: 9_000_000_000_000 };
    const other = new MachineRun().at(2_000);
    other.state = one.state;
    other.random = 0.7;
    one.at(2_000).tick();
    expect(other.tick().written.renewTimeMicros).not.toBe(one.written.renewTimeMicros);
  });
});
