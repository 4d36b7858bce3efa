import { describe, expect, it } from '@jest/globals';
import { fitMembers, newestMember, spreadAssignment } from '../../lib/core/placement.js';
import { RandomStream } from '../../proof/simulation/random-stream.js';

const member = (uid: string, second: number, templateHash?: string) => ({
  uid,
  createdAt: new Date(second * 1_000),
  ...(templateHash !== undefined && { templateHash }),
});

describe('when a release names the newest member', () => {
  it('names the youngest, whatever the order of the list', () => {
    const members = [member('a', 3), member('b', 9), member('c', 5)];
    expect(newestMember(members)?.uid).toBe('b');
    expect(newestMember(members.toReversed())?.uid).toBe('b');
  });

  it('names the one with the higher uid of two that were created in the same second', () => {
    const members = [member('b', 9), member('c', 9), member('a', 9)];
    expect(newestMember(members)?.uid).toBe('c');
    expect(newestMember(members.toReversed())?.uid).toBe('c');
  });

  it('names nobody where there is no member', () => {
    expect(newestMember([])).toBeUndefined();
  });
});

describe('when a handler failed on one version of the application', () => {
  it('names the youngest of another version first', () => {
    const members = [member('old', 1, 'v1'), member('older', 0, 'v1'), member('new', 9, 'v2')];
    expect(newestMember(members, 'v2')?.uid).toBe('old');
  });

  it('names the youngest of the same version if there is no other', () => {
    const members = [member('a', 1, 'v2'), member('b', 9, 'v2')];
    expect(newestMember(members, 'v2')?.uid).toBe('b');
  });

  it('counts a member of unknown version as one of another', () => {
    const members = [member('a', 1), member('b', 9, 'v2')];
    expect(newestMember(members, 'v2')?.uid).toBe('a');
  });
});

describe('when a leader looks for a member to hand over to', () => {
  it.each([
    ['not Ready', { isReady: false, isTerminating: false }, []],
    ['terminating', { isReady: true, isTerminating: true }, []],
    ['named in vain, or resting', { isReady: true, isTerminating: false }, ['a']],
  ])('leaves out one that is %s', (_why, state, unfit) => {
    expect(fitMembers([{ uid: 'a', ...state }], new Set(unfit))).toEqual([]);
  });

  it('takes one that is Ready', () => {
    const fit = { uid: 'a', isReady: true, isTerminating: false };
    expect(fitMembers([fit], new Set(['b']))).toEqual([fit]);
  });
});

type Holders = Map<string, string | undefined>;

interface Draw {
  readonly members: string[];
  readonly holders: Holders;
}

/** Any distribution of roles, also over members that are gone and over nobody. */
function draw(random: RandomStream, mostMembers: number, mostRoles: number): Draw {
  const members = Array.from({ length: random.whole(1, mostMembers) }, (_, i) => `pod-${i}`);
  const leaders = [...members, undefined, 'gone'];
  const favourite = random.pick(leaders);
  const roles = Array.from({ length: random.whole(1, mostRoles) }, (_, i) => `role-${i}`);
  const isSkewed = random.chance(0.5);
  const holders: Holders = new Map(
    roles.map((role) => [role, isSkewed && random.chance(0.7) ? favourite : random.pick(leaders)]),
  );
  return { members, holders };
}

function loads(members: readonly string[], assignment: ReadonlyMap<string, string>): number[] {
  return members.map((uid) => [...assignment.values()].filter((one) => one === uid).length);
}

function moves(
  { members, holders }: Draw,
  assignmentOf: (role: string) => string | undefined,
): number {
  return [...holders].filter(
    ([role, holder]) =>
      holder !== undefined && members.includes(holder) && assignmentOf(role) !== holder,
  ).length;
}

/** By trying every assignment. */
function fewestMoves(given: Draw): number {
  const { members, holders } = given;
  const roles = [...holders.keys()];
  let fewest = Infinity;
  const tryAll = (chosen: string[]): void => {
    if (chosen.length < roles.length) {
      for (const uid of members) tryAll([...chosen, uid]);
      return;
    }
    const load = members.map((uid) => chosen.filter((one) => one === uid).length);
    if (Math.max(...load) - Math.min(...load) > 1) return;
    fewest = Math.min(
      fewest,
      moves(given, (role) => chosen[roles.indexOf(role)]),
    );
  };
  tryAll([]);
  return fewest;
}

