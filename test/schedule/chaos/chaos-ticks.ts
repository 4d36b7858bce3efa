import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { HANDOVER_KINDS, handOver, type Handover } from './handover.js';
import { TickCluster } from './tick-cluster.js';
import { TickFleet, type TickGround } from './tick-fleet.js';
import type { TickHistory } from './tick-history.js';

/**
 * `npm run chaos:ticks`: real processes, a job every second, and handovers of every kind, on the real API server and
 * on the file lock. Exit code 1 if a tick was started twice, if a graceful handover missed one, or if one was neither
 * started nor reported.
 */
const { values } = parseArgs({
  options: {
    handovers: { type: 'string', default: '50' },
    lock: { type: 'string', default: 'lease,file' },
    kinds: { type: 'string', default: HANDOVER_KINDS.join(',') },
    deadline: { type: 'string', default: '10' },
    keep: { type: 'boolean', default: false },
  },
});

const REPLICAS = 3;
const directory = mkdtempSync(join(tmpdir(), 'chaos-ticks-'));
let failed = false;

if (values.lock.includes('lease')) {
  const cluster = await TickCluster.start(directory);
  try {
    await run('Lease on a kube-apiserver', await cluster.ground());
    const requests = Object.entries(await cluster.requests()).map(
      ([what, count]) => `${what}: ${count}`,
    );
    console.log(`  requests: ${requests.join(', ')}`);
  } finally {
    await cluster.stop();
  }
}
if (values.lock.includes('file')) {
  const lockDirectory = join(directory, 'locks');
  await run('file lock', { leaseName: 'ticks', lockDirectory });
}
if (values.keep || failed) console.log(`histories: ${directory}`);
else rmSync(directory, { recursive: true, force: true });
process.exitCode = failed ? 1 : 0;

async function run(title: string, ground: TickGround): Promise<void> {
  const home = join(directory, title.replace(/\W+/g, '-'));
  mkdirSync(home);
  const fleet = new TickFleet(home, ground, Number(values.deadline));
  const handovers: Handover[] = [];
  const kinds = HANDOVER_KINDS.filter(
    (kind) => values.kinds.includes(kind) && (kind !== 'partition' || ground.connect !== undefined),
  );
  try {
    for (let index = 0; index < REPLICAS; index += 1) await fleet.add();
    await fleet.tickOfAnother(undefined, 0);
    await sleep(3_000);
    for (let round = 0; round < Number(values.handovers); round += 1) {
      for (const kind of kinds) handovers.push(await handOver(fleet, kind));
    }
    await sleep(1_500);
  } finally {
    print(title, fleet.history(), handovers);
    await fleet.stop();
  }
}

function print(title: string, history: TickHistory, handovers: readonly Handover[]): void {
  console.log(
    `\n${title}: ${handovers.length} handovers, startingDeadlineSeconds ${values.deadline}`,
  );
  console.log('  kind       handovers   ticks  started  doubled  reported  unaccounted');
  const doubled = history.doubled;
  for (const kind of HANDOVER_KINDS) {
    const ofKind = handovers.filter((handover) => handover.kind === kind);
    if (ofKind.length === 0) continue;
    const accounts = ofKind.map(({ from, until }) => history.within(from, until));
    const sum = (of: (account: (typeof accounts)[number]) => number): number =>
      accounts.reduce((total, account) => total + of(account), 0);
    const twice = doubled.filter((tick) =>
      ofKind.some(({ from, until }) => tick > from && tick <= until),
    ).length;
    const unaccounted = accounts.flatMap((account) => account.unaccounted);
    const reported = sum((account) => account.reported);
    console.log(
      `  ${kind.padEnd(10)} ${cell(ofKind.length, 9)} ${cell(
        sum((account) => account.ticks),
        7,
      )} ` +
        `${cell(
          sum((account) => account.started),
          8,
        )} ${cell(twice, 8)} ${cell(reported, 9)} ${cell(unaccounted.length, 12)}` +
        (unaccounted.length > 0 ? `  ${unaccounted.slice(0, 5).join(' ')}` : ''),
    );
    if (unaccounted.length > 0 || (kind === 'graceful' && reported > 0)) failed = true;
  }
  const ticks = [...history.starts.keys()];
  const whole = history.within(Math.min(...ticks) - 1, Math.max(...ticks));
  const sorted = [...history.lateness].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))]!;
  console.log(
    `  whole run: ${whole.ticks} ticks, ${whole.started} started, ${doubled.length} doubled, ` +
      `${whole.reported} reported as missed, ${whole.unaccounted.length} unaccounted; ` +
      `lateness ms p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`,
  );
  if (doubled.length > 0 || whole.unaccounted.length > 0) failed = true;
}

function cell(value: number, width: number): string {
  return String(value).padStart(width);
}
