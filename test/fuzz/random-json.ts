/** Seeded randomness and random JSON, for inputs nobody thought of. */
export class RandomJson {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  text(): string {
    return this.pick([
      '',
      ' ',
      'a',
      'other_4711',
      '0',
      '-1',
      'null',
      'ü–字\u0000\n"\\',
      '__proto__',
      'x'.repeat(300),
      String(this.next()),
    ]);
  }

  number(): number {
    return this.pick([0, -0, 1, -1, 15, 1.5, 2 ** 31, 2 ** 53, -(2 ** 31), 1e308, this.next()]);
  }

  value(depth = 2): unknown {
    const kind = this.below(depth > 0 ? 7 : 5);
    if (kind === 0) return null;
    if (kind === 1) return this.chance(0.5);
    if (kind === 2) return this.number();
    if (kind < 5) return this.text();
    if (kind === 5) return Array.from({ length: this.below(3) }, () => this.value(depth - 1));
    return this.object(depth - 1);
  }

  object(depth = 2): Record<string, unknown> {
    const entries = Array.from({ length: this.below(4) }, () => [this.text(), this.value(depth)]);
    return Object.fromEntries(entries) as Record<string, unknown>;
  }
}
