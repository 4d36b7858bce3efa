import { describe, expect, it } from '@jest/globals';
import type { LeaseRecord } from '../../lib/core/lease-record.js';
import { copyOfLease } from '../../lib/elector/lock-requests.js';
import { heldBy, representation } from '../support/machine-run.js';

const CONTAINER = {
  holderIdentity: 'a',
  transitions: 4,
  acquireTimeMicros: 1,
  podUid: 'p',
  containerName: 'c',
  containerId: 'containerd://0',
};

const LEADER_ADDRESS = {
  url: 'http://a:1',
  holderIdentity: 'a',
  transitions: 4,
  acquireTimeMicros: 1,
};

describe('when a lock answers what decides only who comes first, or how soon', () => {
  it.each<[keyof LeaseRecord, unknown]>([
    ['crowd', { candidates: 3, stepMs: 4 }],
    ['successor', { transitions: 4, uid: 'u' }],
    ['container', CONTAINER],
    ['address', LEADER_ADDRESS],
    ['coordination', { strategy: 'S' }],
    ['coordination', { strategy: 'S', preferredHolder: 'p' }],
  ])('takes %s as it is: %j', (field, value) => {
    const { record } = copyOfLease(representation(heldBy('other', { [field]: value }), 1));
    expect(record[field]).toEqual(value);
    expect(record[field]).not.toBe(value);
  });

  it.each<[keyof LeaseRecord, unknown]>([
    ['crowd', 7],
    ['crowd', { candidates: 0, stepMs: 4 }],
    ['crowd', { candidates: 3, stepMs: 5_001 }],
    ['successor', 'u'],
    ['successor', { transitions: '4', uid: 'u' }],
    ['container', null],
    ['address', 'http://a:1'],
    ['address', { ...LEADER_ADDRESS, url: 7 }],
    ['address', { ...LEADER_ADDRESS, transitions: '4' }],
    ['container', { ...CONTAINER, podUid: 7 }],
    ['container', { ...CONTAINER, transitions: '4' }],
    ['coordination', 'S'],
    ['coordination', { strategy: 7 }],
    ['coordination', { strategy: '' }],
    ['coordination', { preferredHolder: 'p' }],
  ])('takes nonsense for absent: %s %j', (field, value) => {
    const { record } = copyOfLease(representation(heldBy('other', { [field]: value }), 1));
    expect(record[field]).toBeUndefined();
  });

  it('keeps of a crowd what was checked, though it answers otherwise the next time', () => {
    let reads = 0;
    const crowd = {
      candidates: 3,
      get stepMs() {
        return reads++ === 0 ? 4 : NaN;
      },
    };
    const { record } = copyOfLease(representation(heldBy('other', { crowd }), 1));
    expect(record.crowd).toEqual({ candidates: 3, stepMs: 4 });
  });
});
