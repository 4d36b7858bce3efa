/** At most one process at a time believes that it leads, and fencing tokens grow, as under a lease that works. */
export class OrderlyElection {
  private holder: string | undefined;
  private until = -Infinity;
  private token = 0;

  constructor(
    private readonly now: () => number,
    private readonly validityMs: number,
  ) {}

  /** The fencing token of a new term; undefined while another process may still believe that it leads. */
  take(process: string): number | undefined {
    if (this.holder !== undefined && this.now() < this.until) return undefined;
    this.holder = process;
    this.until = this.now() + this.validityMs;
    return (this.token += 1);
  }

  renew(process: string): void {
    if (this.holder === process) this.until = this.now() + this.validityMs;
  }

  release(process: string): void {
    if (this.holder === process) this.holder = undefined;
  }
}
