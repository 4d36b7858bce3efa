/** What can be chosen, by the name of the choice. */
export type Axes = Readonly<Record<string, readonly string[]>>;

/** One value of each axis. */
export type Combination = Readonly<Record<string, string>>;

/** Combinations that cannot work, whatever this library does. */
export interface Impossible {
  /** The values that they have in common. */
  readonly when: Axes;
  /** For the readers of the table. */
  readonly why: string;
  /** What they fail with. Any other failure is one. */
  readonly saying: RegExp;
}

export type Verdict = 'works' | 'not possible' | 'fails';

export function product(axes: Axes): Combination[] {
  return Object.entries(axes).reduce<Combination[]>(
    (all, [axis, values]) =>
      all.flatMap((each) => values.map((value) => ({ ...each, [axis]: value }))),
    [{}],
  );
}

/**
 * Few of these combinations in which every pair of values occurs that occurs in all of them: most faults need no more than
 * two choices. Always the same ones.
 */
export function pairwise(all: readonly Combination[]): Combination[] {
  const open = new Set(all.flatMap(pairsOf));
  const chosen: Combination[] = [];
  while (open.size > 0) {
    const news = all.map((each) => pairsOf(each).filter((pair) => open.has(pair)));
    const best = news.reduce(
      (found, pairs, at) => (pairs.length > news[found]!.length ? at : found),
      0,
    );
    for (const pair of news[best]!) open.delete(pair);
    chosen.push(all[best]!);
  }
  return chosen;
}

function pairsOf(combination: Combination): string[] {
  const values = Object.entries(combination).map(([axis, value]) => `${axis}=${value}`);
  return values.flatMap((one, at) => values.slice(at).map((other) => `${one} ${other}`));
}

export function whyImpossible(
  combination: Combination,
  rules: readonly Impossible[],
): Impossible | undefined {
  return rules.find(({ when }) =>
    Object.entries(when).every(([axis, values]) => values.includes(combination[axis]!)),
  );
}

/** What came of a combination: one that should fail and does not is a failure too, as the list of them would be wrong. */
export function judge(
  error: Error | undefined,
  impossible: Impossible | undefined,
): { readonly verdict: Verdict; readonly said: string } {
  if (impossible === undefined) {
    return error ? { verdict: 'fails', said: error.message } : { verdict: 'works', said: '' };
  }
  const { why, saying } = impossible;
  if (error === undefined) {
    return { verdict: 'fails', said: `it works, and is listed as not possible: ${why}` };
  }
  if (saying.test(error.message)) return { verdict: 'not possible', said: why };
  return { verdict: 'fails', said: `it fails, and not because ${why}: ${error.message}` };
}
