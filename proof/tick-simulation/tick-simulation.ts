import { readJobRecord } from '../../lib/schedule/ledger/ledger-document.js';
import { EventQueue } from '../simulation/event-queue.js';
import { RandomStream } from '../simulation/random-stream.js';
import { type HistoryVerdict, JobHistory } from './job-history.js';
import { drawFaults, FaultCount, type FaultMix } from './network-faults.js';
import { RecordLife } from './record-life.js';
import { OrderlyElection } from './orderly-election.js';
import { SimulatedCommand } from './simulated-command.js';
import { SimulatedObjects } from './simulated-objects.js';
import { VALIDITY_MS } from './simulated-job.js';
import { EPOCH_MS } from './simulated-host.js';
import {
  CANCELLED_AFTER_MS,
  type ProcessTraits,
  type ScheduleEngine,
  SimulatedProcess,
} from './simulated-process.js';

export interface TickRun extends HistoryVerdict {
  readonly seed: number;
  readonly writes: number;
  /** Jobs in which a run that was cancelled long ago is in the way of the next. */
  readonly occupied: readonly string[];
  /** Processes that asked the store for more than is good for it, and how often in ten seconds. */
  readonly hasty: readonly string[];
  readonly faults: FaultCount;
}

/** Seconds at the end without a new tick counted, in which what is outstanding is settled. */
const LEISURE_SECONDS = 90;
/** In which a run that was stuck is cancelled first, and makes way after its grace. */
const CANCELLING_SECONDS = 60;

/** Of one process in ten seconds: claims and ends of a busy job, triggers, and four tries a second. */
const MOST_REQUESTS = 150;

/** In how many runs people ask for runs: not in that of the seed 6000757, the only one known to find its mutant. */
const REQUESTED = 0.23;

/** Over how many objects a role is spread that is. */
const MOST_OBJECTS = 3;

