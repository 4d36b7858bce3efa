import { RandomStream } from '../../simulation/random-stream.js';
import { handOver, type Handover, type HandoverKind, interruptOnce } from './handover.js';
import type { TickFleet } from './tick-fleet.js';
import type { JobKind } from './tick-jobs.js';
import type { Request } from './tick-replica-settings.js';
import type { FleetOutcome } from './tick-totals.js';

const REPLICAS = 3;

export interface TickRun {
  readonly kinds: readonly HandoverKind[];
  /** Of every kind, by all fleets together. */
  readonly handovers: number;
  /** Instead: until all fleets together have had so many ticks. */
  readonly ticks: number | undefined;
  readonly seed: number;
}

/** Runs the fleets side by side. The first that fails ends the run of all, and of none a process stays. */
export async function runFleets(
  fleets: readonly TickFleet[],
  run: TickRun,
  abort: AbortController,
): Promise<FleetOutcome[]> {
  return Promise.all(
    fleets.map((fleet, index) => {
      const { ticks } = run;
      const rounds = Math.floor((run.handovers + index) / fleets.length);
      const goal = ticks === undefined ? { rounds } : { ticks: Math.ceil(ticks / fleets.length) };
      return runFleet(fleet, run, goal, abort);
    }),
  );
}

/** Of one fleet. */
type Goal = { readonly rounds: number } | { readonly ticks: number };

async function runFleet(
  fleet: TickFleet,
  { kinds, seed }: TickRun,
  goal: Goal,
  abort: AbortController,
): Promise<FleetOutcome> {
  const random = new RandomStream(seed, fleet.name);
  const handovers: Handover[] = [];
  let settledTick: number | undefined;
  let failure: string | undefined;
  try {
    await fleet.addReplicas(REPLICAS);
    await fleet.tickOfAnother(undefined, 0);
    const begun = performance.now();
    await fleet.sleep(3_000);
    const beside = (what: typeof suspendNowAndThen): (() => Promise<void>) => {
      const over = new AbortController();
      const work = what(fleet, new RandomStream(seed, what.name), over.signal);
      // It is awaited when it is to end, unless the handovers fail first.
      work.catch(() => undefined);
      return () => {
        over.abort();
        return work;
      };
    };
    const endSuspending = beside(suspendNowAndThen);
    const endCancelling = beside(cancelNowAndThen);
    const endRequesting = beside(requestNowAndThen);
    for (let round = 0; !isReached(goal, round, ticksSince(fleet, begun)); round += 1) {
      for (const kind of random.shuffle([...kinds])) {
        handovers.push(await handOver(fleet, kind, random));
      }
      if (kinds.includes('kill -9')) await interruptOnce(fleet);
      process.stderr.write(`${fleet.name}: ${progress(goal, round, ticksSince(fleet, begun))}\n`);
    }
    await endSuspending();
    await endCancelling();
    await endRequesting();
    for (const { name } of fleet.jobs.filter(({ kind }) => kind === 'cancel')) {
      await fleet.cancelThroughAnother(name, random);
    }
    // A run that is stuck keeps later ticks waiting.
    const endLastCancelling = beside(cancelNowAndThen);
    settledTick = await fleet.allAccounted();
    await endLastCancelling();
    for (const { name } of fleet.jobs) await fleet.order('inspect', name, random);
  } catch (error) {
    // An interrupted wait is no finding of this fleet's own.
    if (!abort.signal.aborted) failure = String(error);
    abort.abort();
  }
  const { name, jobs, fates, requestedRuns } = fleet;
  const history = fleet.history();
  await fleet.kill();
  return { name, jobs, history, handovers, settledTick, fates, requestedRuns, failure };
}

function isReached(goal: Goal, rounds: number, ticks: number): boolean {
  return 'ticks' in goal ? ticks >= goal.ticks : rounds >= goal.rounds;
}

function progress(goal: Goal, round: number, ticks: number): string {
  return 'ticks' in goal
    ? `${ticks} of ${goal.ticks} ticks`
    : `${round + 1} of ${goal.rounds} of each kind`;
}

/** Every job has one every second. */
function ticksSince({ jobs }: TickFleet, begun: number): number {
  return Math.floor((performance.now() - begun) / 1_000) * jobs.length;
}

/** Whatever happens to the replicas meanwhile. In the end no job is suspended. */
async function suspendNowAndThen(
  fleet: TickFleet,
  random: RandomStream,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    await orderAll(fleet, 'suspend', 'suspend', random);
    await pause(fleet, random.between(1_500, 4_000), over);
    await orderAll(fleet, 'suspend', 'resume', random);
    await pause(fleet, random.between(1_500, 4_000), over);
  }
  // An order that a stopped replica has obeyed late may have suspended one again.
  await orderAll(fleet, 'suspend', 'resume', random);
}

/** Of these jobs some run gets stuck every few seconds. */
async function cancelNowAndThen(
  fleet: TickFleet,
  random: RandomStream,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    await pause(fleet, random.between(1_000, 3_000), over);
    await orderAll(fleet, 'cancel', 'cancel', random);
  }
}

/** A person asks for one run after the other, through the command line. */
async function requestNowAndThen(
  fleet: TickFleet,
  random: RandomStream,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    await pause(fleet, random.between(200, 3_000), over);
    await fleet.requestRun();
  }
}

/** Asks for the same of all jobs of a kind, each through any replica. */
async function orderAll(
  fleet: TickFleet,
  kind: JobKind,
  request: Request,
  random: RandomStream,
): Promise<void> {
  const jobs = fleet.jobs.filter((job) => job.kind === kind);
  await Promise.all(jobs.map(({ name }) => fleet.order(request, name, random)));
}

async function pause(fleet: TickFleet, ms: number, over: AbortSignal): Promise<void> {
  const until = performance.now() + ms;
  while (performance.now() < until && !over.aborted) await fleet.sleep(100);
}
