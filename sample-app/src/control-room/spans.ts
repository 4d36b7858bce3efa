import type { ReplicaSpan } from './fleet-view.js';

const KEPT_MS = 180_000;

/** Remembers for how long each of several conditions holds. */
export class Spans {
  private spans: { kind: ReplicaSpan['kind']; from: number; to: number | null }[] = [];

  set(kind: ReplicaSpan['kind'], holds: boolean): void {
    const now = Date.now();
    const open = this.spans.find((span) => span.kind === kind && span.to === null);
    if (holds && open === undefined) this.spans.push({ kind, from: now, to: null });
    if (!holds && open !== undefined) open.to = now;
    this.spans = this.spans.filter(({ to }) => to === null || to > now - KEPT_MS);
  }

  get view(): ReplicaSpan[] {
    return this.spans.map((span) => ({ ...span }));
  }
}