/** How many jobs a role with many has; more than one of them is due at once. */
const MANY_JOBS = 25;

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
  // One that is due so rarely that its newest tick may be late.
  const historyLimit = random.pick([0, 3, 10]);
  const startingDeadlineMs = random.pick([null, 1_000, 10_000]);
  const mayRunAll = startingDeadlineMs !== null && policy !== 'Replace';
  const missedPolicy = random.pick(['latest', 'none', mayRunAll ? 'all' : 'latest'] as const);
  const startableMs =
    missedPolicy === 'all' && startingDeadlineMs !== null
      ? startingDeadlineMs - 2 * faults.skewMs
      : null;
  const retries = { limit: random.pick([0, 0, 2, 5]), backoffMs: 1_000 };
  const onInterrupted = random.pick(['report', 'rerun'] as const);
  const historyTraits = {
    historyLimit,
    startableMs,
    retries,
    onInterrupted,
    isReplacing: policy === 'Replace',
    mayBeCancelled: faults.cancelEvery < Infinity,
    skewMs: 2 * faults.skewMs,
  };
  const historyOf = (job: string, everySeconds: number): JobHistory =>
    new JobHistory(job, { ...historyTraits, everySeconds }, lifeOf(job, faults, count));
  const histories = [historyOf('job', 1), historyOf('rare', 30)];
  if (faults.changeJobEvery < Infinity) histories.push(historyOf('other', 5));
  if (random.chance(0.06)) {
    count.add('many jobs');
    for (let job = 0; job < MANY_JOBS; job += 1) {
      histories.push(historyOf(`job ${job}`, random.pick([10, 15, 30])));
    }
  }
  const spreading = new RandomStream(seed, 'objects');
  const isSpread = spreading.chance(0.3);
  const objects = new SimulatedObjects(isSpread ? MOST_OBJECTS : 1, {
    count,
    now: () => queue.now,
    onWritten: (before, after) => {
      for (const history of histories) {
        const { job, life } = history;
        const trueMs = EPOCH_MS + queue.now;
        life.written(before, after, trueMs);
        const records = [readJobRecord(before, job), readJobRecord(after, job)] as const;
        history.written(...records, trueMs);
        const reruns = history.attempts.written(...records, trueMs);
        for (let rerun = 0; rerun < reruns; rerun += 1) count.add('rerun');
      }
    },
  });
  const election = faults.isOrderly ? new OrderlyElection(() => queue.now, VALIDITY_MS) : null;
  const weather = { goneUntil: 0, slowUntil: 0, refusesUntil: 0 };
  const traits = {
    engine,
    queue,
    objects,
    // A role is spread while it works: by replicas that are started later, beside those without the option.
    objectsOfNext: () =>
      isSpread ? spreading.pick(queue.now === 0 ? [1, 1, 2] : [1, 2, 3, 3]) : 1,
    random,
    // Under Replace a call waits for the runs before it, so that its run could not be known by its time.
    faults: policy === 'Replace' ? { ...faults, triggerEvery: Infinity } : faults,
    count,
    histories,
    calmFrom: seconds * 1_000,
    weather,
    election,
    mayBeStuck: faults.cancelEvery < Infinity,
    largestStepMs: faults.stepClockEvery < Infinity ? 4 * faults.skewMs : 0,
    policy,
    startingDeadlineMs,
    missedPolicy,
    historyLimit,
    retries,
    onInterrupted,
    jitterMs: random.pick([0, 0, 700, 20_000]),
  };
  const processes = ['a', 'b', 'c'].map((name) => new SimulatedProcess(name, traits));
  const all = new Set(processes);
  planRestarts(processes, traits, (process) => all.add(process));
  if (isSpread) planRollout(processes, traits, (process) => all.add(process));
  planRequests(processes, traits, seed);
  planResumption(processes, traits);
  planLastCancel(processes, traits);
  planWeather(traits);
  const leisure = LEISURE_SECONDS + (traits.mayBeStuck ? CANCELLING_SECONDS : 0);
  await runUntil(queue, (seconds + leisure) * 1_000);

  const isRestored = count.counts['record restored'] !== undefined;
  const hasty = [...all].filter(({ busiest }) => busiest > MOST_REQUESTS);
  const verdicts = histories.map((history) =>
    history.verdict(EPOCH_MS, seconds, seconds + leisure, {
      isRestored,
      isUnmarked: objects.unmarked.has(history.job),
    }),
  );
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
    unheard: verdicts.flatMap(({ unheard }) => unheard),
    unmeant: verdicts.flatMap(({ unmeant }) => unmeant),
    occupied: processes.flatMap(({ occupied }) => occupied),
    unled: verdicts.flatMap(({ unled }) => unled),
    early: verdicts.flatMap(({ early }) => early),
    late: verdicts.flatMap(({ late }) => late),
    retold: verdicts.flatMap(({ retold }) => retold),
    unrecorded: verdicts.flatMap(({ unrecorded }) => unrecorded),
    unlimited: verdicts.flatMap(({ unlimited }) => unlimited),
    unfounded: verdicts.flatMap(({ unfounded }) => unfounded),
    forsaken: verdicts.flatMap(({ forsaken }) => forsaken),
    unsuspended: verdicts.flatMap(({ unsuspended }) => unsuspended),
    mistaken: verdicts.flatMap(({ mistaken }) => mistaken),
    misremembered: verdicts.flatMap(({ misremembered }) => misremembered),
    repeated: verdicts.flatMap(({ repeated }) => repeated),
    expired: verdicts.flatMap(({ expired }) => expired),
    untrue: verdicts.flatMap(({ untrue }) => untrue),
    unanswered: verdicts.flatMap(({ unanswered }) => unanswered),
    misinformed: verdicts.flatMap(({ misinformed }) => misinformed),
    dead: verdicts.flatMap(({ dead }) => dead),
    hasty: hasty.map(({ identity, busiest }) => `${identity}: ${busiest}`),
    writes: objects.writes,
    faults: count,
  };
}

/** What a run did against the rules, by rule. */
export function faultsOf(run: TickRun): Readonly<Record<Fault, readonly string[]>> {
  return Object.fromEntries(FAULTS.map((fault) => [fault, run[fault]])) as Record<Fault, string[]>;
}

export const FAULTS = [
  'doubled',
  'contradicted',
  'silent',
  'overlapped',
  'astray',
  'unheard',
  'unmeant',
  'occupied',
  'unled',
  'early',
  'late',
  'retold',
  'unrecorded',
  'unlimited',
  'unfounded',
  'forsaken',
  'unsuspended',
  'mistaken',
  'misremembered',
  'repeated',
  'expired',
  'untrue',
  'unanswered',
  'misinformed',
  'dead',
  'hasty',
] as const;
export type Fault = (typeof FAULTS)[number];

function lifeOf(job: string, faults: FaultMix, count: FaultCount): RecordLife {
  return new RecordLife({
    job,
    keptUnknownMs: faults.keptUnknownMs,
    skewMs: 2 * faults.skewMs,
    onSwept: () => count.add('record swept'),
    onRecreated: () => count.add('record made anew'),
  });
}

