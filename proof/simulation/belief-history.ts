/** One stretch of true time in which one process believed that it leads and was able to act on it. */
export interface Belief {
  readonly process: number;
  readonly term: number;
  readonly token: bigint;
  readonly from: number;
  to: number;
  /** Whether time ended it rather than an event. */
  expired: boolean;
}

export interface Overlap {
  readonly first: Belief;
  readonly second: Belief;
  readonly ms: number;
}

/** True time is a sum of floating-point numbers. */
const ROUNDING_MS = 1e-6;

/** Who believed when, computed from the ends of validity and not from samples. */
export class BeliefHistory {
  readonly beliefs: Belief[] = [];
  /** Whose validity passed and who went on in the same term all the same. */
  readonly resumed: { readonly belief: Belief; readonly at: number }[] = [];
  private readonly open = new Map<number, Belief>();

  /** This process believes at `now`, and will until `validUntil` unless something happens. */
  holds(
    process: number,
    now: number,
    validUntil: number,
    { number, fencingToken }: { readonly number: number; readonly fencingToken: bigint },
  ): void {
    const known = this.open.get(process);
    if (known !== undefined && known.token === fencingToken && now < known.to + ROUNDING_MS) {
      known.to = validUntil;
      return;
    }
    if (known !== undefined) this.ends(process, now);
    if (known?.token === fencingToken) this.resumed.push({ belief: known, at: now });
    const belief: Belief = {
      process,
      term: number,
      token: fencingToken,
      from: now,
      to: validUntil,
      expired: true,
    };
    this.open.set(process, belief);
    this.beliefs.push(belief);
  }

  ends(process: number, now: number): void {
    const belief = this.open.get(process);
    if (belief === undefined) return;
    if (now < belief.to) {
      belief.to = now;
      belief.expired = false;
    }
    this.open.delete(process);
  }

  believes(process: number, now: number): boolean {
    const belief = this.open.get(process);
    return belief !== undefined && now < belief.to;
  }

  endAll(now: number): void {
    for (const process of this.open.keys()) this.ends(process, now);
  }

  overlaps(): Overlap[] {
    const found: Overlap[] = [];
    this.eachPair((first, second) => {
      const ms = Math.min(first.to, second.to) - second.from;
      if (ms > ROUNDING_MS) found.push({ first, second, ms });
    });
    return found;
  }

  /** The smallest distance between a belief that only time ended and the next one of another process. */
  nearestMiss(): number {
    let nearest = Infinity;
    this.eachPair((first, second) => {
      if (first.expired && second.from >= first.to) {
        nearest = Math.min(nearest, second.from - first.to);
      }
    });
    return nearest;
  }

  private eachPair(visit: (first: Belief, second: Belief) => void): void {
    const inOrder = this.beliefs.toSorted((a, b) => a.from - b.from);
    inOrder.forEach((second, index) => {
      for (let earlier = index - 1; earlier >= 0 && earlier > index - 20; earlier--) {
        const first = inOrder[earlier]!;
        if (first.process !== second.process) visit(first, second);
      }
    });
  }
}
