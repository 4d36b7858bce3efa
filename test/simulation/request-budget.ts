import type { Replica } from './replica.js';
import type { World } from './world.js';

const WINDOW_MS = 10_000;

/** S8: how many requests one process may send in a window of time, whatever goes wrong. */
export class RequestBudget {
  private windowEnd = 0;
  private spent = 0;
  private allowed = 0;

  constructor(
    private readonly world: World,
    private readonly replica: Replica,
  ) {}

  spend(): void {
    const now = this.replica.clock.now();
    if (now >= this.windowEnd) {
      this.windowEnd = now + WINDOW_MS;
      this.spent = 0;
      const { retryPeriodMs } = this.replica.config;
      // A write and its read-back per back-off or retry period, and a few for changes of role.
      this.allowed = (2 * WINDOW_MS) / Math.min(250, 0.8 * retryPeriodMs) + 20;
    }
    this.spent++;
    if (this.spent > this.allowed) {
      this.world.violate(
        'request-budget',
        `${this.replica.name} sent ${this.spent} requests within ${WINDOW_MS} ms`,
      );
      this.spent = -Infinity;
    }
  }
}
