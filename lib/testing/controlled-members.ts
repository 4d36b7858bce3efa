import type { Clock } from '../core/clock.js';
import { MembersUnknownError } from '../core/errors.js';
import type { Member, MemberObserver, MemberSource } from '../core/member.js';
import type { MemberOrigin } from '../nest/shared-members.js';

/** A member as a test gives it. What is left out: ready, not terminating, created now, and not this process. */
export type TestMember = Pick<Member, 'name'> & Partial<Member>;

/** A source of members with which a test decides who they are. */
export class ControlledMembers implements MemberOrigin {
  readonly key = [this];
  private readonly observers = new Set<MemberObserver>();
  private current: readonly Member[] | undefined;

  constructor(private readonly clock: Clock) {}

  make(): MemberSource {
    let own: MemberObserver | undefined;
    return {
      start: (observer) => {
        own = observer;
        this.observers.add(observer);
        if (this.current !== undefined) observer.members(this.current);
      },
      close: async () => {
        if (own !== undefined) this.observers.delete(own);
      },
    };
  }

  set(members: readonly TestMember[] | undefined): void {
    const createdAt = new Date(this.clock.wallMicros() / 1_000);
    this.current = members?.map((given) => ({
      uid: given.name,
      isReady: true,
      isTerminating: false,
      createdAt,
      isSelf: false,
      ...given,
    }));
    for (const observer of this.observers) {
      if (this.current !== undefined) observer.members(this.current);
      else observer.unknown(new MembersUnknownError('the test has said so.'));
    }
  }
}
