import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { WorkInFlight } from '../../lib/elector/work-in-flight.js';
import { CONFIG } from '../support/machine-run.js';
import { ManualClock } from '../support/manual-clock.js';
import { ScriptedLock } from '../support/scripted.lock.js';

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

describe('when work is waited for', () => {
  it('waits for what begins while it waits as well, each time anew', async () => {
    const work = new WorkInFlight();
    const [first, second, third] = [deferred(), deferred(), deferred()];
    let hasEnded = false;
    work.track(first.promise.then(() => work.track(second.promise)));
    const ended = work.ended().then(() => {
      hasEnded = true;
    });
    first.resolve();
    await turn();
    expect(hasEnded).toBe(false);
    second.resolve();
    // In the very turn in which the last one ends.
    void second.promise.then(() => work.track(third.promise));
    await turn();
    expect(hasEnded).toBe(false);
    third.resolve();
    await ended;
  });
});

describe('when work is tracked that is nothing to wait for', () => {
  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['a number', 7],
    ['an object', {}],
  ])('has ended: %s', async (_name, value) => {
    const work = new WorkInFlight();
    work.track(value);
    let hasEnded = false;
    void work.ended().then(() => {
      hasEnded = true;
    });
    await turn();
    expect(hasEnded).toBe(true);
  });
});

describe('when tracked work fails', () => {
  it('leaves the failure to its owner: it is no unhandled rejection of the election', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      const failing = Promise.reject(new Error('work failed'));
      failing.catch(() => {});
      new WorkInFlight().track(failing);
      await turn();
      expect(unhandled).toEqual([]);
    } finally {
      process.removeListener('unhandledRejection', note);
    }
  });
});

describe('when the work is a promise that cannot be waited for', () => {
  class Unspeakable extends Promise<void> {
    static override get [Symbol.species](): PromiseConstructor {
      throw new Error('no species');
    }
  }

  it.each<[string, () => unknown]>([
    ['a proxy of a promise', () => new Proxy(Promise.resolve(), {})],
    ['a promise whose species throws', () => Unspeakable.resolve()],
  ])('does not count it for good: %s', async (_name, make) => {
    const work = new WorkInFlight();
    work.track(make());
    let hasEnded = false;
    void work.ended().then(() => {
      hasEnded = true;
    });
    await turn();
    expect(hasEnded).toBe(true);
  });
});

describe('when work gives leadership up in its synchronous part', () => {
  it('is waited for, though it is tracked only when it returns', async () => {
    const lock = new ScriptedLock();
    lock.automatic = true;
    const clock = new ManualClock();
    const elector = new LeaderElector(CONFIG, { lock, clock, random: () => 0, observer: {} });
    elector.start();
    await clock.settle();
    const cleanUp = deferred();
    const work = async (): Promise<void> => {
      elector.stepDown(60_000);
      await cleanUp.promise;
    };
    elector.track(work());
    await clock.advance(1_000);
    expect(lock.stored?.record.holderIdentity).toBe('me');
    cleanUp.resolve();
    await clock.advance(2_000);
    expect(lock.stored?.record.holderIdentity).toBe('');
  });
});
