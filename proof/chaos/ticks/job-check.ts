import { accountOf, type End, type JobHistory, type Report, type Start } from './tick-history.js';
import { dueAt, historyLimitOf, mostAttempts, type TickJob } from './tick-jobs.js';

/**
 * In which a run ends after `cancel()`: twice the lease, as its replica may have heard of it late, and what a busy machine
 * takes.
 */
const CANCELLED_WITHIN_MS = 15_000;

/** By then a process that was stopped has done what it was about to do, and knows that it leads no more. */
const AWAKE_AFTER_MS = 5_000;

/** What is known of the processes of a fleet beside what they have told. */
export interface Fates {
  /**
   * Were stopped (SIGSTOP) until that time of the wall clock, perhaps between a check and what followed from it; Infinity
   * if they still are.
   */
  readonly stopped: ReadonlyMap<string, number>;
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
  const found = [
    ...accountOf(history, firstTick - 1, lastTick).doubled.map((run) => `${run} started twice`),
    // Of later ticks a report may be under way.
    ...openEnds(job, history, settledTick ?? lastTick, fates),
    ...contradicted(history),
    ...early(job, history),
    ...suspended(history),
    ...againstAttempts(job, history, fates),
    ...stuck(history, fates),
    ...cancelledUnasked(history),
    ...misremembered(job, history),
    ...(job.options.missed === 'all' ? againstAll(job, history, fates) : []),
  ];
  return found.map((violation) => `${job.name}: ${violation}`);
}

/** What has to happen yet to the ticks up to one of them, and is a violation if it does not. */
export function openEnds(job: TickJob, history: JobHistory, until: number, fates: Fates): string[] {
  const { unaccounted } = accountOf(history, history.firstTick - 1, until);
  return [
    ...unaccounted.map((tick) => `${tick} neither started nor reported`),
    ...lost(job, history, until, fates),
    ...untried(job, history, until),
  ];
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
function lost(job: TickJob, history: JobHistory, until: number, { gone }: Fates): string[] {
  const { starts, ends, reports, startsByTick } = history;
  const ended = new Set(ends.map(nameOf));
  return starts
    .filter((start) => start.tick <= until && gone.has(start.name) && !ended.has(nameOf(start)))
    .filter(({ tick }) => !isInterrupted(reports.get(tick)))
    .filter(
      ({ tick, attempt }) =>
        job.options.onInterrupted !== 'rerun' ||
        !startsByTick.get(tick)!.some((other) => other.attempt > attempt),
    )
    .map(({ tick }) => `${tick} was interrupted, and neither reported nor run again`);
}

function nameOf({ name, tick, attempt }: Pick<Start, 'name' | 'tick' | 'attempt'>): string {
  return `${name} ${tick} ${attempt}`;
}

function wasStopped({ name, at }: Start, stopped: Fates['stopped']): boolean {
  return at < (stopped.get(name) ?? -Infinity) + AWAKE_AFTER_MS;
}

function isInterrupted(reports: readonly Report[] = []): boolean {
  return reports.some(({ reason }) => reason === 'interrupted');
}

/** Attempts come in their order, and only as long as the tick is not over. */
function againstAttempts(
  job: TickJob,
  { starts, ends, startsByTick, reports }: JobHistory,
  { stopped }: Fates,
): string[] {
  const isRerun = job.options.onInterrupted === 'rerun';
  const endOf = new Map(ends.map((end) => [nameOf(end), end]));
  /** An end may not have been stored before its process died, unless the process has started another tick after it. */
  const isStored = (end: End, by: number): boolean =>
    !isRerun ||
    starts.some(
      ({ name, tick, at }) => name === end.name && tick !== end.tick && at > end.at && at < by,
    );
  return [...startsByTick].flatMap(([tick, runs]) => {
    const found: string[] = [];
    for (const [index, run] of runs.entries()) {
      const earlier = runs.slice(0, index);
      const { attempt, at } = run;
      const what = `attempt ${attempt} of ${tick} started`;
      if (attempt > mostAttempts(job)) found.push(`${what}, and it may have ${mostAttempts(job)}`);
      if (wasStopped(run, stopped)) continue;
      if (earlier.some((other) => other.attempt > attempt)) found.push(`${what} after a later one`);
      const succeeded = earlier
        .filter((other) => other.attempt !== attempt)
        .map((other) => endOf.get(nameOf(other)))
        .filter((end) => end !== undefined && end.succeeded && isStored(end, at));
      if (succeeded.length > 0) found.push(`${what} after one that had succeeded`);
      if (isInterrupted((reports.get(tick) ?? []).filter((report) => report.at < at))) {
        found.push(`${what} after it had been reported as interrupted`);
      }
      if (attempt > 1 && !isRerun) {
        const before = earlier.find((other) => other.attempt === attempt - 1);
        const end = before && endOf.get(nameOf(before));
        if (end?.succeeded !== false) found.push(`${what}, and the one before had not failed`);
      }
    }
    return found;
  });
}

/** Attempts that may be tried again. An interruption is reported instead. */
function untried(
  job: TickJob,
  { ends, startsByTick, reports }: JobHistory,
  until: number,
): string[] {
  if (job.options.retries === undefined) return [];
  const failed = new Set(ends.filter(({ succeeded }) => !succeeded).map(nameOf));
  return [...startsByTick.values()]
    .map((runs) => runs.at(-1)!)
    .filter(({ tick, attempt }) => tick <= until && attempt < mostAttempts(job))
    .filter((last) => failed.has(nameOf(last)) && !isInterrupted(reports.get(last.tick)))
    .map(({ tick, attempt }) => `attempt ${attempt} of ${tick} failed, and was not tried again`);
}

/** Runs that `cancel()` has not ended, though their process lives. */
function stuck({ starts, ends, cancellations }: JobHistory, { gone, stopped }: Fates): string[] {
  const endOf = new Map(ends.map((end) => [nameOf(end), end.at]));
  return starts
    .filter((start) => !gone.has(start.name) && !wasStopped(start, stopped))
    .flatMap((start) => {
      const endedAt = endOf.get(nameOf(start)) ?? Infinity;
      const asked = cancellations.find(
        ({ askedAt, doneAt }) => start.at < askedAt && doneAt + CANCELLED_WITHIN_MS < endedAt,
      );
      if (asked === undefined) return [];
      const isOver = endedAt < Infinity || Date.now() > asked.doneAt + CANCELLED_WITHIN_MS;
      return isOver ? [`${start.tick} was stuck for long after cancel()`] : [];
    });
}

/** A call cancels the runs that are active then, and no later one. */
function cancelledUnasked({ starts, ends, cancellations }: JobHistory): string[] {
  const startOf = new Map(starts.map((start) => [nameOf(start), start.at]));
  return ends
    .filter(({ isCancelled }) => isCancelled)
    .filter((end) => {
      const startedAt = startOf.get(nameOf(end)) ?? -Infinity;
      return !cancellations.some(({ askedAt, doneAt }) => askedAt <= end.at && doneAt >= startedAt);
    })
    .map(({ tick }) => `${tick} was cancelled, which nobody had asked for`);
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
      const isExcused = start.name !== newest.name && wasStopped(start, stopped);
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
