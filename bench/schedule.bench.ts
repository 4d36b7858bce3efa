/**
 * What 300 jobs that are not due cost a leader: the time for which one round of looks, once a minute, keeps the event
 * loop. "computed" calculates every time anew, "remembered" is what the library does, and "first round" is what that
 * costs when the jobs are new. Medians of several rounds in one run; only the ratios mean anything.
 */
import { setMaxListeners } from 'node:events';
import { MemoryDocumentStore } from '../lib/locks/memory/memory.lock.js';
import { RoleSchedule } from '../lib/schedule/runner/role-schedule.js';
import { ScheduleLedger } from '../lib/schedule/ledger/schedule-ledger.js';
import type { ScheduleEnvironment } from '../lib/schedule/runner/job-definition.js';
import { cronSchedule, type TickSchedule } from '../lib/schedule/tick/tick-schedule.js';
import { TimeZone, TimeZones } from '../lib/schedule/tick/time-zone.js';
import { ManualClock } from '../test/support/manual-clock.js';

const JOBS = 300;
const ROUNDS = 7;
const ZONE = 'Europe/Berlin';
const nothing = (): undefined => undefined;

/** Looks that remember nothing from one to the next. */
function forgetful(expression: string): TickSchedule {
  const text = cronSchedule(expression, new TimeZone(ZONE)).text;
  const next = (after: number) => cronSchedule(expression, new TimeZone(ZONE)).next(after);
  const dueAt = (tick: number) => tick;
  const schedule: TickSchedule = { text, next, dueAt, continuing: () => schedule };
  return schedule;
}

/** A leader with these schedules, and how many milliseconds each of its rounds takes. */
async function roundsOf(scheduleOf: () => TickSchedule): Promise<number[]> {
  const clock = new ManualClock();
  const store = new MemoryDocumentStore(new Map(), 'bench');
  const ledger = new ScheduleLedger(store, clock, {
    requestTimeoutMs: 5_000,
    longestRequestMs: 10_000,
    retryMs: 250,
    longestRetryMs: 15_000,
    random: () => 0.5,
    onError: nothing,
  });
  const { signal } = new AbortController();
  setMaxListeners(Infinity, signal);
  const grantedAt = new Date(0);
  const names = { role: 'bench', holderIdentity: 'bench' };
  const term = { ...names, number: 1, fencingToken: 1n, grantedAt, signal };
  let nonces = 0;
  const environment: ScheduleEnvironment = {
    clock,
    atHome: (call) => call(),
    leadership: { term, track: nothing },
    observer: new Proxy({}, { get: () => nothing }) as ScheduleEnvironment['observer'],
    nonce: () => `n${(nonces += 1)}`,
    leaseDurationMs: 15_000,
    changeTimeoutMs: 10_000,
    keptUnknownMs: 1e9,
  };
  const role = new RoleSchedule(ledger, environment);
  for (let index = 0; index < JOBS; index += 1) {
    role.add({
      name: `job-${index}`,
      schedule: scheduleOf(),
      concurrencyPolicy: 'Forbid',
      startingDeadlineMs: null,
      missedPolicy: 'latest',
      timeoutMs: null,
      retries: { limit: 0, backoffMs: 10_000 },
      onInterrupted: 'report',
      historyLimit: 10,
      suspend: false,
      run: nothing,
      onMissed: null,
    });
  }
  role.begin(term);
  await clock.settle();
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await clock.advance(59_000);
    const begun = performance.now();
    // Every timer of the round fires in one turn of the loop, as those of one minute do.
    clock.fire(1_000);
    rounds.push(performance.now() - begun);
    await clock.settle();
  }
  return rounds;
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

for (const [what, expression] of [
  ['yearly', '0 0 1 6 *'],
  ['leap day', '0 0 29 2 *'],
  ['daily', '30 2 * * *'],
] as const) {
  const zones = new TimeZones();
  const computed = median(await roundsOf(() => forgetful(expression)));
  const begun = performance.now();
  for (let job = 0; job < JOBS; job += 1) {
    cronSchedule(expression, zones.of(ZONE)).next(Date.UTC(2026, 0, 1));
  }
  const first = performance.now() - begun;
  const remembered = median(await roundsOf(() => cronSchedule(expression, zones.of(ZONE))));
  const shown = [computed, first, remembered].map((ms) => ms.toFixed(2).padStart(8));
  console.log(
    `${JOBS} ${what.padEnd(8)} jobs in ${ZONE}: computed ${shown[0]} ms   first round ${shown[1]} ms   remembered ${shown[2]} ms`,
  );
}
