import { RandomStream } from '../../simulation/random-stream.js';
import { handOver, type Handover, type HandoverKind } from './handover.js';
import type { TickFleet } from './tick-fleet.js';
import type { FleetOutcome } from './tick-totals.js';

const REPLICAS = 3;

export interface TickRun {
  readonly kinds: readonly HandoverKind[];
  /** Of every kind, by all fleets together. */
  readonly handovers: number;
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
      const rounds = Math.floor((run.handovers + index) / fleets.length);
      return runFleet(fleet, run, rounds, abort);
    }),
  );
}

async function runFleet(
  fleet: TickFleet,
  { kinds, seed }: TickRun,
  rounds: number,
  abort: AbortController,
): Promise<FleetOutcome> {
  const random = new RandomStream(seed, fleet.name);
  const handovers: Handover[] = [];
  let settledTick: number | undefined;
  let failure: string | undefined;
  try {
    await fleet.addReplicas(REPLICAS);
    await fleet.tickOfAnother(undefined, 0);
    await fleet.sleep(3_000);
    for (let round = 0; round < rounds; round += 1) {
      for (const kind of random.shuffle([...kinds])) {
        handovers.push(await handOver(fleet, kind, random));
      }
      process.stderr.write(`${fleet.name}: ${round + 1} of ${rounds} of each kind\n`);
    }
    settledTick = await fleet.allAccounted();
  } catch (error) {
    // An interrupted wait is no finding of this fleet's own.
    if (!abort.signal.aborted) failure = String(error);
    abort.abort();
  }
  const history = fleet.history();
  await fleet.kill();
  return { name: fleet.name, history, handovers, settledTick, failure };
}
