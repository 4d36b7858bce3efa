/** Where a gate finds that its role has `mode: 'shadow'`: what it would have skipped is counted there, and runs. */
export const SHADOW = Symbol.for('nestjs-leader-election:shadow');

/** What the gates of a role with `mode: 'shadow'` would have skipped in this process. */
export class ShadowSkips {
  private readonly counts = new Map<string, number>();

  /** @param tell hears of the first of each method, and of each tenth power: a log that does not grow with the work */
  constructor(private readonly tell: (method: string, count: number) => void) {}

  count(method: string): void {
    const count = (this.counts.get(method) ?? 0) + 1;
    this.counts.set(method, count);
    if (Number.isInteger(Math.log10(count))) this.tell(method, count);
  }

  /** Calls by class and method, e.g. `PlanScheduler.closeExpiredPlans`. */
  get byMethod(): ReadonlyMap<string, number> {
    return new Map(this.counts);
  }
}
