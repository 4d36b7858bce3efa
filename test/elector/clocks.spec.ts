import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { uptime } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { SystemClock } from '../../lib/elector/system-clock.js';
import { CONFIG } from '../support/machine-run.js';
import { ManualClock } from '../support/manual-clock.js';
import { ScriptedLock } from '../support/scripted.lock.js';

/** At one of its readings, all of them counted, the process is stopped and goes on much later. */
class InterruptedClock extends ManualClock {
  readings = 0;
  interruptedAt = Infinity;
  gap: (clock: InterruptedClock) => void = () => {};

  override now(): number {
    this.count();
    return super.now();
  }

  override wallMicros(): number {
    this.count();
    return super.wallMicros();
  }

  override suspendedMs(): number {
    this.count();
    return super.suspendedMs();
  }

  private count(): void {
    this.readings += 1;
    if (this.readings === this.interruptedAt) this.gap(this);
  }
}

async function leading<C extends ManualClock>(clock: C) {
  const lock = new ScriptedLock();
  lock.automatic = true;
  const revoked: number[] = [];
  const elector = new LeaderElector(CONFIG, {
    lock,
    clock,
    random: () => 0,
    observer: { onRevoked: ({ number }) => void revoked.push(number) },
  });
  elector.start();
  await clock.settle();
  expect(elector.isLeader()).toBe(true);
  return { elector, revoked };
}

type Gap = (clock: ManualClock) => void;

describe('when the process missed more time than the renew deadline', () => {
  const gaps: [string, Gap][] = [
    ['the machine slept', (clock) => clock.sleep(12_000)],
    ['a checkpoint, which only the wall clock shows', (clock) => clock.shiftWall(12_000)],
    [
      'the machine slept, and its wall clock was set back by an hour',
      (clock) => {
        clock.sleep(12_000);
        clock.shiftWall(-3_600_000);
      },
    ],
    ['the event loop was blocked', (clock) => clock.stall(12_000)],
    ['it was restored where the monotonic clock shows less', (clock) => clock.stall(-500_000)],
  ];

  it.each(gaps)('is no leader at the very next call: %s', async (_name, gap) => {
    const clock = new ManualClock();
    const { elector } = await leading(clock);
    gap(clock);
    expect(elector.isLeader()).toBe(false);
    expect(elector.term).toBeUndefined();
    expect(elector.remainingMs()).toBe(0);
    expect(elector.probe().isLeader).toBe(false);
  });

  it.each(gaps)('tells of the end soon after a call has found it: %s', async (_name, gap) => {
    const clock = new ManualClock();
    const { elector, revoked } = await leading(clock);
    gap(clock);
    elector.isLeader();
    await clock.advance(1);
    expect(revoked).toEqual([1]);
  });

  it.each<[string, Gap]>([
    ['with the wall clock alone', (clock) => clock.shiftWall(12_000)],
    ['with boot time as well', (clock) => clock.sleep(12_000)],
  ])(
    'is no leader wherever among the readings of the clocks the gap falls: %s',
    async (_name, gap) => {
      for (let reading = 1; reading <= 16; reading++) {
        const clock = new InterruptedClock();
        const { elector } = await leading(clock);
        await clock.advance(1_999);
        clock.gap = gap;
        clock.interruptedAt = clock.readings + reading;
        await clock.advance(1);
        while (clock.readings < clock.interruptedAt - 3) elector.isLeader();
        // The call in which the gap falls after the last reading was true when it was asked.
        if (clock.readings < clock.interruptedAt) elector.isLeader();
        if (clock.readings < clock.interruptedAt) elector.isLeader();
        expect({ reading, term: elector.term?.number }).not.toEqual({ reading, term: 1 });
      }
    },
  );
});

