import { describe, expect, it } from '@jest/globals';
import { resolveElectionOptions } from '../../lib/core/election-options.js';
import type { ElectionConfig } from '../../lib/core/election-state.js';
import { StoreTooSlowError } from '../../lib/core/errors.js';
import { RandomStream } from '../../proof/simulation/random-stream.js';
import { heldBy, representation } from '../support/machine-run.js';
import { ModelledServer, type Treatment } from '../support/modelled-server.js';

/** The default times: D 15 s, R 10 s, p 2 s, T0 3 s. A leader is possible up to 5 s, which is R/2. */
const STARTED = 30_000;
const END = 300_000;

const played = (treatment: Treatment, end = END): ModelledServer =>
  new ModelledServer(treatment).start().until(end);

describe('when every answer takes equally long', () => {
  it.each([50, 1_800, 2_400, 3_100, 3_500, 4_500, 4_900])(
    'keeps one leader in one term: %d ms',
    (latency) => {
      const server = played(() => latency);
      expect(server.led(STARTED)).toBe(100);
      expect(server.terms).toBe(1);
    },
  );

  it.each([5_200, 6_000, 8_000])('grants no term that would have to end: %d ms', (latency) => {
    expect(played(() => latency).terms).toBe(0);
  });

  it.each([
    [950, 1],
    [1_050, 0],
  ])('finds the limit with short times as well: %d ms, %d terms', (latency, terms) => {
    const short = {
      leaseDurationMs: 3_000,
      renewDeadlineMs: 2_000,
      retryPeriodMs: 400,
      requestTimeoutMs: 550,
    };
    expect(new ModelledServer(() => latency, short).start().until(60_000).terms).toBe(terms);
  });
});

describe('when answers take too long for any leader', () => {
  const HOUR = 3_600_000;
  const complaints = (server: ModelledServer) =>
    server.run.of('failed').filter(({ error }) => error instanceof StoreTooSlowError);

  it('says so again and again, less and less often', () => {
    const server = new ModelledServer(() => 6_000).start();
    const at: number[] = [];
    for (let now = 0; now <= HOUR; now += 1_000) {
      if (complaints(server.until(now)).length > at.length) at.push(now);
    }
    const pauses = at.slice(1).map((time, index) => time - at[index]!);
    expect(at[0]).toBeLessThan(60_000);
    expect(pauses.slice(0, 5)).toEqual([12_000, 24_000, 48_000, 96_000, 192_000]);
    for (const pause of pauses.slice(5)) expect(pause).toBe(192_000);
    expect(at.at(-1)).toBeGreaterThan(HOUR - 200_000);
  });

  it.each<[number, Partial<ElectionConfig>]>([
    [5_100, {}],
    [6_000, {}],
    [7_900, {}],
    [6_000, { renewDeadlineMs: 8_000 }],
    [
      1_500,
      { leaseDurationMs: 3_000, renewDeadlineMs: 2_000, retryPeriodMs: 400, requestTimeoutMs: 550 },
    ],
  ])('names durations with which one leads without a break: %d ms, %j', (latency, change) => {
    const server = new ModelledServer(() => latency, change).start().until(END);
    const { message } = complaints(server)[0]!.error;
    const [leaseDurationMs, renewDeadlineMs] = [
      /leaseDurationMs to (\d+)/,
      /renewDeadlineMs to (\d+)/,
    ].map((named) => Number(named.exec(message)![1])) as [number, number];
    expect(message).toContain(`${latency} ms`);
    const resolved = resolveElectionOptions(
      { role: 'role', ...change, leaseDurationMs, renewDeadlineMs },
      'me',
    );
    const mended = new ModelledServer(() => latency, resolved).start().until(END);
    expect(mended.led(60_000)).toBe(100);
    expect(mended.terms).toBe(1);
  });

  it.each<[string, Treatment]>([
    ['every second answer is slow', (_at, number) => (number % 2 === 0 ? 100 : 6_000)],
    ['answers take half of the renew deadline at most', () => 4_900],
    ['one answer is late', (_at, number) => (number === 1 ? 5_500 : 50)],
    ['nothing is ever answered', () => 'lost'],
  ])('says nothing of the kind where longer durations are no remedy: %s', (_name, treatment) => {
    expect(complaints(played(treatment))).toEqual([]);
  });
});

describe('when a fast server becomes slow', () => {
  it.each([
    [3_200, 95],
    [3_500, 95],
    [4_500, 91],
  ])('loses one term at most and then keeps the next: %d ms, led %d %%', (latency, led) => {
    const server = played((at) => (at < STARTED ? 20 : latency));
    expect(server.led(STARTED)).toBeGreaterThan(led);
    expect(server.lost).toBeLessThanOrEqual(1);
  });
});

