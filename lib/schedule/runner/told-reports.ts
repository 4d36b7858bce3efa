/** Beyond this the oldest are forgotten: they were removed from the store long ago. */
const MOST_REMEMBERED = 1_000;

/**
 * The reports that this process has delivered, and the requests that it has seen decided, for as long as it lives: a job may be removed and added again before the
 * store knows, and a store may go back to an earlier version.
 */
export class ToldReports {
  private readonly names = new Set<string>();

  has(job: string, id: string): boolean {
    return this.names.has(`${id} ${job}`);
  }

  /** False if it was added before. Two jobs may have reports with the same id: of the same attempt of the same tick. */
  add(job: string, id: string): boolean {
    const name = `${id} ${job}`;
    if (this.names.has(name)) return false;
    this.names.add(name);
    if (this.names.size <= MOST_REMEMBERED) return true;
    const [oldest] = this.names;
    this.names.delete(oldest!);
    return true;
  }
}
