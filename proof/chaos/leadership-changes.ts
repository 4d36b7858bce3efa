import { type Belief, inOrder, type ProbedBelief } from './belief.js';

/** A fault that was injected. Without a process it met all of them. */
export interface InjectedFault {
  readonly at: number;
  /** When all was as before, restarts included; undefined while it lasts. */
  until?: number;
  readonly kind: string;
  readonly process?: string | undefined;
}

const LONGEST_FAULT_MS = 6_000;

export interface LeadershipFigures {
  readonly terms: number;
  /** Terms that began in another process than the term before. */
  readonly leadershipChanges: number;
  /** By the last fault that met the leader before its term ended. */
  readonly changesByFault: Readonly<Record<string, number>>;
  readonly endsByReason: Readonly<Record<string, number>>;
  readonly probes: number;
  readonly longestLeaderlessMs: number;
  /** What was injected in that time and shortly before it. */
  readonly longestLeaderlessAfter: readonly string[];
  /** From the last point of a leader to the first of the next: how near it came. */
  readonly closestHandoverMs: number | null;
}

export function leadershipFigures(
  beliefs: readonly Belief[],
  faults: readonly InjectedFault[],
): LeadershipFigures {
  const probed = inOrder(beliefs);
  const successions = probed
    .slice(1)
    .map((next, index) => ({ previous: probed[index]!, next }))
    .filter(({ previous, next }) => previous.process !== next.process);
  const gap = longestGap(probed);
  const distances = successions.map(({ previous, next }) => next.from - previous.to);
  return {
    terms: beliefs.length,
    leadershipChanges: successions.length,
    changesByFault: counted(successions.map(({ previous }) => causeOf(previous, faults))),
    endsByReason: counted(probed.map(({ reason }) => reason ?? 'process ended')),
    probes: beliefs.reduce((sum, { points }) => sum + points, 0),
    longestLeaderlessMs: gap.to - gap.from,
    longestLeaderlessAfter: faults
      .filter(({ at }) => at >= gap.from - LONGEST_FAULT_MS && at <= gap.to)
      .map(({ kind }) => kind),
    closestHandoverMs: distances.length === 0 ? null : Math.min(...distances),
  };
}

function causeOf(previous: ProbedBelief, faults: readonly InjectedFault[]): string {
  const { process, revokedAt, from } = previous;
  // A process that ended without a word did so after its last point.
  const met = faults.findLast((fault) =>
    revokedAt === undefined
      ? fault.process === process
      : fault.at >= from &&
        fault.at <= revokedAt &&
        (fault.process === undefined || fault.process === process),
  );
  return met?.kind ?? 'none that met it in its term';
}

function longestGap(probed: readonly ProbedBelief[]): { from: number; to: number } {
  let longest = { from: 0, to: 0 };
  let latest = Infinity;
  for (const { from, to } of probed) {
    if (from - latest > longest.to - longest.from) longest = { from: latest, to: from };
    latest = latest === Infinity ? to : Math.max(latest, to);
  }
  return longest;
}

export function counted(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}
