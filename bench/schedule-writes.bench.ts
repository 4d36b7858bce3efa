import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { MemoryDocumentStore } from '../lib/locks/memory/memory.lock.js';
import { RoleSchedule } from '../lib/schedule/runner/role-schedule.js';
import { ScheduleLedger } from '../lib/schedule/ledger/schedule-ledger.js';
import type { ScheduleEnvironment } from '../lib/schedule/runner/job-definition.js';
import { cronSchedule } from '../lib/schedule/tick/tick-schedule.js';
import { TimeZone } from '../lib/schedule/tick/time-zone.js';
import { ManualClock } from '../test/support/manual-clock.js';

/** What a job that is due every second writes beside quiet ones: every write sends and stores the whole document. */
const QUIET_JOBS = Number(process.argv[2] ?? 300);
const SECONDS = 60;
const DAY_SECONDS = 86_400;
const nothing = (): undefined => undefined;

let [writes, bytes, largest] = [0, 0, 0];
class MeasuredStore extends MemoryDocumentStore {
  override replace(...[document, expected, options]: Parameters<MemoryDocumentStore['replace']>) {
    const size = Buffer.byteLength(JSON.stringify(document));
    [writes, bytes, largest] = [writes + 1, bytes + size, Math.max(largest, size)];
    return super.replace(document, expected, options);
  }
}

const clock = new ManualClock();
const ledger = new ScheduleLedger(new MeasuredStore(new Map(), 'bench'), clock, {
  requestTimeoutMs: 5_000,
  longestRequestMs: 10_000,
  retryMs: 250,
  longestRetryMs: 15_000,
  random: () => 0.5,
  onError: (error) => console.error(error.message),
});
const { signal } = new AbortController();
setMaxListeners(Infinity, signal);
const holderIdentity = `billing-5d4f7c9b8d-x2x7k_${randomUUID()}`;
const names = { role: 'bench', holderIdentity };
const term = { ...names, number: 1, fencingToken: 123_456_789n, grantedAt: new Date(0), signal };
const environment: ScheduleEnvironment = {
  atHome: (callback) => callback(),
  clock,
  leadership: { term, track: nothing },
  observer: new Proxy({}, { get: () => nothing }) as ScheduleEnvironment['observer'],
  nonce: randomUUID,
  leaseDurationMs: 15_000,
  changeTimeoutMs: 10_000,
  keptUnknownMs: 1e9,
};
const role = new RoleSchedule(ledger, environment);
const add = (name: string, expression: string): void =>
  void role.add({
    name,
    schedule: cronSchedule(expression, new TimeZone('Europe/Berlin')),
    concurrencyPolicy: 'Forbid',
    startingDeadlineMs: null,
    missedPolicy: 'latest',
    timeoutMs: null,
    retries: { limit: 0, backoffMs: 10_000 },
    onInterrupted: 'report',
    historyLimit: 10,
    suspend: false,
    onMissed: null,
    run: nothing,
  });
for (let index = 0; index < QUIET_JOBS; index += 1) {
  add(`customer-${index}:close-day`, `${index % 60} ${index % 24} * * *`);
}
role.begin(term);
// Each of them has run once.
await clock.advance(DAY_SECONDS * 1_000);
add('poll', '* * * * * *');
await clock.advance(1_000);
[writes, bytes, largest] = [0, 0, 0];
const begun = process.cpuUsage();
await clock.advance(SECONDS * 1_000);
const { user, system } = process.cpuUsage(begun);
const perDay = (bytes / SECONDS) * DAY_SECONDS;
console.log(`${QUIET_JOBS} quiet jobs and one a second, over ${SECONDS} s:`);
console.log(`  ${(writes / SECONDS).toFixed(1)} writes a second`);
console.log(
  `  ${(bytes / writes / 1_024).toFixed(1)} KiB a write (largest ${(largest / 1_024).toFixed(1)})`,
);
console.log(`  ${(perDay / 1e9).toFixed(2)} GB a day`);
console.log(`  ${((user + system) / 1_000 / writes).toFixed(2)} ms of processor time a write`);
