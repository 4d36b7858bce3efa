import type { RoleElector } from '../elector/leader-elector.js';

/** Who says that this process is not fit to lead. */
type Judge = 'application' | 'checks' | 'pod';

/** Whether this process is fit to lead one role: only while nothing says that it is not (R25). */
export class RoleEligibility {
  private readonly reasons = new Map<Judge, string>();
  private readonly awaited = new Set<Judge>();
  private mayHandOver = false;
  private isToldIneligible = false;

  /** @param told hears of each change that counts: why this process is ineligible, or undefined once it is eligible */
  constructor(
    private readonly elector: Pick<RoleElector, 'isEligible' | 'setEligible'>,
    private readonly told: (why: string | undefined) => void,
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
    if (wasAwaited && !this.isAwaited && this.reasons.size > 0) this.announce();
  }

  /** The elector may see it otherwise than before. Silent while what is to decide about it has yet to answer, as at each start. */
  announce(): void {
    const { isEligible } = this.elector;
    if (this.isAwaited || isEligible === !this.isToldIneligible) return;
    this.isToldIneligible = !isEligible;
    this.told(isEligible ? undefined : this.why);
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
