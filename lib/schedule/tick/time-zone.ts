const SECOND_MS = 1_000;

/** Two changes of the clock are never as close as this; so a step that ends with another offset saw exactly one. */
const STEP_MS = 7 * 86_400_000;

/** The zone of this machine, where none is given. */
export function localTimeZone(): string {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  return isTimeZone(timeZone) ? timeZone : 'UTC';
}

/** True for a name of the IANA data base, as this platform knows it. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    // RangeError is how Intl says no.
    return false;
  }
}

/** What the clocks of one place show. */
export class TimeZone {
  private readonly format: Intl.DateTimeFormat | undefined;

  /** @throws RangeError for a name that is no zone */
  constructor(readonly name: string) {
    this.format = /^(etc\/)?utc$/i.test(name)
      ? undefined
      : new Intl.DateTimeFormat('en-US', {
          timeZone: name,
          hourCycle: 'h23',
          year: 'numeric',
          month: 'numeric',
          day: 'numeric',
          hour: 'numeric',
          minute: 'numeric',
          second: 'numeric',
        });
  }

  /** Local time minus UTC at an instant, in milliseconds. */
  offsetAt(instant: number): number {
    if (this.format === undefined) return 0;
    const whole = Math.floor(instant / SECOND_MS) * SECOND_MS;
    const shown: Record<string, number> = {};
    for (const { type, value } of this.format.formatToParts(whole)) shown[type] = Number(value);
    const { year, month, day, hour, minute, second } = shown as Record<Part, number>;
    return Date.UTC(year, month - 1, day, hour, minute, second) - whole;
  }

  /** The first instant in (from, until] at which the clocks are changed; null if they are not. */
  firstChange(from: number, until: number): number | null {
    const before = this.offsetAt(from);
    for (let start = from; start < until; start += STEP_MS) {
      const end = Math.min(start + STEP_MS, until);
      if (this.offsetAt(end) !== before) return this.changeWithin(start, end, before);
    }
    return null;
  }

  private changeWithin(start: number, end: number, before: number): number {
    let [low, high] = [Math.floor(start / SECOND_MS), Math.ceil(end / SECOND_MS)];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.offsetAt(middle * SECOND_MS) === before) low = middle;
      else high = middle;
    }
    return high * SECOND_MS;
  }
}

type Part = 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second';
