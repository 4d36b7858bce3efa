import { count, counted, milliseconds, timeOfDay } from '../../../../lib/dashboard/page/words.js';
import type { ReplicaAction, ReplicaView, TermView, TickCounts } from '../fleet-view.js';
import { BLOCK_MS } from '../fleet-view.js';
import { JOB } from '../messages.js';

/** What became of all ticks, in a sentence or two. */
export function proofOf(counts: TickCounts | null): string {
  if (counts === null) return 'No tick has run yet: the first leader begins.';
  const { since, ran, twice, missed, interrupted } = counts;
  const first = `${counted(ran, 'tick')} since ${timeOfDay(since)} ran on exactly one replica, ${count(twice)} ran twice`;
  const late = `${count(missed)} ${missed === 1 ? 'was' : 'were'} missed`;
  const why =
    missed === 0
      ? ''
      : `, as no replica ran ${missed === 1 ? 'it' : 'them'} within ${JOB.startingDeadlineSeconds} s`;
  const open =
    interrupted === 0
      ? ''
      : ` ${count(interrupted)} more ${interrupted === 1 ? 'was' : 'were'} claimed by a replica that ended before it said whether it ran.`;
  return `${first}, ${late}${why}.${open}`;
}

/** Beside the name of a replica: what it is at. */
export function stateOf(replica: ReplicaView, leader: TermView | null): string {
  const { name, state, isCut, end } = replica;
  const part = leader?.replica === name ? `leads, term ${leader.term}` : 'follows';
  switch (state) {
    case 'ended':
      return end === 'SIGTERM' ? 'stopped' : `ended (${end})`;
    case 'starting':
      return 'is starting';
    case 'stopping':
      return 'is stopping';
    case 'frozen':
    case 'blocked':
      return leader?.replica === name ? `${part}, ${state}` : state;
    case 'running':
      return isCut ? `${part}, network cut` : part;
  }
}

export const ACTIONS: Readonly<Record<ReplicaAction, string>> = {
  kill: 'Kill -9',
  stop: 'Stop',
  freeze: 'Freeze',
  thaw: 'Thaw',
  cut: 'Cut network',
  heal: 'Heal network',
  block: `Block ${BLOCK_MS / 1_000} s`,
  start: 'Start',
};

/** `412 ms`; of two that led at once, for how long. */
export function gapOf({ gapMs }: TermView): string {
  if (gapMs === null) return '–';
  return gapMs < 0 ? `two leaders for ${milliseconds(-gapMs)}` : milliseconds(gapMs);
}
