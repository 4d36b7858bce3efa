/** Beyond this the oldest are forgotten: they were removed from the store long ago. */
const MOST_REMEMBERED = 1_000;

/**
 * The reports that this process has told, for as long as it lives: a job may be removed and added again before the
 * store knows, and a store may go back to a version from before.
 */
export class ToldReports {
  private readonly claims = new Set<string>();

  has(claim: string): boolean {
    return this.claims.has(claim);
  }

  add(claim: string): void {
    this.claims.add(claim);
    if (this.claims.size <= MOST_REMEMBERED) return;
    const [oldest] = this.claims;
    this.claims.delete(oldest!);
  }
}
