import { describe, expect, it } from '@jest/globals';
import type { RestingMember } from '../../lib/core/election-state.js';
import type { MemberView } from '../../lib/core/member.js';
import { type Placement, RolePlacement } from '../../lib/nest/role-placement.js';
import { ManualClock } from '../../lib/contracts/manual-clock.js';

const pod = (uid: string, second: number, templateHash = 'v1'): MemberView => ({
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

/** The placement of one role in a process of which the test says whether it leads, and what it knows. */
class PlacedRole {
  readonly clock = new ManualClock();
  readonly named: (string | null)[] = [];
  readonly warnings: string[] = [];
  members: readonly MemberView[] | undefined;
  roles = ['role'];
  leads = true;
  namedInVain: string[] = [];
  resting: RestingMember[] = [];
  stepDowns = 0;
  /** Why the pod is no reason to lead: undefined for none. */
  judged: string | undefined;
  readonly placement: RolePlacement;

  constructor(placement: Placement, members?: readonly MemberView[]) {
    this.members = members;
    // The elector's answers are those of the moment.
    const answers = {
      namedInVain: () => this.namedInVain,
      resting: () => this.resting,
    };
    this.placement = new RolePlacement({
      role: 'role',
      placement,
      placementCooldownMs: 30_000,
      clock: this.clock,
      elector: {
        isLeader: () => this.leads,
        get namedInVain() {
          return answers.namedInVain();
        },
        get resting() {
          return answers.resting();
        },
        wasNamed: false,
        nominate: (uid) => void this.named.push(uid),
        stepDown: () => {
          this.stepDowns += 1;
          this.leads = false;
          return true;
        },
      },
      eligibility: {
        await: (_, what) => (this.judged = what),
        judge: (_, why) => (this.judged = why),
        setMayHandOver: () => {},
      },
      members: () => this.members,
      roles: () => this.roles,
      warn: (text) => this.warnings.push(text),
    });
  }
}

describe('when a person asks for a handover to a member', () => {
  const others = [pod('fit', 1), pod('newest', 9), { ...pod('ending', 3), isTerminating: true }];
  const members = [...others, pod('self', 2)];

  it('takes that member for the target, whatever the placement would choose', () => {
    const { placement, named } = new PlacedRole('newest', members);
    placement.granted();
    expect(placement.directTo('fit')).toEqual({ uid: 'fit' });
    placement.revoked('stepped-down');
    expect(named.at(-1)).toBe('fit');
  });

  it.each([
    ['self', 'self leads already'],
    ['ending', 'ending is not fit to lead: the pod is terminating'],
    ['gone', 'there is no member gone; there are fit, newest, ending'],
  ])('refuses %s, and says why', (name, refused) => {
    const { placement, named } = new PlacedRole('newest', members);
    placement.granted();
    expect(placement.directTo(name)).toEqual({ refused });
    placement.review();
    expect(named.at(-1)).toBe('newest');
  });

  it('refuses one that was named in vain, or has given up lately', () => {
    const role = new PlacedRole('newest', members);
    role.placement.granted();
    role.namedInVain = ['fit'];
    expect(role.placement.directTo('fit')).toMatchObject({
      refused: expect.stringMatching(/in vain/),
    });
    role.namedInVain = [];
    role.resting = [{ uid: 'fit', transitions: 3, count: 1, since: role.clock.now() }];
    expect(role.placement.directTo('fit')).toMatchObject({
      refused: expect.stringMatching(/given leadership up/),
    });
  });

  it('refuses while the members are not known', () => {
    const { placement } = new PlacedRole('newest');
    expect(placement.directTo('fit')).toEqual({
      refused: 'this leader does not know its members at the moment',
    });
  });
});

describe('when a newer version of the application is Ready, and its handler fails', () => {
  it('names a pod of another version, and the newest of all when the next term ends otherwise', () => {
    const members = [pod('old', 1, 'v1'), pod('self', 8, 'v2'), pod('newest', 9, 'v2')];
    const { placement, named, ...its } = new PlacedRole('newest', members);
    placement.granted();
    expect(named.at(-1)).toBe('newest');
    placement.revoked('handler-failed');
    expect(named.at(-1)).toBe('old');
    placement.granted();
    placement.revoked('stepped-down');
    expect(named.at(-1)).toBe('newest');
    placement.close();
    expect(its.stepDowns).toBe(0);
  });
});

describe('when nobody says who the members are', () => {
  it('counts as fit 5 s after the start, and not before', async () => {
    const role = new PlacedRole('newest');
    role.placement.start();
    await role.clock.advance(4_900);
    expect(role.judged).toBe('it is not known yet who the members are');
    await role.clock.advance(200);
    expect(role.judged).toBeUndefined();
    role.placement.close();
  });

  it('leaves no timer behind when it is closed', async () => {
    const role = new PlacedRole('newest');
    role.placement.start();
    role.placement.close();
    expect(role.clock.pendingTimers).toBe(0);
  });
});

describe('when a role that was spread has come back', () => {
  const members = [{ ...pod('self', 1), leads: ['role', 'other'] }, pod('b', 2), pod('c', 3)];

  /** Leads two roles, has handed one over, and leads it again; why is for the caller to say. */
  async function comesBack(why: (role: PlacedRole, target: string) => void): Promise<PlacedRole> {
    const role = new PlacedRole('spread', members);
    role.roles = ['role', 'other'];
    role.placement.granted();
    await role.clock.advance(5_100);
    expect(role.stepDowns).toBe(1);
    why(
      role,
      role.named.findLast((uid) => uid !== null)!,
    );
    role.leads = true;
    role.placement.granted();
    await role.clock.advance(10_000);
    return role;
  }

  it('moves on soon where the member that it was meant for did not come', async () => {
    const role = await comesBack(({ namedInVain }, target) => void namedInVain.push(target));
    expect(role.stepDowns).toBe(2);
    role.placement.close();
  });

  it('stays for 30 s where that member came, and has given up since', async () => {
    const role = await comesBack(
      ({ resting, clock }, uid) =>
        void resting.push({ uid, count: 1, transitions: 1, since: clock.now() }),
    );
    expect(role.stepDowns).toBe(1);
    await role.clock.advance(20_000);
    expect(role.stepDowns).toBe(2);
    role.placement.close();
  });
});

describe('when the members were unknown for a while', () => {
  it('hands over only when the list has been the same for 5 s since', async () => {
    const known = [{ ...pod('self', 1), leads: ['role', 'other'] }, pod('b', 2)];
    const role = new PlacedRole('spread', known);
    role.roles = ['role', 'other'];
    role.leads = false;
    role.placement.review();
    await role.clock.advance(60_000);
    role.members = undefined;
    role.placement.review();
    role.leads = true;
    role.members = known;
    role.placement.review();
    expect(role.stepDowns).toBe(0);
    await role.clock.advance(4_900);
    expect(role.stepDowns).toBe(0);
    await role.clock.advance(200);
    expect(role.stepDowns).toBe(1);
    role.placement.close();
  });
});

describe('when the placement function', () => {
  const members = [pod('self', 1), pod('b', 2)];

  /** A function that takes so long at each call. */
  function taking(durationsMs: number[]) {
    let calls = 0;
    const role: PlacedRole = new PlacedRole(() => {
      sleptMs += durationsMs[calls++] ?? 0;
      return 'b';
    }, members);
    let sleptMs = 0;
    const now = role.clock.now.bind(role.clock);
    role.clock.now = () => now() + sleptMs;
    return { role, calls: () => calls };
  }

  it('is slow once or twice in a row, is called again and its answer counts', () => {
    const { role, calls } = taking([150, 150, 0, 150, 150, 0]);
    for (let times = 1; times <= 8; times += 1) role.placement.granted();
    expect([calls(), role.named.every((uid) => uid === 'b'), role.warnings]).toEqual([8, true, []]);
    role.placement.close();
  });

  it('is slow three times in a row, is not called again and names nobody', () => {
    const { role, calls } = taking([0, 150, 150, 150]);
    for (let times = 1; times <= 8; times += 1) role.placement.granted();
    expect([calls(), role.named.at(-1), role.warnings]).toEqual([
      4,
      null,
      [expect.stringMatching(/took longer than 100 ms 3 times in a row, and is not called again/)],
    ]);
    role.placement.close();
  });

  it('fails in ever other words, and in two ways in turns, warns once of each way', () => {
    let calls = 0;
    const role = new PlacedRole(() => {
      calls += 1;
      if (calls % 2 === 0) return 'a stranger';
      throw new Error(`request ${calls} failed`);
    }, members);
    for (let times = 1; times <= 8; times += 1) role.placement.granted();
    expect(role.warnings).toEqual([
      expect.stringMatching(/threw: request 1 failed/),
      expect.stringMatching(/returned something else/),
    ]);
    role.placement.close();
  });
});

describe('when this process does not lead', () => {
  const fit = [pod('self', 1), pod('b', 2), pod('c', 3)];

  it.each<[string, Placement]>([
    ["'newest'", 'newest'],
    ["'spread'", 'spread'],
    ['a function', () => 'c'],
  ])('chooses nobody with %s, and does so again once it leads and until another does', (_, how) => {
    const led = (by: string) =>
      fit.map((member) => ({
        ...member,
        isLeader: member.uid === by,
        leads: member.uid === by ? ['role'] : [],
      }));
    const role = new PlacedRole(how, led('b'));
    const { placement, named } = role;
    role.leads = false;
    placement.review();
    expect(named.at(-1)).toBeNull();
    role.members = led('self');
    role.leads = true;
    placement.granted();
    expect(named.at(-1)).not.toBeNull();
    // It drains, and has yet to release the lease.
    role.members = led('nobody');
    role.leads = false;
    placement.revoked('stepped-down');
    expect(named.at(-1)).not.toBeNull();
    role.members = led('b');
    placement.review();
    expect(named.at(-1)).toBeNull();
    placement.close();
  });
});
