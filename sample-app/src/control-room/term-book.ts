import type { TermView } from './fleet-view.js';

interface Led {
  readonly holder: string;
  readonly term: number;
  readonly from: number;
  to: number | null;
  reason: string | null;
}

const KEPT_TERMS = 50;

/** Who led when, and for how long no replica did. */
export class TermBook {
  private readonly terms: Led[] = [];
  private readonly standing = new Map<string, number>();
  private forgotten = 0;

  constructor(private readonly nameOf: (holder: string) => string) {}

  granted(holder: string, term: number, at: number): void {
    // A process whose code stands still leads no longer once another leads, and will say so when it runs again.
    for (const open of this.terms.filter(({ to }) => to === null)) {
      const since = this.standing.get(open.holder);
      if (since === undefined) continue;
      open.to = Math.max(open.from, since);
      open.reason = 'stood still';
    }
    this.terms.push({ holder, term, from: at, to: null, reason: null });
    if (this.terms.length > KEPT_TERMS)
      this.forgotten = Math.max(this.forgotten, this.terms.shift()!.to ?? 0);
  }

  revoked(holder: string, at: number, reason: string): void {
    const open = this.openOf(holder);
    if (open === undefined) return;
    open.to = Math.max(open.from, at);
    open.reason = reason;
  }

  /** Frozen or blocked: it runs no code from now on. */
  stoodStill(holder: string, since: number): void {
    if (!this.standing.has(holder)) this.standing.set(holder, since);
  }

  moves(holder: string): void {
    this.standing.delete(holder);
  }

  /** The other replicas notice the end of a process as soon as this program does, or a moment earlier. */
  ended(holder: string, at: number, how: string): void {
    const open = this.openOf(holder);
    const next = this.terms[this.terms.indexOf(open!) + 1];
    const end = this.standing.get(holder) ?? at;
    if (open !== undefined) this.revoked(holder, Math.min(end, next?.from ?? end), how);
    this.moves(holder);
  }

  get leader(): (TermView & { readonly holder: string }) | null {
    const index = this.terms.findLastIndex(({ to }) => to === null);
    const led = this.terms[index];
    return led === undefined ? null : { ...this.viewOf(led, index), holder: led.holder };
  }

  get leaderlessSince(): number | null {
    if (this.terms.length === 0 || this.leader !== null) return null;
    return Math.max(...this.terms.map(({ to }) => to!));
  }

  view(): TermView[] {
    return this.terms.map((led, index) => this.viewOf(led, index));
  }

  private viewOf({ holder, ...led }: Led, index: number): TermView {
    return { ...led, replica: this.nameOf(holder), gapMs: this.gapBefore(led.from, index) };
  }

  private gapBefore(from: number, index: number): number | null {
    const before = this.terms.slice(0, index);
    if (before.length === 0) return this.forgotten === 0 ? null : from - this.forgotten;
    return from - Math.max(...before.map(({ to }) => to ?? from), this.forgotten);
  }

  private openOf(holder: string): Led | undefined {
    return this.terms.findLast((led) => led.holder === holder && led.to === null);
  }
}
