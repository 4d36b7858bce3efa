/** One quantity, measured several times in one run. */
export interface Figure {
  /** How often. */
  readonly n: number;
  readonly unit: Unit;
  readonly median: number;
  /** The lower and the upper quartile. */
  readonly low: number;
  readonly high: number;
  /** With few values the largest. */
  readonly p99: number;
  readonly least: number;
  readonly most: number;
}

export type Unit =
  'ms' | 's' | 'ns' | 'µs' | 'MiB' | 'KiB' | 'bytes' | 'per minute' | 'per second' | '×' | '';

/** At least one value. */
export function figure(values: readonly number[], unit: Unit): Figure {
  if (values.length === 0) throw new Error('a figure needs at least one value');
  const sorted = values.toSorted((a, b) => a - b);
  return {
    n: sorted.length,
    unit,
    median: quantile(sorted, 0.5),
    low: quantile(sorted, 0.25),
    high: quantile(sorted, 0.75),
    p99: quantile(sorted, 0.99),
    least: sorted[0]!,
    most: sorted.at(-1)!,
  };
}

/** Of sorted values; between two of them as far as the share says. */
function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
  return below + (above - below) * (place - Math.floor(place));
}
