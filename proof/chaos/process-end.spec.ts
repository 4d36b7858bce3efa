import { describe, expect, it } from '@jest/globals';
import { faultOfEnd } from './process-end.js';

describe('when a replica process ends', () => {
  it.each([
    { code: 0, signal: null },
    { code: 1, signal: null },
    { code: null, signal: 'SIGKILL' },
  ])('is at fault if nobody told it to ($code, $signal)', (end) => {
    expect(faultOfEnd({ ...end, wasTold: false })).toMatch(/^ended by itself: (code \d|SIGKILL)$/);
  });

  it.each([
    { code: 0, signal: null },
    { code: null, signal: 'SIGTERM' },
    { code: null, signal: 'SIGKILL' },
  ])('is not at fault if it was told to and did ($code, $signal)', (end) => {
    expect(faultOfEnd({ ...end, wasTold: true })).toBeUndefined();
  });

  it.each([
    { code: 1, signal: null },
    { code: null, signal: 'SIGABRT' },
  ])('is at fault if it failed on the way ($code, $signal)', (end) => {
    expect(faultOfEnd({ ...end, wasTold: true })).toMatch(/^failed in its shutdown: /);
  });
});
