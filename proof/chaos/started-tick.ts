/** A tick of the job that every replica has, as the process that started it told. */
export interface StartedTick {
  readonly process: string;
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
  readonly term: number;
  readonly token: bigint;
  /** Nominal time, in milliseconds since the epoch: what tells the tick from every other. */
  readonly tick: number;
}

/** All starts of each tick that was started more than once. */
export function startedAgain(ticks: readonly StartedTick[]): StartedTick[][] {
  const starts = new Map<number, StartedTick[]>();
  for (const started of ticks) {
    const others = starts.get(started.tick);
    if (others === undefined) starts.set(started.tick, [started]);
    else others.push(started);
  }
  return [...starts.values()].filter(({ length }) => length > 1);
}
