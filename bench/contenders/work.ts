/** Milliseconds of one clock; `to` is infinite for what still lasts. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** What `workOf` reads of an event that a contender told. */
export interface WorkEvent {
  readonly at: number;
  readonly event: string;
  readonly leads?: boolean;
}

/**
 * When work of a leader ran in one process: from each grant until its stop handler had ended, or the process had. While
 * the process was stopped nothing ran in it, nor afterwards if it knew by then that it leads no more.
 */
export function workOf(
  events: readonly WorkEvent[],
  pauses: readonly Interval[],
  exitedAt = Infinity,
): Interval[] {
  const work: Interval[] = [];
  for (const granted of events.filter(({ event }) => event === 'granted')) {
    if (granted.at < (work.at(-1)?.to ?? 0)) continue;
    const ended = events.find(
      ({ event, at }) => event === 'stop-handler-ended' && at >= granted.at,
    );
    let interval = { from: granted.at, to: Math.min(ended?.at ?? Infinity, exitedAt) };
    for (const pause of pauses) {
      if (pause.from <= interval.from || pause.from >= interval.to) continue;
      work.push({ ...interval, to: pause.from });
      const resumed = events.find(({ event, at }) => event === 'resumed' && at >= pause.to);
      interval = resumed?.leads === false ? { from: 0, to: 0 } : { ...interval, from: pause.to };
    }
    if (interval.from < interval.to) work.push(interval);
  }
  return work;
}

/** When work of two processes ran at once, for each two intervals that do. */
export function overlapsOf(processes: readonly (readonly Interval[])[]): Interval[] {
  return processes.flatMap((work, index) =>
    processes.slice(index + 1).flatMap((others) => work.flatMap((one) => overlaps(one, others))),
  );
}

function overlaps(one: Interval, others: readonly Interval[]): Interval[] {
  return others
    .map((other) => ({ from: Math.max(one.from, other.from), to: Math.min(one.to, other.to) }))
    .filter(({ from, to }) => from < to);
}
