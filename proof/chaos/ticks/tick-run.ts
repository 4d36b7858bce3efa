import { RandomStream } from '../../simulation/random-stream.js';
import { handOver, type Handover, type HandoverKind, interruptOnce } from './handover.js';
import type { TickFleet } from './tick-fleet.js';
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
    const over = new AbortController();
    const suspending = suspendNowAndThen(fleet, new RandomStream(seed, 'switches'), over.signal);
    // It is awaited below, unless the handovers fail first.
    suspending.catch(() => undefined);
    for (let round = 0; !isReached(goal, round, ticksSince(fleet, begun)); round += 1) {
      for (const kind of random.shuffle([...kinds])) {
        handovers.push(await handOver(fleet, kind, random));
      }
      if (kinds.includes('kill -9')) await interruptOnce(fleet);
      process.stderr.write(`${fleet.name}: ${progress(goal, round, ticksSince(fleet, begun))}\n`);
    }
    over.abort();
    await suspending;
    settledTick = await fleet.allAccounted();
    for (const { name } of fleet.jobs) await fleet.order('inspect', name, random);
  } catch (error) {
    // An interrupted wait is no finding of this fleet's own.
    if (!abort.signal.aborted) failure = String(error);
    abort.abort();
  }
  const { name, jobs, fates } = fleet;
  const history = fleet.history();
  await fleet.kill();
  return { name, jobs, history, handovers, settledTick, fates, failure };
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
  const jobs = fleet.jobs.filter(({ kind }) => kind === 'suspend');
  const all = (request: 'suspend' | 'resume'): Promise<unknown> =>
    Promise.all(jobs.map(({ name }) => fleet.order(request, name, random)));
  const pause = async (ms: number): Promise<void> => {
    const giveUpAt = performance.now() + ms;
    while (performance.now() < giveUpAt && !over.aborted) await fleet.sleep(100);
  };
  while (!over.aborted) {
    await all('suspend');
    await pause(random.between(1_500, 4_000));
    await all('resume');
    await pause(random.between(1_500, 4_000));
  }
  // An order that a stopped replica has obeyed late may have suspended one again.
  await all('resume');
}
