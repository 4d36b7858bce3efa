/**
 * Situations that a run must have been in (the practice of "sometimes" assertions): a run in which one of them never
 * came up has proved less than it seems.
 */
export const SITUATIONS = [
  'granted',
  'takeover',
  'ghost-applied-after-revoke',
  'ghost-acquire-applied',
  'conflict-after-own-success',
  'late-success',
  'release-conflict',
  'released',
  'watch-gap',
  'old-watch-event',
  'near-miss',
  'settle-stop',
  'deadline-passed-while-stopped',
  'answer-before-overdue-deadline',
  'drain-timeout',
  'duplicate-applied-once',
  'retry-after',
  'handler-failed',
  'handed-over-ineligible',
  'led-ineligible',
  'death-reported',
  'container-ended',
  'container-mistaken',
  'wrong-proof',
  'taken-by-proof',
  'taken-uncoordinated',
  'stranger-led',
  'mixed-settings',
  'steady-slow',
  'stale-read',
  'broken-lock',
  'kept-lease',
  'observer-threw',
  'renewal-undone',
  'renewal-altered',
  'acquisition-altered',
  'release-altered',
  'release-after-hooks',
  'job-outlived-term',
  'slept-in-term',
  'moved-in-term',
  'cloned',
  'lost-by-wall-clock',
  'restored-to-contested',
  'named-in-vain',
  'named-followed',
  'named-first',
  'moved-to-spread',
  'request-honoured',
  'request-refused',
  'stepped-down-as-asked',
  'crash-failover',
  'quiet-crash-failover',
] as const;

export type Situation = (typeof SITUATIONS)[number];
export type SituationCounts = Record<Situation, number>;

export function noSituations(): SituationCounts {
  return Object.fromEntries(SITUATIONS.map((name) => [name, 0])) as SituationCounts;
}

export function addSituations(sum: SituationCounts, more: SituationCounts): void {
  for (const name of SITUATIONS) sum[name] += more[name];
}
