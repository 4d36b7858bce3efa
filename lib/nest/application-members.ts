import type { Clock } from '../core/clock.js';
import type { MembersRequester, MemberSources, SharedMembers } from './shared-members.js';

/** What is loaded with the first role that asks for members. */
type MemberParts = Pick<typeof import('./shared-members.js'), 'memberOrigin' | 'SharedMembers'>;

/** The members as all roles of one application know them: one source however many roles. */
export class ApplicationMembers {
  private readonly shared: SharedMembers[] = [];
  private readonly everyone: MembersRequester[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly random: () => number,
    private readonly sources?: MemberSources,
  ) {}

  /** @throws LeaderElectionOptionsError if the role cannot have them */
  of(requester: MembersRequester, parts: MemberParts): SharedMembers {
    const { clock, random, sources = parts.memberOrigin } = this;
    const origin = sources(requester, { clock, random });
    let shared = this.shared.find(
      (known) => !known.isClosed && areSame(known.origin.key, origin.key),
    );
    if (shared === undefined) {
      shared = new parts.SharedMembers(origin, this.everyone);
      this.shared.push(shared);
    }
    this.everyone.push(requester);
    shared.join(requester);
    return shared;
  }
}

function areSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.length === others.length && some.every((part, index) => part === others[index]);
}
