import { EventQueue } from '../../simulation/event-queue.js';
import { RandomStream } from '../../simulation/random-stream.js';
import { JobHistory, type HistoryVerdict } from './job-history.js';
import { drawFaults, FaultCount, type FaultMix } from './network-faults.js';
import { RecordLife } from './record-life.js';
import { SimulatedDocument } from './simulated-document.js';
import { EPOCH_MS, SimulatedProcess, type ScheduleEngine } from './simulated-process.js';

export interface TickRun extends HistoryVerdict {
  readonly seed: number;
  readonly writes: number;
  readonly faults: FaultCount;
}

/** Seconds at the end without a new tick counted, in which what is outstanding is settled. */
const LEISURE_SECONDS = 60;

/**
 * A job every second in three processes that all believe that they lead, for so many seconds. Where a job comes and
 * goes there is a second one, in whose writes the record of the first is swept; it is due less often, so that what is
 * swept of it is older.
 */
export async function simulateTicks(
  engine: ScheduleEngine,
  seed: number,
  seconds: number,
): Promise<TickRun> {
  const random = new RandomStream(seed, 'ticks');
  const [queue, count] = [new EventQueue(), new FaultCount()];
  const faults = drawFaults(random);
  const policy = random.pick(['Allow', 'Allow', 'Forbid', 'Forbid', 'Replace'] as const);
  const histories = [historyOf('job', 1, faults, count)];
  if (faults.changeJobEvery < Infinity) histories.push(historyOf('other', 5, faults, count));
  const document = new SimulatedDocument((before, after) => {
    for (const { life } of histories) life.written(before, after, EPOCH_MS + queue.now);
  });
  const traits = {
    engine,
    queue,
    document,
    random,
    // Under Replace a call waits for the runs before it, so that its run could not be known by its time.
    faults: policy === 'Replace' ? { ...faults, triggerEvery: Infinity } : faults,
    count,
    histories,
    calmFrom: seconds * 1_000,
    policy,
    startingDeadlineMs: random.pick([null, 1_000, 10_000]),
  };
  const processes = ['a', 'b', 'c'].map((name) => new SimulatedProcess(name, traits));
  planRestarts(processes, traits);
  await runUntil(queue, (seconds + LEISURE_SECONDS) * 1_000);

  const verdicts = histories.map((history) => history.verdict(EPOCH_MS, seconds));
  return {
    seed,
    ticks: sum(verdicts.map(({ ticks }) => ticks)),
    started: sum(verdicts.map(({ started }) => started)),
    doubled: verdicts.flatMap(({ doubled }) => doubled),
    contradicted: verdicts.flatMap(({ contradicted }) => contradicted),
    missed: sum(verdicts.map(({ missed }) => missed)),
    silent: verdicts.flatMap(({ silent }) => silent),
    excused: sum(verdicts.map(({ excused }) => excused)),
    overlapped: verdicts.flatMap(({ overlapped }) => overlapped),
    astray: verdicts.flatMap(({ astray }) => astray),
    writes: document.writes,
    faults: count,
  };
}

/** What a run did against the rules, by rule. */
export function faultsOf({ doubled, contradicted, silent, overlapped, astray }: TickRun) {
  return { doubled, contradicted, silent, overlapped, astray };
}

function historyOf(
  job: string,
  everySeconds: number,
  faults: FaultMix,
  count: FaultCount,
): JobHistory {
  const life = new RecordLife({
    job,
    keptUnknownMs: faults.keptUnknownMs,
    skewMs: 2 * faults.skewMs,
    onSwept: () => count.add('record swept'),
    onRecreated: () => count.add('record made anew'),
  });
  return new JobHistory(job, everySeconds, life);
}

function planRestarts(
  processes: SimulatedProcess[],
  traits: ConstructorParameters<typeof SimulatedProcess>[1],
): void {
  const { queue, random, faults, count } = traits;
  if (faults.restartEvery === Infinity) return;
  let restarts = 0;
  const again = (): void => {
    queue.after(random.between(0.2, 1.8) * faults.restartEvery * 1_000, null, () => {
      count.add('killed');
      const index = random.whole(0, processes.length - 1);
      processes[index]!.kill();
      processes[index] = new SimulatedProcess(`restarted-${(restarts += 1)}`, traits);
      again();
    });
  };
  again();
}

/** Everything that an event sets off by promises happens before the next event. */
async function runUntil(queue: EventQueue, until: number): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  for (let event = queue.next(until); event !== undefined; event = queue.next(until)) {
    if (event.owner !== null && !event.owner.accepts(event)) continue;
    event.happen();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
