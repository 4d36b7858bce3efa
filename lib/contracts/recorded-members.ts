import type { Member, MemberSource } from '../core/member.js';
import { Awaited } from './awaited.js';

/** Keeps the members that a source reports, and waits for as many as there should be. */
export class RecordedMembers {
  members: readonly Member[] = [];
  private readonly awaited: Awaited;
  private hasEnded = false;

  constructor(
    private readonly source: MemberSource,
    private readonly patienceMs: number,
  ) {
    this.awaited = new Awaited(patienceMs);
    source.start({
      members: (members) => {
        this.members = members;
        this.awaited.heard();
      },
      unknown: () => undefined,
    });
  }

  async close(): Promise<void> {
    if (this.hasEnded) return;
    this.hasEnded = true;
    await this.source.close();
  }

  untilCount(count: number): Promise<void> {
    return this.awaited.until(
      () => this.members.length === count,
      () => {
        const names = this.members.map(({ name }) => name).join(', ');
        const waited = `within ${this.patienceMs} ms there were not ${count} competitors`;
        return `${waited}, but: ${names || 'none'}`;
      },
    );
  }
}
