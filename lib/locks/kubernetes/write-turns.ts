const LONGEST_WAIT_MS = 250;

/**
 * The writes of one process to an object that several of its leases share, one after the other: at the same time all but
 * one would meet the version that the first has made. Whatever takes long is not waited for.
 */
export class WriteTurns {
  /** What the last write was answered with. */
  newest: unknown;
  private last: Promise<unknown> = Promise.resolve();

  /** @param timeoutMs bound of the whole write, of which at most a quarter is spent on the wait */
  take<T>(timeoutMs: number, write: () => Promise<T>): Promise<T> {
    const turn = this.wait(Math.min(LONGEST_WAIT_MS, timeoutMs / 4)).then(write);
    this.last = turn.catch(() => undefined);
    return turn;
  }

  private async wait(limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, limitMs)));
    await Promise.race([this.last, limit]);
    clearTimeout(timer);
  }
}
