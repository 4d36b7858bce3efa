import { clearTimeout, setTimeout } from 'node:timers';

/** What a recorder waits for: each condition is looked at again whenever something was heard. */
export class Awaited {
  private readonly waiting = new Set<() => void>();

  /** @param patienceMs how long it waits, in real time; `Infinity`: as long as the test runner does */
  constructor(private readonly patienceMs: number) {}

  heard(): void {
    for (const check of this.waiting) check();
  }

  /** @param missed what is said if it does not come to hold in time */
  until(holds: () => boolean, missed: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.waiting.delete(check);
        clearTimeout(patience);
      };
      const check = (): void => {
        if (!holds()) return;
        end();
        resolve();
      };
      const patience = Number.isFinite(this.patienceMs)
        ? setTimeout(() => {
            end();
            reject(new Error(missed()));
          }, this.patienceMs)
        : undefined;
      this.waiting.add(check);
      check();
    });
  }
}
