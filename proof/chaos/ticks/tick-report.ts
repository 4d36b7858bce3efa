import type { TickLock } from './chaos-ticks-options.js';
import { HANDOVER_KINDS } from './handover.js';
import { JOB_KINDS } from './tick-jobs.js';
import { ONCE_KEYS } from './tick-replica-settings.js';
import { type LockTotals, SHOWN_BY } from './tick-totals.js';

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

type Row = readonly (string | number)[];

/** As Markdown, so that a page can record it. */
export function describeLock(report: LockReport): string {
  const { handovers, jobs, once, requested, grants, latenessMs, requests, seconds } = report;
  return [
    `### ${TITLES[report.lock]}`,
    table(
      [
        'jobs',
        'ticks',
        'runs',
        'caught up',
        'reported',
        'started twice',
        'unaccounted',
        'shown by',
      ],
      JOB_KINDS.map((kind) => {
        const { ticks, runs, caughtUp, reported, doubled, unaccounted, shown } = jobs[kind];
        const row = [ticks, runs, caughtUp, reported, doubled, unaccounted].map(grouped);
        return [kind, ...row, countOrNot(shown, SHOWN_BY[kind].what)];
      }),
    ),
    table(
      ['work that runs once', 'versions', 'shown by'],
      ONCE_KEYS.map((key) => {
        const { versions, interrupted, rerun } = once[key];
        const shown =
          key === 'fail'
            ? countOrNot(interrupted, 'interrupted, and not run again')
            : countOrNot(rerun, 'interrupted, and run again');
        return [`onInterrupted: '${key}'`, grouped(versions), shown];
      }),
    ),
    table(
      ['plain jobs: handover', 'handovers', 'ticks', 'started', 'caught up', 'reported'],
      HANDOVER_KINDS.flatMap((kind) => {
        const totals = handovers[kind];
        if (totals === undefined) return [];
        const { handovers: count, ticks, started, caughtUp, reported } = totals;
        return [[kind, ...[count, ticks, started, caughtUp, reported].map(grouped)]];
      }),
    ),
    [
      `${grouped(requested.requested)} runs asked for: ${grouped(requested.started)} started, ${grouped(requested.none)} refused or taken back, ${grouped(requested.unknown)} without a clear answer; ${grouped(requested.runs)} runs`,
      `${Math.round(seconds)} s; leadership was taken up ${grouped(grants)} times`,
      `the plain jobs started ${latenessMs.p50} ms late (median), ${latenessMs.p99} ms (p99), ${latenessMs.max} ms (at most)`,
      ...(requests ? [`requests: ${describeCounts(requests)}`] : []),
    ].join('\n'),
    ...report.violations.map((violation) => `VIOLATION ${violation}`),
    ...report.notShown.map((what) => `NOT SHOWN ${what}`),
  ].join('\n\n');
}

function table(titles: readonly string[], rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n');
}

function countOrNot(count: number, what: string): string {
  return count === 0 ? `NOT SHOWN: no ${what}` : `${grouped(count)} ${what}`;
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

function describeCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([what, count]) => `${what}: ${grouped(count)}`)
    .join(', ');
}
