import { getEventListeners } from 'node:events';
import { expect, it } from '@jest/globals';
import { onAbort } from '../../lib/core/abort-signal.js';

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
