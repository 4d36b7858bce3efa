import { clearTimeout, setTimeout } from 'node:timers';
import type { Member, MemberSource } from '../core/member.js';

/** Keeps the members that a source reports, and waits for as many as there should be. */
export class RecordedMembers {
  members: readonly Member[] = [];
  private readonly waiting = new Set<() => void>();
  private hasEnded = false;

  constructor(
    private readonly source: MemberSource,
    private readonly patienceMs: number,
  ) {
    source.start({
      members: (members) => {
        this.members = members;
        for (const check of this.waiting) check();
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
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.waiting.delete(check);
        clearTimeout(patience);
      };
      const check = (): void => {
        if (this.members.length !== count) return;
        end();
        resolve();
      };
      const patience = setTimeout(() => {
        end();
        const names = this.members.map(({ name }) => name).join(', ');
        const waited = `within ${this.patienceMs} ms there were not ${count} competitors`;
        reject(new Error(`${waited}, but: ${names || 'none'}`));
      }, this.patienceMs);
      this.waiting.add(check);
      check();
    });
  }
}
