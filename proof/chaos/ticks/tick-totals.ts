import { type Handover, HANDOVER_KINDS, type HandoverKind } from './handover.js';
import type { TickAccount, TickHistory } from './tick-history.js';

/** What one fleet has done: an application of its own, so that the same second is another tick in another fleet. */
export interface FleetOutcome {
  readonly name: string;
  readonly history: TickHistory;
  readonly handovers: readonly Handover[];
  /** Each tick up to this one had the time to be accounted for; undefined if the run broke off. */
  readonly settledTick: number | undefined;
  readonly failure: string | undefined;
}

export interface TickTotals {
  readonly handovers: number;
  readonly ticks: number;
  readonly started: number;
  readonly caughtUp: number;
  readonly doubled: number;
  readonly reported: number;
  readonly unaccounted: number;
}

export interface LockTotals {
  readonly kinds: Partial<Record<HandoverKind, TickTotals>>;
  readonly whole: TickTotals;
  /** How often leadership was taken up, at the start and unasked for too. */
  readonly grants: number;
  /** Versions of work that runs once whose run began. */
  readonly onceVersions: number;
  readonly latenessMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly violations: readonly string[];
}

/** The sums over all fleets, and what must not have been. */
export function totalsOf(outcomes: readonly FleetOutcome[]): LockTotals {
  const violations: string[] = [];
  const kinds: Partial<Record<HandoverKind, TickTotals>> = {};
  for (const kind of HANDOVER_KINDS) {
    const accounts: TickAccount[] = [];
    for (const { name, history, handovers } of outcomes) {
      for (const { from, until } of handovers.filter((handover) => handover.kind === kind)) {
        const account = history.within(from, until);
        accounts.push(account);
        const place = `${name}, ${kind} in (${from}, ${until}]`;
        violations.push(...violationsOf(account, place));
        if (kind === 'graceful' && account.reported > 0) {
          violations.push(`${place}: ${account.reported} missed`);
        }
      }
    }
    if (accounts.length > 0) kinds[kind] = sum(accounts, accounts.length);
  }
  const wholes = outcomes.map(({ history, settledTick }) => {
    const { firstTick, lastTick } = history;
    return history.within(firstTick - 1, Math.max(lastTick, settledTick ?? -Infinity));
  });
  for (const [index, { name, failure }] of outcomes.entries()) {
    violations.push(...violationsOf(wholes[index]!, `${name}, whole run`));
    violations.push(...onceViolations(outcomes[index]!));
    if (failure !== undefined) violations.push(failure);
  }
  const handovers = outcomes.reduce((total, outcome) => total + outcome.handovers.length, 0);
  return {
    kinds,
    whole: sum(wholes, handovers),
    grants: outcomes.reduce((total, { history }) => total + history.grants, 0),
    onceVersions: outcomes.reduce((total, { history }) => total + history.onceStarts.size, 0),
    latenessMs: quantiles(outcomes.flatMap(({ history }) => history.lateness)),
    violations,
  };
}

function onceViolations({ name, history }: FleetOutcome): string[] {
  return [...history.onceStarts]
    .filter(([, starts]) => starts > 1)
    .map(
      ([version, starts]) => `${name}: version ${version} of what runs once ran ${starts} times`,
    );
}

function violationsOf({ doubled, unaccounted }: TickAccount, place: string): string[] {
  return [
    ...doubled.map((tick) => `${place}: ${tick} started twice`),
    ...unaccounted.map((tick) => `${place}: ${tick} neither started nor reported`),
  ];
}

function sum(accounts: readonly TickAccount[], handovers: number): TickTotals {
  const of = (count: (account: TickAccount) => number): number =>
    accounts.reduce((total, account) => total + count(account), 0);
  return {
    handovers,
    ticks: of(({ ticks }) => ticks),
    started: of(({ started }) => started),
    caughtUp: of(({ caughtUp }) => caughtUp),
    doubled: of(({ doubled }) => doubled.length),
    reported: of(({ reported }) => reported),
    unaccounted: of(({ unaccounted }) => unaccounted.length),
  };
}

function quantiles(values: readonly number[]): LockTotals['latenessMs'] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
