/** Looked up once: under jest every look-up of a global is slow. */
const { imul } = Math;

/** sfc32, seeded by a number and a name: streams of one seed are independent of how much of another is used. */
export class RandomStream {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: number, name: string) {
    let hash = 0x811c9dc5 ^ seed;
    for (let index = 0; index < name.length; index++) {
      hash = imul(hash ^ name.charCodeAt(index), 0x01000193);
    }
    this.a = hash | 0;
    this.b = seed | 0;
    this.c = Math.trunc(seed / 0x1_0000_0000) | 0;
    for (let round = 0; round < 12; round++) this.next();
  }

  /** As in a process that was cloned: from here on both give the same. */
  copy(): RandomStream {
    return Object.assign(new RandomStream(0, ''), this);
  }

  /** Uniform in [0, 1). */
  next(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 0x1_0000_0000;
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.next();
  }

  whole(least: number, most: number): number {
    return least + Math.floor((most - least + 1) * this.next());
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)]!;
  }

  shuffle<T>(items: T[]): T[] {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.whole(0, last);
      [items[last], items[other]] = [items[other]!, items[last]!];
    }
    return items;
  }
}