describe('the machine’s clocks', () => {
  it('are the sources of what they are named after', () => {
    const clock = new SystemClock({ monotonicMs: () => 5, wallMs: () => 7, bootMs: () => 11 });
    expect([clock.now(), clock.wallMicros(), clock.suspendedMs()]).toEqual([5, 7_000, 6]);
  });

  it('know of no sleep where the platform does not tell', () => {
    const clock = new SystemClock({
      monotonicMs: () => 5,
      wallMs: () => 7,
      bootMs: () => undefined,
    });
    expect(clock.suspendedMs()).toBe(0);
  });

  it('are the monotonic one, the wall clock and the boot time of this machine', () => {
    const clock = new SystemClock();
    const monotonic = [performance.now(), clock.now(), performance.now()];
    expect(monotonic).toEqual(monotonic.toSorted((a, b) => a - b));
    const wall = [Date.now(), clock.wallMicros() / 1_000, Date.now()];
    expect(wall).toEqual(wall.toSorted((a, b) => a - b));
  });

  it('count sleep by the boot time of a Linux machine, and nowhere else', () => {
    const clock = new SystemClock();
    const isLinux = process.platform === 'linux';
    const outside = (): number => (isLinux ? uptime() * 1_000 - performance.now() : 0);
    // The readings are apart by as long as this process is kept waiting: until it was not.
    let [before, suspended, after] = [0, 0, Infinity];
    while (Math.abs(after - before) > 20) {
      [before, suspended, after] = [outside(), clock.suspendedMs(), outside()];
    }
    expect(Math.abs(suspended - before)).toBeLessThan(40);
  });

  it('are not those of a test that fakes the date', () => {
    const clock = new SystemClock();
    const before = clock.wallMicros();
    jest.useFakeTimers({ now: 0 });
    try {
      expect(clock.wallMicros()).toBeGreaterThanOrEqual(before);
      expect(clock.now()).toBeGreaterThan(0);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('when a timer is asked for that is longer than Node.js has', () => {
  it('sets the longest that there is, and not one that fires at once', () => {
    const set = jest.spyOn(globalThis, 'setTimeout');
    const timer = new SystemClock().setTimer(() => {}, 3_000_000_000);
    timer.cancel();
    expect(set).toHaveBeenCalledWith(expect.any(Function), 2_147_483_647);
    set.mockRestore();
  });
});

describe('when the event loop was busy beyond the instant of a timer', () => {
  let server: Server;
  let reader: Socket;
  let writer: Socket;

  beforeEach(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'connection');
    reader = connect((server.address() as AddressInfo).port, '127.0.0.1');
    [writer] = (await accepted) as [Socket];
    if (reader.connecting) await once(reader, 'connect');
  });

  afterEach(() => {
    reader.destroy();
    writer.destroy();
    server.close();
  });

  it.each([5, 60])('calls back after what has arrived meanwhile: %s ms', async (delayMs) => {
    const happened: string[] = [];
    reader.on('data', () => happened.push('news'));
    const called = new Promise<void>((resolve) => {
      new SystemClock().setTimer(() => {
        happened.push('timer');
        resolve();
      }, delayMs);
    });
    // In the same turn: after another one, a machine that stood still meanwhile would have called back already.
    writer.write('renewed');
    const until = performance.now() + delayMs + 20;
    while (performance.now() < until);
    await called;
    expect(happened).toEqual(['news', 'timer']);
  });
});

describe('when a timer that has waited for long is cancelled in its last turn', () => {
  it('does not call back', async () => {
    let called = 0;
    const setTimeoutOfNode = globalThis.setTimeout;
    const set = jest.spyOn(globalThis, 'setTimeout');
    // Two timers of 51 ms do not fire in the same turn for certain; what is cancelled here has just begun its last one.
    const lastTurn = new Promise<void>((resolve) => {
      set.mockImplementationOnce((beginLastTurn, delayMs) =>
        setTimeoutOfNode(() => {
          beginLastTurn();
          timer.cancel();
          resolve();
        }, delayMs),
      );
    });
    const timer = new SystemClock().setTimer(() => (called += 1), 51);
    set.mockRestore();
    await lastTurn;
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
    expect(called).toBe(0);
  });
});

describe('when a timer is asked for that is shorter than Node.js counts', () => {
  /** A monotonic clock in the hands of the test, and the timers of this machine. */
  function clockAt(now: { ms: number }): SystemClock {
    return new SystemClock({ monotonicMs: () => now.ms, wallMs: () => 0, bootMs: () => 0 });
  }

  async function turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
  }

  it('fires in the first turn of the event loop at its very instant, and in none before', async () => {
    const now = { ms: 100 };
    let fired = 0;
    clockAt(now).setTimer(() => (fired += 1), 0.4);
    await turns(50);
    now.ms = 100.399;
    await turns(50);
    expect(fired).toBe(0);
    now.ms = 100.4;
    await turns(2);
    expect(fired).toBe(1);
    await turns(50);
    expect(fired).toBe(1);
  });

  it('waits for whole milliseconds without turning, and for the rest of the last one in turns', async () => {
    const now = { ms: 100 };
    let fired = 0;
    const immediate = jest.spyOn(globalThis, 'setImmediate');
    clockAt(now).setTimer(() => (fired += 1), 3.4);
    expect(immediate).not.toHaveBeenCalled();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(immediate).toHaveBeenCalled();
    immediate.mockRestore();
    expect(fired).toBe(0);
    now.ms = 103.4;
    await turns(2);
    expect(fired).toBe(1);
  });

  it('fires in the next turn once the clock has gone back, and does not turn until it is there again', async () => {
    const now = { ms: 100 };
    let fired = 0;
    clockAt(now).setTimer(() => (fired += 1), 0.4);
    now.ms = 99;
    await turns(2);
    expect(fired).toBe(1);
  });

  it.each([0.4, 3.4])('does not fire once it is cancelled: %s ms', async (delayMs) => {
    const now = { ms: 100 };
    let fired = 0;
    const clock = clockAt(now);
    const waiting = clock.setTimer(() => (fired += 1), delayMs);
    waiting.cancel();
    const turning = clock.setTimer(() => (fired += 1), delayMs);
    await new Promise((resolve) => setTimeout(resolve, 20));
    turning.cancel();
    now.ms = 200;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(fired).toBe(0);
  });
});
