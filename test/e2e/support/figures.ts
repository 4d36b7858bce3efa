/** Milliseconds of repeated measurements, printed so that the numbers in the docs have a source. */
export class Figures {
  private readonly rows: string[] = [];

  add(what: string, milliseconds: readonly number[], bound?: string): void {
    const sorted = [...milliseconds].sort((a, b) => a - b);
    const [least, middle, most] = [sorted[0], median(sorted), sorted.at(-1)].map((value) =>
      value!.toFixed(1),
    );
    const limit = bound === undefined ? '' : `; bound ${bound}`;
    this.rows.push(
      `${what}: median ${middle} ms (${least} to ${most}, n=${sorted.length})${limit}`,
    );
  }

  note(line: string): void {
    this.rows.push(line);
  }

  print(): void {
    process.stdout.write(`\n${this.rows.map((row) => `[figures] ${row}`).join('\n')}\n`);
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
