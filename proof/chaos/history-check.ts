import { type Belief, inOrder, type ProbedBelief } from './belief.js';
import type { AcceptedWrites } from './fenced-register.js';
import type { ProcessHistory } from './process-history.js';
import { startedAgain, type StartedTick } from './started-tick.js';

export interface HistoryVerdict {
  readonly violations: readonly string[];
  /** Pairs of terms of different processes between whose points lies one of the other. */
  readonly overlaps: number;
  readonly tokensOutOfOrder: number;
  /** Starts of ticks. */
  readonly ticks: number;
  /** Ticks that were started more than once. */
  readonly doubleTicks: number;
}

export interface HistoryToCheck {
  readonly histories: readonly ProcessHistory[];
  /** What the fenced register accepted, in order. */
  readonly accepted: readonly AcceptedWrites[];
  /** The term is a number of the lease: it begins again when people delete or edit that. Tokens never do. */
  readonly termsMayRestart: boolean;
}

/** Merges the histories of all processes and checks I1 to I5. */
export function checkHistory({
  histories,
  accepted,
  termsMayRestart,
}: HistoryToCheck): HistoryVerdict {
  const beliefs = histories.flatMap((history) => history.beliefs);
  const probed = inOrder(beliefs);
  const overlaps = overlapsOf(probed);
  const tokens = pairsOutOfOrder(probed, (earlier, later) => earlier.token < later.token);
  const terms = pairsOutOfOrder(probed, (earlier, later) => earlier.term < later.term);
  const ticks = histories.flatMap((history) => history.ticks);
  const doubled = startedAgain(ticks);
  const violations = [
    ...overlaps.map(([one, other]) => `I1: ${shown(one)} overlaps ${shown(other)}`),
    ...tokens.map(
      ([one, other]) => `I2: the token does not grow from ${shown(one)} to ${shown(other)}`,
    ),
    ...(termsMayRestart ? [] : terms).map(
      ([one, other]) => `I2: the term does not grow from ${shown(one)} to ${shown(other)}`,
    ),
    ...histories.flatMap((history) => history.violations),
    ...registerViolations(accepted, beliefs),
    ...doubled.map(
      (starts) =>
        `I5: the tick of ${new Date(starts[0]!.tick).toISOString()} was started ${starts.length} times: ` +
        starts.map(shownStart).join(', '),
    ),
  ];
  return {
    violations,
    overlaps: overlaps.length,
    tokensOutOfOrder: tokens.length,
    ticks: ticks.length,
    doubleTicks: doubled.length,
  };
}

type Pair = readonly [ProbedBelief, ProbedBelief];

function overlapsOf(probed: readonly ProbedBelief[]): Pair[] {
  const pairs: Pair[] = [];
  let open: ProbedBelief[] = [];
  for (const belief of probed) {
    open = open.filter(({ to }) => to >= belief.from);
    pairs.push(...open.map((earlier): Pair => [earlier, belief]));
    open.push(belief);
  }
  return pairs;
}

function pairsOutOfOrder(
  probed: readonly ProbedBelief[],
  grows: (earlier: ProbedBelief, later: ProbedBelief) => boolean,
): Pair[] {
  const pairs = probed.slice(1).map((later, index): Pair => [probed[index]!, later]);
  return pairs.filter(([earlier, later]) => !grows(earlier, later));
}

/** I4: the register went by its rule, and every token it saw was that of one process, which had been granted it. */
function registerViolations(
  accepted: readonly AcceptedWrites[],
  beliefs: readonly Belief[],
): string[] {
  const violations: string[] = [];
  const owners = new Map(beliefs.map(({ token, process }) => [token, process]));
  let highest = -1n;
  for (const { token, process } of accepted) {
    if (token < highest) violations.push(`I4: the register accepted ${token} after ${highest}`);
    if (token > highest) highest = token;
    if (owners.get(token) !== process) {
      violations.push(
        `I4: ${process} wrote with token ${token} of ${owners.get(token) ?? 'nobody'}`,
      );
    }
  }
  return violations;
}

function shown({ process, term, token, from, to }: ProbedBelief): string {
  return `${process} term ${term} token ${token} [${from.toFixed(3)}, ${to.toFixed(3)}]`;
}

function shownStart({ process, at, term, token }: StartedTick): string {
  return `${process} term ${term} token ${token} at ${at.toFixed(3)}`;
}
