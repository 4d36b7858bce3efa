/** The widest line of a table. */
export const WIDTH = 100;

/** Where a command writes. With `--json` it writes one JSON document to stdout, and what people read to stderr. */
export interface Output {
  readonly isJson: boolean;
  /** For people; nothing with `--json`. */
  say(text: string): void;
  /** To stderr, in either case. */
  warn(text: string): void;
  /** The result; nothing without `--json`. */
  result(value: unknown): void;
}

interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

export function outputTo({ stdout, stderr }: Streams, isJson: boolean): Output {
  return {
    isJson,
    say: (text) => {
      if (!isJson) stdout.write(`${text}\n`);
    },
    warn: (text) => void stderr.write(`${text}\n`),
    result: (value) => {
      if (isJson) stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    },
  };
}

/**
 * Columns as wide as they must be, and no line wider than {@link WIDTH}: the widest column is cut, then the next. The first row
 * has the titles.
 */
export function table(rows: readonly (readonly string[])[], width = WIDTH): string {
  const gap = 2;
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const room = width - gap * Math.max(0, widths.length - 1);
  while (widths.reduce((sum, each) => sum + each, 0) > room) {
    const widest = widths.indexOf(Math.max(...widths));
    widths[widest] = widths[widest]! - 1;
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => cut(cell, widths[column]!).padEnd(widths[column]!))
        .join(' '.repeat(gap))
        .trimEnd(),
    )
    .join('\n');
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/** As people say it: `3.2 s`, `4 min`, `2 h`, `5 d`. */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`;
}