describe('when roles are spread over the members', () => {
  it('gives every member floor or ceil of k/n roles, in 5,000 random states', () => {
    const random = new RandomStream(26, 'balance');
    for (let round = 0; round < 5_000; round++) {
      const { members, holders } = draw(random, 12, 30);
      const assignment = spreadAssignment(members, holders);
      const load = loads(members, assignment);
      expect(assignment.size).toBe(holders.size);
      expect(Math.max(...load)).toBe(Math.ceil(holders.size / members.length));
      expect(Math.min(...load)).toBe(Math.floor(holders.size / members.length));
    }
  });

  it('moves no more roles than any balanced assignment must, in 400 random states', () => {
    const random = new RandomStream(26, 'moves');
    for (let round = 0; round < 400; round++) {
      const given = draw(random, 4, 6);
      const assignment = spreadAssignment(given.members, given.holders);
      expect(moves(given, (role) => assignment.get(role))).toBe(fewestMoves(given));
    }
  });

  it('gives the same to every member, in whatever order it has heard of the others', () => {
    const random = new RandomStream(26, 'order');
    for (let round = 0; round < 500; round++) {
      const { members, holders } = draw(random, 10, 25);
      const shuffledHolders: Holders = new Map(random.shuffle([...holders]));
      const here = spreadAssignment(members, holders);
      const there = spreadAssignment(random.shuffle([...members]), shuffledHolders);
      expect(there).toEqual(here);
    }
  });

  it('moves nothing that was moved before: a balanced state stays as it is', () => {
    const random = new RandomStream(26, 'stays');
    for (let round = 0; round < 500; round++) {
      const { members, holders } = draw(random, 10, 25);
      const first = spreadAssignment(members, holders);
      expect(spreadAssignment(members, first)).toEqual(first);
    }
  });

  it('lets the members that lead most keep one more than the others', () => {
    const holders: Holders = new Map([
      ['r1', 'a'],
      ['r2', 'a'],
      ['r3', 'b'],
    ]);
    const assignment = spreadAssignment(['b', 'a'], holders);
    expect(Object.fromEntries(assignment)).toEqual({ r1: 'a', r2: 'a', r3: 'b' });
  });

  it('places nothing where there is no member', () => {
    expect(spreadAssignment([], new Map([['r1', undefined]])).size).toBe(0);
  });
});

describe('when a cap of ceil(k/n) takes the place of the quotas', () => {
  /** The rule that was refuted: rendezvous hashing with a cap bounds the load from above alone. */
  function capped(members: readonly string[], holders: Holders): Map<string, string> {
    const cap = Math.ceil(holders.size / members.length);
    const load = new Map(members.map((uid) => [uid, 0]));
    const assignment = new Map<string, string>();
    for (const role of holders.keys()) {
      const single: Holders = new Map([[role, undefined]]);
      const open = members.filter((uid) => load.get(uid)! < cap);
      const [, uid] = [...spreadAssignment(open, single)][0]!;
      assignment.set(role, uid);
      load.set(uid, load.get(uid)! + 1);
    }
    return assignment;
  }

  it('leaves some members with less than their share, as the quotas never do', () => {
    const members = ['a', 'b', 'c', 'd'];
    let unbalanced = 0;
    for (let round = 0; round < 100; round++) {
      const roles = Array.from({ length: 10 }, (_, i) => `role-${round}-${i}`);
      const holders: Holders = new Map(roles.map((role) => [role, undefined]));
      const share = Math.floor(roles.length / members.length);
      if (Math.min(...loads(members, capped(members, holders))) < share) unbalanced++;
      expect(Math.min(...loads(members, spreadAssignment(members, holders)))).toBe(share);
    }
    expect(unbalanced).toBeGreaterThan(20);
  });
});
