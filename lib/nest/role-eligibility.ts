import type { RoleElector } from '../elector/leader-elector.js';

/** Who says that this process is not fit to lead. */
type Judge = 'application' | 'checks' | 'pod';

/** Whether this process is fit to lead one role: only while nothing says that it is not (R25). */
export class RoleEligibility {
  private readonly reasons = new Map<Judge, string>();
  private mayHandOver = false;

  constructor(private readonly elector: Pick<RoleElector, 'setEligible'>) {}

  /** @param reason why not; undefined if this judge has no objection */
  judge(by: Judge, reason: string | undefined): void {
    if (reason === undefined) this.reasons.delete(by);
    else this.reasons.set(by, reason);
    this.tell();
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
