import type { ChaosOptions } from './chaos-options.js';
import type { LeadershipFigures } from './leadership-changes.js';

export interface ChaosReport
  extends Omit<ChaosOptions, 'json' | 'changes' | 'judge'>, LeadershipFigures {
  readonly elapsedSeconds: number;
  readonly interrupted: boolean;
  readonly overlaps: number;
  readonly tokensOutOfOrder: number;
  /** Of the job that runs every second: how many were started, and how many of them more than once. */
  readonly ticks: number;
  readonly doubleTicks: number;
  readonly processes: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly faultsMissed: number;
  readonly wallClockStepsBy: 'libfaketime' | 'Date.now';
  readonly registerWrites: { readonly accepted: number; readonly refused: number };
  /** From the end of the last fault to a leader. */
  readonly leaderAfterHealingMs: number | null;
  /** From the end of a leader that was killed when nothing else was wrong to the next; no error line may come of it. */
  readonly leaderAfterCrashMs: number | null;
  /** What the audit log of the API servers has; zeros for the file lock. */
  readonly api: {
    readonly writes: number;
    readonly takeovers: number;
    readonly mostRequestsInTenSeconds: number;
  };
  /** Operations that it ordered; what it found is among the violations. */
  readonly secondJudge:
    | 'not asked'
    | {
        readonly lock: number;
        readonly register: number;
        /** Those of people to the leader, by what came of them. */
        readonly requests: Readonly<Record<string, number>>;
      };
  readonly violations: readonly string[];
  /** Where the histories, logs and faults are; only of a failure. */
  readonly kept?: string;
}

/** For people. */
export function describeReport(report: ChaosReport): string {
  const { violations, faults, changesByFault, endsByReason, registerWrites, secondJudge, kept } =
    report;
  const rows: [string, string | number][] = [
    ['seed', `${report.seed}${report.strict ? ', strict' : ''}, ${report.lock} lock`],
    ['leadership changes', `${report.leadershipChanges} in ${report.elapsedSeconds.toFixed(0)} s`],
    ['  by fault', listed(changesByFault)],
    ['terms ended by', listed(endsByReason)],
    ['overlaps', report.overlaps],
    ['tokens out of order', report.tokensOutOfOrder],
    ['ticks', `${report.ticks} started, ${report.doubleTicks} of them twice`],
    ['probes', report.probes],
    ['closest handover', `${report.closestHandoverMs?.toFixed(3) ?? '-'} ms`],
    [
      'longest time without a leader',
      `${report.longestLeaderlessMs.toFixed(0)} ms (${report.longestLeaderlessAfter.join(', ')})`,
    ],
    [
      'leader after a crash in peace',
      report.leaderAfterCrashMs === null ? '-' : `${report.leaderAfterCrashMs.toFixed(0)} ms`,
    ],
    ['register', `${registerWrites.accepted} writes accepted, ${registerWrites.refused} refused`],
    ['faults', listed(faults)],
    ['processes', report.processes],
    [
      'API servers',
      `${report.api.writes} writes, ${report.api.takeovers} takeovers, at most ${report.api.mostRequestsInTenSeconds} requests in 10 s`,
    ],
    [
      'second judge',
      secondJudge === 'not asked'
        ? secondJudge
        : `${secondJudge.lock} operations of the lock, ${secondJudge.register} of the register`,
    ],
    ['requests', secondJudge === 'not asked' ? secondJudge : listed(secondJudge.requests)],
    ['violations', violations.length === 0 ? 'none' : violations.length],
    ...violations.slice(0, 20).map((violation): [string, string] => ['', violation]),
    ...(kept === undefined ? [] : [['kept in', kept] as [string, string]]),
  ];
  return rows.map(([name, value]) => `${name.padEnd(30)} ${value}`).join('\n');
}

function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
