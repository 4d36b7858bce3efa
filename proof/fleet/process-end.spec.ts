import { describe, expect, it } from '@jest/globals';
import { faultOfEnd } from './process-end.js';

describe('when a replica process ends', () => {
  it.each([
    { code: 0, signal: null },
    { code: 1, signal: null },
    { code: null, signal: 'SIGKILL' },
  ])('is at fault if nobody told it to ($code, $signal)', (end) => {
    expect(faultOfEnd({ ...end, told: [] })).toMatch(/^ended by itself: (code \d|SIGKILL)$/);
  });

  it.each([
    { told: ['SIGTERM'], code: 0, signal: null },
    { told: ['SIGTERM'], code: null, signal: 'SIGTERM' },
    { told: ['SIGKILL'], code: null, signal: 'SIGKILL' },
    { told: ['SIGTERM', 'SIGKILL'], code: 0, signal: null },
    { told: ['SIGTERM', 'SIGKILL'], code: null, signal: 'SIGKILL' },
  ])('is not at fault if $told told it to and it did ($code, $signal)', (end) => {
    expect(faultOfEnd(end)).toBeUndefined();
  });

  it.each([
    { told: ['SIGTERM'], code: 1, signal: null },
    { told: ['SIGTERM'], code: null, signal: 'SIGABRT' },
    { told: ['SIGTERM'], code: null, signal: 'SIGKILL' },
    { told: ['SIGKILL'], code: 0, signal: null },
  ])('is at fault if it ended otherwise than $told told it to ($code, $signal)', (end) => {
    expect(faultOfEnd(end)).toMatch(/^failed in its shutdown: /);
  });
});
