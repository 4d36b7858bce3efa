import { accountOf, type JobHistory, type Start } from './tick-history.js';
import { dueAt, historyLimitOf, type TickJob } from './tick-jobs.js';

/** What is known of the processes of a fleet beside what they have told. */
export interface Fates {
  /** Were stopped for a while (SIGSTOP), perhaps between a check and what followed from it. */
  readonly stopped: ReadonlySet<string>;
  /** Had ended when each tick so far was started or reported. */
  readonly gone: ReadonlySet<string>;
}

/** Everything that a job of one fleet has done against what is promised, in the order of the ticks. */
export function jobViolations(
  job: TickJob,
  history: JobHistory,
  settledTick: number | undefined,
  fates: Fates,
): string[] {
  const { firstTick, lastTick } = history;
  const whole = accountOf(history, firstTick - 1, Math.max(lastTick, settledTick ?? -Infinity));
  const found = [
    ...whole.doubled.map((run) => `${run} started twice`),
    // Of later ticks a report may be under way.
    ...whole.unaccounted
      .filter((tick) => settledTick === undefined || tick <= settledTick)
      .map((tick) => `${tick} neither started nor reported`),
    ...contradicted(history),
    ...early(job, history),
    ...suspended(history),
    ...lost(history, settledTick ?? lastTick, fates),
    ...misremembered(job, history),
    ...(job.options.missed === 'all' ? againstAll(job, history, fates) : []),
  ];
  return found.map((violation) => `${job.name}: ${violation}`);
}

function contradicted({ startsByTick, reports }: JobHistory): string[] {
  return [...startsByTick.keys()].flatMap((tick) => {
    const untrue = (reports.get(tick) ?? []).filter(({ reason }) => reason !== 'interrupted');
    return untrue.map(({ reason }) => `${tick} started and reported as ${reason}`);
  });
}

function early(job: TickJob, { starts }: JobHistory): string[] {
  return starts.flatMap(({ tick, lateMs }) => {
    const byMs = dueAt(job, tick) - tick * 1_000 - lateMs;
    return byMs > 0 ? [`${tick} started ${byMs} ms before it was due`] : [];
  });
}

/** What came due before may have been claimed before, and still starts. */
function suspended({ starts, suspensions }: JobHistory): string[] {
  return suspensions.flatMap(({ from, until }) =>
    starts
      .filter(({ tick, at }) => tick * 1_000 > from && at < until)
      .map(({ tick }) => `${tick} started while the job was suspended`),
  );
}

/** Runs whose process ended in the middle, and that nobody has heard of again. */
function lost({ starts, ends, reports }: JobHistory, until: number, { gone }: Fates): string[] {
  const nameOf = ({ name, tick, attempt }: Omit<Start, 'event' | 'lateMs' | 'caughtUp'>): string =>
    `${name} ${tick} ${attempt}`;
  const ended = new Set(ends.map(nameOf));
  return starts
    .filter((start) => start.tick <= until && gone.has(start.name) && !ended.has(nameOf(start)))
    .filter(({ tick }) => !reports.get(tick)?.some(({ reason }) => reason === 'interrupted'))
    .map(({ tick }) => `${tick} was interrupted, and not reported`);
}

function misremembered(job: TickJob, { recorded = [], ends }: JobHistory): string[] {
  const limit = historyLimitOf(job);
  const names = recorded.map(
    ({ holder, tick, attempt, startedAt }) => `${holder} ${tick} ${attempt} ${startedAt}`,
  );
  const succeeded = new Set(
    ends.filter((end) => end.succeeded).map((end) => `${end.name} ${end.tick} ${end.attempt}`),
  );
  return [
    ...(recorded.length > limit ? [`${recorded.length} past runs recorded, above ${limit}`] : []),
    ...names
      .filter((name, index) => names.indexOf(name) < index)
      .map((name) => `past run recorded twice: ${name}`),
    ...recorded
      .filter(({ outcome }) => outcome === 'succeeded')
      .filter(({ holder, tick, attempt }) => !succeeded.has(`${holder} ${tick} ${attempt}`))
      .map(({ tick }) => `${tick} recorded as succeeded, and it did not`),
  ];
}

/** `missed: 'all'`: oldest first, and none is given up that may still start. */
function againstAll(job: TickJob, { starts, reports }: JobHistory, { stopped }: Fates): string[] {
  const found: string[] = [];
  let newest: Start | undefined;
  for (const start of starts) {
    if (newest !== undefined && start.tick < newest.tick) {
      const isExcused = start.name !== newest.name && stopped.has(start.name);
      if (!isExcused) found.push(`${start.tick} started after ${newest.tick}`);
    } else newest = start;
  }
  const deadlineMs = (job.options.startingDeadlineSeconds ?? 0) * 1_000;
  for (const [tick, told] of reports) {
    for (const { reason, at } of told) {
      const aheadMs = dueAt(job, tick) + deadlineMs - at;
      if (reason !== 'interrupted' && aheadMs > 0) {
        found.push(`${tick} reported as ${reason} ${aheadMs} ms before its deadline`);
      }
    }
  }
  return found;
}
