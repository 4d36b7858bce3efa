const SECOND_MS = 1_000;

/** Two changes of the clock are never as close as this; so a step that ends with another offset saw exactly one. */
const STEP_MS = 7 * 86_400_000;

/** The zone of this machine, if none is given. */
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
    // Intl throws a RangeError for unknown names.
    return false;
  }
}

/** How far ahead one search looks for a change of the clock. */
const LONGEST_SPAN_MS = 53 * STEP_MS;

/** Changes come twice a year; no one needs more of them at a time. */
const MOST_SPANS = 32;

/** Instants, from `from` and before `until`, at which the clocks show the same offset. */
interface Span {
  readonly from: number;
  readonly until: number;
  readonly offset: number;
  /** False if there may be more of the same offset. */
  readonly endsWithChange: boolean;
}

/** The zones of one application, each once: jobs of one zone share what is known about its clock changes. */
export class TimeZones {
  private readonly known = new Map<string, TimeZone>();

  /** @throws RangeError for a name that is not a zone */
  of(name: string): TimeZone {
    const zone = this.known.get(name) ?? new TimeZone(name);
    this.known.set(name, zone);
    return zone;
  }
}

/** What the clocks of one place show. It asks the platform once for each change of the clocks. */
export class TimeZone {
  private readonly format: Intl.DateTimeFormat | undefined;
  private readonly spans: Span[] = [];

  /** @throws RangeError for a name that is not a zone */
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
    return this.knownAt(instant)?.offset ?? this.shownAt(instant);
  }

  /** The first instant in (from, until] at which the clocks are changed; null if they are not. */
  firstChange(from: number, until: number): number | null {
    if (this.format === undefined) return null;
    for (let span = this.spanAt(from); span.until <= until; span = this.spanAt(span.until)) {
      if (span.endsWithChange) return span.until;
    }
    return null;
  }

  /** True if the clocks of both show the same from `from` to `until`, whatever the two are called. */
  isLike(other: TimeZone, from: number, until: number): boolean {
    if (this.name.toLowerCase() === other.name.toLowerCase()) return true;
    for (let at: number | null = from; at !== null;) {
      if (this.offsetAt(at) !== other.offsetAt(at)) return false;
      const change = this.firstChange(at, until);
      if (change !== other.firstChange(at, until)) return false;
      at = change;
    }
    return true;
  }

  private knownAt(instant: number): Span | undefined {
    return this.spans.find(({ from, until }) => from <= instant && instant < until);
  }

  private spanAt(instant: number): Span {
    const known = this.knownAt(instant);
    if (known !== undefined) return known;
    const span = this.spanFrom(instant);
    if (this.spans.length === MOST_SPANS) this.spans.length = 0;
    this.spans.push(span);
    return span;
  }

  private spanFrom(from: number): Span {
    const offset = this.shownAt(from);
    const farthest = from + LONGEST_SPAN_MS;
    for (let start = from; start < farthest; start += STEP_MS) {
      const end = start + STEP_MS;
      if (this.shownAt(end) === offset) continue;
      return { from, until: this.changeWithin(start, end, offset), offset, endsWithChange: true };
    }
    return { from, until: farthest, offset, endsWithChange: false };
  }

  private shownAt(instant: number): number {
    if (this.format === undefined) return 0;
    const whole = Math.floor(instant / SECOND_MS) * SECOND_MS;
    const shown: Record<string, number> = {};
    for (const { type, value } of this.format.formatToParts(whole)) shown[type] = Number(value);
    const { year, month, day, hour, minute, second } = shown as Record<Part, number>;
    return Date.UTC(year, month - 1, day, hour, minute, second) - whole;
  }

  private changeWithin(start: number, end: number, before: number): number {
    let [low, high] = [Math.floor(start / SECOND_MS), Math.ceil(end / SECOND_MS)];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.shownAt(middle * SECOND_MS) === before) low = middle;
      else high = middle;
    }
    return high * SECOND_MS;
  }
}

type Part = 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second';
