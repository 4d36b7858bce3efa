/** One term of one process, as far as its history tells. Times in milliseconds of the monotonic clock. */
export interface Belief {
  readonly process: string;
  readonly term: number;
  readonly token: bigint;
  /** First and last point at which the process believed to lead; undefined if it never got to look. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly points: number;
  /** Undefined: the process ended before it could tell. */
  readonly revokedAt: number | undefined;
  readonly reason: string | undefined;
}

/** A term that has points. */
export type ProbedBelief = Belief & { readonly from: number; readonly to: number };

/** In the order in which they began, which only points can tell: an event may be told late by a stopped process. */
export function inOrder(beliefs: readonly Belief[]): ProbedBelief[] {
  return beliefs
    .filter((belief): belief is ProbedBelief => belief.from !== undefined)
    .sort((a, b) => a.from - b.from);
}
