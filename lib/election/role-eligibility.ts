import type { RoleElector } from '../elector/leader-elector.js';

/** Who says that this process is not fit to lead. */
type Judge = 'application' | 'checks' | 'pod';

/** Whether this process is fit to lead one role: only while nothing says that it is not (R25). */
export class RoleEligibility {
  private readonly reasons = new Map<Judge, string>();
  private readonly awaited = new Set<Judge>();
  private mayHandOver = false;

  /** @param unfit is called when all that was awaited is known, and this process is not fit to lead */
  constructor(
    private readonly elector: Pick<RoleElector, 'setEligible'>,
    private readonly unfit: () => void,
  ) {}

  /** What this judge will say is not known yet. Until then this process acquires nothing that it might hand over at once. */
  await(by: Judge, what: string): void {
    this.awaited.add(by);
    this.reasons.set(by, what);
    this.tell();
  }

  get isAwaited(): boolean {
    return this.awaited.size > 0;
  }

  /** @param reason why not; undefined if this judge has no objection */
  judge(by: Judge, reason: string | undefined): void {
    if (reason === undefined) this.reasons.delete(by);
    else this.reasons.set(by, reason);
    const wasAwaited = this.awaited.delete(by);
    this.tell();
    if (wasAwaited && !this.isAwaited && this.reasons.size > 0) this.unfit();
  }

  /** Another member that is fit to take over is known, or no more. */
  setMayHandOver(mayHandOver: boolean): void {
    this.mayHandOver = mayHandOver;
    this.tell();
  }

  /** Why this process is not fit to lead, for people. */
  get why(): string {
    return [...this.reasons.values()].join('; ') || 'until a moment ago';
  }

  private tell(): void {
    this.elector.setEligible(this.reasons.size === 0, this.mayHandOver);
  }
}
