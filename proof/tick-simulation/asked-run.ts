import type { TriggerResult } from '../../lib/schedule/runner/job.js';
import type { ConcurrencyPolicy } from '../../lib/schedule/tick/tick-schedule.js';

/** One call of `trigger()`: what became of the run, and what the caller was told. */
export class AskedRun {
  became: 'not started' | 'under way' | 'succeeded' | 'failed' | 'cancelled' = 'not started';
  private result: TriggerResult | 'rejected' | undefined;
  /** What had become of it when the caller was told. */
  private wasThen: AskedRun['became'] | undefined;

  constructor(
    readonly time: number,
    private readonly policy: ConcurrencyPolicy,
    private readonly isOrphaned: () => boolean,
  ) {}

  told(result: TriggerResult | 'rejected'): void {
    this.result = result;
    this.wasThen = this.became;
  }

  /** Undefined if all is well. The caller in a process that was killed, or of a run that never ends, may never hear. */
  get fault(): string | undefined {
    const { result, became, wasThen } = this;
    if (result === undefined && became === 'under way') return undefined;
    if (result === undefined && this.isOrphaned()) return undefined;
    if (became === wasThen && this.isFitting(result)) return undefined;
    return `${new Date(this.time).toISOString()}: told ${result}, was ${wasThen}, became ${became}`;
  }

  private isFitting(result: TriggerResult | 'rejected' | undefined): boolean {
    switch (result) {
      case 'succeeded':
      case 'failed':
      case 'cancelled':
        return this.became === result;
      case 'forbidden':
        return this.became === 'not started' && this.policy !== 'Allow';
      case 'unresolved':
        return this.became === 'not started';
      default:
        return false;
    }
  }
}