function planRestarts(
  processes: SimulatedProcess[],
  traits: ProcessTraits,
  onRestarted: (process: SimulatedProcess) => void,
): void {
  const { queue, random, faults, count, calmFrom } = traits;
  if (faults.restartEvery === Infinity) return;
  let restarts = 0;
  const again = (): void => {
    queue.after(random.between(0.2, 1.8) * faults.restartEvery * 1_000, null, () => {
      if (queue.now >= calmFrom) return;
      count.add('killed');
      const index = random.whole(0, processes.length - 1);
      onRestarted(replaced(processes, index, `restarted-${(restarts += 1)}`, traits));
      again();
    });
  };
  again();
}

/** In the middle of the run each replica is replaced. */
function planRollout(
  processes: SimulatedProcess[],
  traits: ProcessTraits,
  onRestarted: (process: SimulatedProcess) => void,
): void {
  const { queue, random, calmFrom } = traits;
  processes.forEach((_process, index) => {
    queue.at(calmFrom * random.between(0.3, 0.6), null, () => {
      onRestarted(replaced(processes, index, `rolled-out-${index}`, traits));
    });
  });
}

function replaced(
  processes: SimulatedProcess[],
  index: number,
  identity: string,
  traits: ProcessTraits,
): SimulatedProcess {
  processes[index]!.kill();
  traits.objects.left();
  const next = new SimulatedProcess(identity, traits);
  processes[index] = next;
  return next;
}

/**
 * In some runs people ask for runs by the records of two jobs, and one more time when all is calm. They are drawn apart, so that
 * the other runs are as they were without them.
 */
function planRequests(
  processes: readonly SimulatedProcess[],
  traits: ProcessTraits,
  seed: number,
): void {
  const random = new RandomStream(seed, 'requests');
  if (!random.chance(REQUESTED)) return;
  const { queue, histories, calmFrom } = traits;
  const tellLeaders = (): void => {
    for (const process of processes) process.readSoon();
  };
  let commands = 0;
  const ask = (history: JobHistory): void =>
    new SimulatedCommand(history, { ...traits, random, tellLeaders }).ask(`r${(commands += 1)}`);
  for (const history of histories.slice(0, 2)) {
    const everyMs = random.between(2_000, 10_000);
    const again = (): void => {
      queue.after(random.between(0.2, 1.8) * everyMs, null, () => {
        if (queue.now >= calmFrom) return;
        ask(history);
        again();
      });
    };
    again();
    // What was stuck has been cancelled and has made way by then.
    queue.at(calmFrom + 25_000, null, () => ask(history));
  }
}

/** At last one process resumes all jobs, and is killed: the others must have heard of it. */
function planResumption(
  processes: readonly SimulatedProcess[],
  { queue, faults, calmFrom }: ProcessTraits,
): void {
  if (faults.switchFleetEvery === Infinity) return;
  for (const delayMs of [0, 15_000, 30_000]) {
    queue.at(calmFrom + delayMs, null, () => processes[0]!.resumeForAll());
  }
  queue.at(calmFrom + 35_000, null, () => processes[0]!.kill());
}

/** At last one process cancels what is stuck, wherever it is. */
function planLastCancel(
  processes: readonly SimulatedProcess[],
  { queue, faults, calmFrom }: ProcessTraits,
): void {
  if (faults.cancelEvery === Infinity) return;
  queue.at(calmFrom + CANCELLED_AFTER_MS, null, () => processes[0]!.cancelAll());
}

/** What the store does to all alike. */
function planWeather({
  queue,
  random,
  faults,
  count,
  weather,
  objects,
  calmFrom,
}: ProcessTraits): void {
  const plan = (everySeconds: number, what: string, strike: (seconds: number) => boolean): void => {
    if (everySeconds === Infinity) return;
    queue.after(random.between(0.2, 1.8) * everySeconds * 1_000, null, () => {
      if (queue.now >= calmFrom) return;
      if (strike(random.next())) count.add(what);
      plan(everySeconds, what, strike);
    });
  };
  /** Until so many seconds from now, though not when all is calm. */
  const until = (seconds: number): number => Math.min(calmFrom, queue.now + seconds * 1_000);
  plan(faults.outageEvery, 'store gone', (part) => (weather.goneUntil = until(5 + 85 * part)) > 0);
  plan(faults.slowEvery, 'slow', (part) => (weather.slowUntil = until(5 + 25 * part)) > 0);
  plan(faults.refuseEvery, 'refused', (part) => (weather.refusesUntil = until(1 + 19 * part)) > 0);
  plan(faults.conflictEvery, 'conflicts without end', (part) => {
    for (const document of objects.documents) document.conflictsUntil = until(1 + 9 * part);
    return true;
  });
  plan(faults.restoreEvery, 'record restored', (part) => objects.restore(part));
}

/** Everything that an event sets off by promises happens before the next event. */
export async function runUntil(queue: EventQueue, until: number): Promise<void> {
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
