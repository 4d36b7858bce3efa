import { cronSchedule } from '../../../lib/schedule/tick/tick-schedule.js';
import { TimeZone } from '../../../lib/schedule/tick/time-zone.js';
import type { MissedReport } from '../../../lib/schedule/runner/job-definition.js';
import { EventQueue } from '../../simulation/event-queue.js';
import { RandomStream } from '../../simulation/random-stream.js';
import { drawFaults, FaultCount } from './network-faults.js';
import { SimulatedDocument } from './simulated-document.js';
import { EPOCH_MS, SimulatedProcess, type ScheduleEngine } from './simulated-process.js';

export interface TickRun {
  readonly seed: number;
  readonly ticks: number;
  readonly started: number;
  /** Nominal times that were started more than once. */
  readonly doubled: readonly string[];
  /** Reported as not started though they were. */
  readonly contradicted: readonly string[];
  readonly missed: number;
  /** Neither started nor reported, from the first tick that was. */
  readonly silent: number;
  readonly writes: number;
  readonly faults: FaultCount;
}

/** Seconds at the end without a new tick counted, in which what is outstanding is settled. */
const LEISURE_SECONDS = 60;

/** A job every second in three processes that all believe that they lead, for so many ticks. */
export async function simulateTicks(
  engine: ScheduleEngine,
  seed: number,
  ticks: number,
): Promise<TickRun> {
  const random = new RandomStream(seed, 'ticks');
  const [queue, document, count] = [new EventQueue(), new SimulatedDocument(), new FaultCount()];
  const faults = drawFaults(random);
  const starts = new Map<number, number>();
  const reported = new Set<number>();
  const notStarted = new Map<number, number>();
  const traits = {
    engine,
    queue,
    document,
    random,
    faults,
    count,
    schedule: cronSchedule('* * * * * *', new TimeZone('UTC')),
    policy: random.pick(['Allow', 'Allow', 'Forbid', 'Replace'] as const),
    startingDeadlineMs: random.pick([null, 1_000, 10_000]),
    onStart: (time: number) => {
      const tick = Math.floor(time / 1_000);
      starts.set(tick, (starts.get(tick) ?? 0) + 1);
    },
    onMissed: ({ times, reason }: MissedReport) => {
      for (const time of times) {
        const tick = Math.floor(time.getTime() / 1_000);
        reported.add(tick);
        if (reason !== 'interrupted') notStarted.set(tick, (notStarted.get(tick) ?? 0) + 1);
      }
    },
  };
  const processes = ['a', 'b', 'c'].map((name) => new SimulatedProcess(name, traits));
  planRestarts(processes, traits);
  await runUntil(queue, (ticks + LEISURE_SECONDS) * 1_000);

  const first = EPOCH_MS / 1_000 + 1;
  const within = Array.from({ length: ticks }, (_, index) => first + index);
  const begun = Math.min(...starts.keys(), ...reported);
  return {
    seed,
    ticks,
    started: within.filter((tick) => starts.has(tick)).length,
    doubled: [...starts].filter(([, times]) => times > 1).map(([tick]) => printed(tick)),
    contradicted: [...notStarted]
      .filter(([tick]) => starts.has(tick))
      .map(([tick]) => printed(tick)),
    missed: within.filter((tick) => reported.has(tick)).length,
    silent: within.filter((tick) => tick > begun && !starts.has(tick) && !reported.has(tick))
      .length,
    writes: document.writes,
    faults: count,
  };
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
  for (let event = queue.next(until); event !== undefined; event = queue.next(until)) {
    if (event.owner !== null && !event.owner.accepts(event)) continue;
    event.happen();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function printed(tick: number): string {
  return new Date(tick * 1_000).toISOString();
}
