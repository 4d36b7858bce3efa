import { WorkInFlight } from '../elector/work-in-flight.js';

/** What is tracked without a name: the schedule tracks its runs. */
const TRACKED = 'runs of @LeaderCron() jobs';

/** Work in flight that a test can be told of by name. */
export class NamedWork extends WorkInFlight {
  private readonly counts = new Map<string, number>();

  override begin(name = TRACKED): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    super.begin();
  }

  override end(name = TRACKED): void {
    const count = this.counts.get(name) ?? 0;
    if (count > 1) this.counts.set(name, count - 1);
    else this.counts.delete(name);
    super.end();
  }

  trackAs(name: string, handled: void | Promise<void>): void {
    if (handled === undefined) return;
    this.begin(name);
    const end = (): void => this.end(name);
    void handled.then(end, end);
  }

  /** Names of what has not ended, each once. */
  unfinished(): string[] {
    return [...this.counts.keys()];
  }
}