describe('when every second answer is slow', () => {
  it.each([
    [4_000, 100, 1],
    [6_000, 96, 2],
    [7_500, 88, 2],
  ])('does not take the server for a fast one each time: %d ms', (latency, led, terms) => {
    const server = played((_at, number) => (number % 2 === 0 ? 100 : latency));
    expect(server.led(STARTED)).toBeGreaterThanOrEqual(led);
    expect(server.terms).toBeLessThanOrEqual(terms);
  });
});

describe('when requests are lost now and then', () => {
  /** Terms lost by all of these seeds together. */
  function lost(end: number, treat: (random: RandomStream) => Treatment): number {
    let terms = 0;
    for (let seed = 1; seed <= 8; seed++) {
      terms += played(treat(new RandomStream(seed, 'loss')), end).lost;
    }
    return terms;
  }

  it('loses no more terms than with a fixed timeout: 5 % lost, 8 times 200 minutes', () => {
    const terms = lost(12_000_000, (random) => () => (random.next() < 0.05 ? 'lost' : 50));
    // With a fixed timeout of 3 s: 29.
    expect(terms).toBeLessThanOrEqual(29);
  }, 30_000);

  it('loses no more terms than with a fixed timeout: a tenth of the answers after 7 s, 8 times 100 minutes', () => {
    const terms = lost(6_000_000, (random) => () => (random.next() < 0.1 ? 7_000 : 50));
    // With a fixed timeout of 3 s: 76.
    expect(terms).toBeLessThanOrEqual(76);
  }, 30_000);

  it.each([50, 1_000, 2_000])('survives a half-open connection: answers after %d ms', (latency) => {
    for (let start = 60_000; start < 64_000; start += 97) {
      let isHalfOpen = true;
      const server = played((at) => {
        if (at < start || !isHalfOpen) return latency;
        isHalfOpen = false;
        return 'lost';
      }, 90_000);
      expect(server.lost).toBe(0);
    }
  });
});

describe('when the server is gone for 40 to 80 s and heals', () => {
  function msUntilLed(fate: 'lost' | 'no-connection'): number[] {
    const waits = Array.from({ length: 150 }, (_, index) => {
      const healedAt = 100_000 + index * 267;
      const outage: Treatment = (at) => (at >= 60_000 && at < healedAt ? fate : 50);
      const server = new ModelledServer(outage);
      server.run.random = (index * 0.618) % 1;
      server.start().until(healedAt + 30_000);
      return server.ledFrom(healedAt) - healedAt;
    });
    return waits.toSorted((a, b) => a - b);
  }

  it('leads soon after requests stopped hanging, as most of them have the configured timeout', () => {
    const waits = msUntilLed('lost');
    // With a fixed timeout of 3 s: 1.5 s and 3.1 s.
    expect(waits[75]).toBeLessThan(2_100);
    expect(waits.at(-1)).toBeLessThan(5_800);
  });

  it.each([3_500, 4_900])(
    'finds a server that hung and is steadily slow from then on: %d ms',
    (latency) => {
      for (let healedAt = 100_000; healedAt < 140_000; healedAt += 1_300) {
        const outage: Treatment = (at) => (at >= 60_000 && at < healedAt ? 'lost' : latency);
        const server = new ModelledServer(outage).start().until(healedAt + 60_000);
        expect(server.ledFrom(healedAt) - healedAt).toBeLessThan(22_000);
      }
    },
  );

  it('leads within a retry period after connections come about again', () => {
    const waits = msUntilLed('no-connection');
    expect(waits[75]).toBeLessThan(1_200);
    expect(waits.at(-1)).toBeLessThan(2_200);
  });
});

describe('when the leader has crashed and the connection of the standby is dead', () => {
  it('takes over after the lease and one timeout', () => {
    let attempts = 0;
    const server = new ModelledServer((at) => (at > 14_000 && attempts++ === 0 ? 'lost' : 50));
    server.lease = representation(heldBy('other'), 100);
    server.start().until(100).say({ kind: 'watch-opened' }).until(30_000);
    expect(server.ledFrom(0)).toBeLessThan(15_200 + 3_000 + 300);
  });
});

describe('when the application closes behind a slow server', () => {
  it.each([50, 1_800, 2_500, 3_500, 4_500])(
    'releases after 12 s of work, wherever in a renewal that ends: answers after %d ms',
    (latency) => {
      for (let start = 60_000; start < 64_000; start += 171) {
        const server = played(() => latency, start);
        server.say({ kind: 'withdraw', reason: 'shutdown', cooldownMs: 0 });
        server.until(start + 12_000);
        server
          .say({ kind: 'drained', term: 1 })
          .say({ kind: 'finish' })
          .until(start + 60_000);
        expect(server.run.of('released')).toHaveLength(1);
        expect(server.run.of('stop')).toHaveLength(1);
      }
    },
  );
});
