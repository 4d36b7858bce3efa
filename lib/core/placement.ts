import type { Member } from './member.js';

/**
 * Which member should lead (R26). Pure functions of what every member can know, so that all of them compute the same
 * from the same list and nothing has to be written for it.
 */

/**
 * The members that may be handed a role: Ready, not terminating, and not in `unfit`, which holds those that were named in
 * vain and those that rest after they gave up (R25).
 */
export function fitMembers<M extends Pick<Member, 'uid' | 'isReady' | 'isTerminating'>>(
  members: readonly M[],
  unfit: ReadonlySet<string>,
): M[] {
  return members.filter(
    ({ uid, isReady, isTerminating }) => isReady && !isTerminating && !unfit.has(uid),
  );
}

type Age = Pick<Member, 'uid' | 'createdAt' | 'templateHash'>;

/**
 * The youngest of these members, by creation time and then by uid. If `avoidTemplateHash` is given, that version of the
 * application has failed: a member of another version comes first, however old.
 */
export function newestMember<M extends Age>(
  members: readonly M[],
  avoidTemplateHash?: string,
): M | undefined {
  const others =
    avoidTemplateHash === undefined
      ? []
      : members.filter(({ templateHash }) => templateHash !== avoidTemplateHash);
  return (others.length > 0 ? others : members).reduce<M | undefined>(
    (youngest, member) =>
      youngest === undefined || isYounger(member, youngest) ? member : youngest,
    undefined,
  );
}

function isYounger(one: Age, other: Age): boolean {
  const [its, others] = [one.createdAt.getTime(), other.createdAt.getTime()];
  return its === others ? one.uid > other.uid : its > others;
}

/**
 * The member that each role belongs to. Every member gets floor(k/n) of the k roles, and one more the k mod n members
 * that lead most already. A member keeps what it leads, the highest hashes first, up to that quota; each of the other roles
 * goes to the member below its quota with the highest hash. So no balanced assignment moves fewer roles.
 *
 * @param holders for every role, the uid of the member that leads it, if one is known to
 */
export function spreadAssignment(
  members: readonly string[],
  holders: ReadonlyMap<string, string | undefined>,
): Map<string, string> {
  const assignment = new Map<string, string>();
  if (members.length === 0) return assignment;
  const free = quotas(members, holders);
  const byName = [...holders.keys()].toSorted(compare);
  const roles = highestFirst(byName, (role) => hashOf(role, holders.get(role) ?? ''));
  const place = (role: string, uid: string): void => {
    assignment.set(role, uid);
    free.set(uid, free.get(uid)! - 1);
  };
  for (const role of roles) {
    const holder = holders.get(role);
    if (holder !== undefined && (free.get(holder) ?? 0) > 0) place(role, holder);
  }
  for (const role of byName) {
    if (assignment.has(role)) continue;
    const open = members.filter((uid) => free.get(uid)! > 0);
    place(role, highestFirst(open, (uid) => hashOf(role, uid))[0]!);
  }
  return assignment;
}

/** How many roles each member gets. */
function quotas(
  members: readonly string[],
  holders: ReadonlyMap<string, string | undefined>,
): Map<string, number> {
  const load = new Map(members.map((uid) => [uid, 0]));
  for (const holder of holders.values()) {
    if (holder !== undefined && load.has(holder)) load.set(holder, load.get(holder)! + 1);
  }
  const least = Math.floor(holders.size / members.length);
  const oneMore = holders.size % members.length;
  const mostLoadedFirst = highestFirst(members, (uid) => hashOf('', uid)).toSorted(
    (a, b) => load.get(b)! - load.get(a)!,
  );
  return new Map(mostLoadedFirst.map((uid, rank) => [uid, rank < oneMore ? least + 1 : least]));
}

/** By their hashes, each computed once. */
function highestFirst(names: readonly string[], hash: (name: string) => number): string[] {
  const hashes = new Map(names.map((name) => [name, hash(name)]));
  return names.toSorted((a, b) => hashes.get(b)! - hashes.get(a)! || compare(a, b));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const { imul } = Math;

/** FNV-1a with the last steps of MurmurHash3, as the names of roles and members differ in few characters. 32 bits. */
function hashOf(role: string, uid: string): number {
  const text = `${role}\n${uid}`;
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
