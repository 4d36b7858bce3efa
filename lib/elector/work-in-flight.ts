/** The work of the current term: what must have ended before the lease may be released. */
export class WorkInFlight {
  private readonly running = new Set<PromiseLike<unknown>>();

  /** Counts the work until it settles. How it ends is its owner's business. */
  track(work: PromiseLike<unknown>): void {
    this.running.add(work);
    const ended = (): void => {
      this.running.delete(work);
    };
    work.then(ended, ended);
  }

  /** Resolves when nothing runs any more, including what was added while waiting. */
  async ended(): Promise<void> {
    while (this.running.size > 0) {
      await Promise.allSettled(this.running);
    }
  }
}
