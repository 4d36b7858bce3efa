import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { onAbort, withTimeLimit } from '../../lib/core/abort-signal.js';
import { ManualClock } from '../support/manual-clock.js';

function calls(signal: AbortSignal | undefined): { count: number; ignoreAbort: () => void } {
  const seen = { count: 0, ignoreAbort: () => {} };
  seen.ignoreAbort = onAbort(signal, () => {
    seen.count += 1;
  });
  return seen;
}

it('calls back once when the signal is aborted', () => {
  const abort = new AbortController();
  const seen = calls(abort.signal);
  expect(seen.count).toBe(0);
  abort.abort();
  abort.abort();
  expect(seen.count).toBe(1);
});

it('calls back at once when the signal was aborted before', () => {
  const signal = AbortSignal.abort();
  const seen = calls(signal);
  expect(seen.count).toBe(1);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('leaves nothing on the signal and does not call back when it has stopped listening', () => {
  const abort = new AbortController();
  const seen = calls(abort.signal);
  seen.ignoreAbort();
  expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  abort.abort();
  expect(seen.count).toBe(0);
});

it('never calls back when there is no signal', () => {
  const seen = calls(undefined);
  seen.ignoreAbort();
  expect(seen.count).toBe(0);
});

describe('when a call has a time limit', () => {
  const untilAborted = (signal: AbortSignal): Promise<string> =>
    new Promise((resolve) => void onAbort(signal, () => resolve('given up')));

  it.each([
    ['the time is over', (clock: ManualClock) => clock.advance(100)],
    [
      'the given signal is aborted',
      async (clock: ManualClock, given: AbortController) => {
        given.abort();
        await clock.settle();
      },
    ],
  ])('tells it once %s', async (_when, happens) => {
    const clock = new ManualClock();
    const given = new AbortController();
    const limited = withTimeLimit(clock, 100, untilAborted, given.signal);
    await clock.advance(99);
    await happens(clock, given);
    expect(await limited).toBe('given up');
  });

  it.each([
    ['resolves', () => Promise.resolve()],
    ['rejects', () => Promise.reject(new Error('refused'))],
  ])('leaves no timer and no listener when it %s', async (_how, call) => {
    const clock = new ManualClock();
    const given = new AbortController();
    const limited = withTimeLimit(clock, 100, call, given.signal);
    await limited.catch(() => {});
    expect(clock.pendingTimers).toBe(0);
    expect(getEventListeners(given.signal, 'abort')).toEqual([]);
  });
});
