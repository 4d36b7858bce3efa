import type { TickLock } from './chaos-ticks-options.js';
import { HANDOVER_KINDS } from './handover.js';
import type { LockTotals, TickTotals } from './tick-totals.js';

export interface LockReport extends LockTotals {
  readonly lock: TickLock;
  readonly seconds: number;
  /** Of all fleets, by verb and object; none on the file lock. */
  readonly requests: Readonly<Record<string, number>> | undefined;
}

const TITLES: Record<TickLock, string> = {
  lease: 'Lease on a kube-apiserver',
  file: 'file lock',
};
const COLUMNS = [
  ['handovers', 'handovers'],
  ['ticks', 'ticks'],
  ['started', 'started'],
  ['caughtUp', 'caught up'],
  ['doubled', 'doubled'],
  ['reported', 'reported'],
  ['unaccounted', 'unaccounted'],
] as const;

export function describeLock(report: LockReport): string {
  const { kinds, whole, grants, onceVersions, latenessMs, requests, seconds } = report;
  const row = (name: string, totals: TickTotals): string =>
    name.padEnd(10) +
    COLUMNS.map(([key, title]) => String(totals[key]).padStart(title.length + 2)).join('');
  const lines = [
    `${TITLES[report.lock]}: ${Math.round(seconds)} s`,
    'kind'.padEnd(10) + COLUMNS.map(([, title]) => `  ${title}`).join(''),
    ...HANDOVER_KINDS.flatMap((kind) => (kinds[kind] ? [row(kind, kinds[kind])] : [])),
    row('whole run', whole),
    `leadership taken up ${grants} times; lateness ms p50 ${latenessMs.p50}, p99 ${latenessMs.p99}, max ${latenessMs.max}`,
    `work that runs once: ${onceVersions} versions`,
    ...(requests ? [`requests: ${describeCounts(requests)}`] : []),
    ...report.violations.map((violation) => `VIOLATION ${violation}`),
  ];
  return lines.join('\n  ');
}

function describeCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([what, count]) => `${what}: ${count}`)
    .join(', ');
}
