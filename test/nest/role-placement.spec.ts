import { describe, expect, it } from '@jest/globals';
import type { MemberView } from '../../lib/core/member.js';
import { RolePlacement } from '../../lib/nest/role-placement.js';
import { ManualClock } from '../../lib/testing/manual-clock.js';

const pod = (uid: string, second: number, templateHash: string): MemberView => ({
  name: uid,
  uid,
  isReady: true,
  isTerminating: false,
  createdAt: new Date(second * 1_000),
  templateHash,
  isSelf: uid === 'self',
  isLeader: uid === 'self',
  leads: uid === 'self' ? ['role'] : [],
});

describe('when a newer version of the application is Ready, and its handler fails', () => {
  const members = [pod('old', 1, 'v1'), pod('self', 8, 'v2'), pod('newest', 9, 'v2')];
  const named: (string | null)[] = [];
  const placement = new RolePlacement({
    role: 'role',
    placement: 'newest',
    placementCooldownMs: 30_000,
    clock: new ManualClock(),
    elector: {
      isLeader: () => true,
      namedInVain: [],
      resting: [],
      wasNamed: false,
      nominate: (uid) => void named.push(uid),
      stepDown: () => {
        throw new Error("'newest' is no reason to hand over");
      },
    },
    eligibility: { await: () => {}, judge: () => {}, setMayHandOver: () => {} },
    members: () => members,
    roles: () => ['role'],
    warn: () => {},
  });

  it('names a pod of another version, and the newest of all when the next term ends otherwise', () => {
    placement.granted();
    expect(named.at(-1)).toBe('newest');
    placement.revoked('handler-failed');
    expect(named.at(-1)).toBe('old');
    placement.granted();
    placement.revoked('stepped-down');
    expect(named.at(-1)).toBe('newest');
    placement.close();
  });
});
