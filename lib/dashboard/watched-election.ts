import type { RoleElection } from '../nest/role-election.js';

/** What the dashboard looks at of an election. It asks for nothing that costs the election a request. */
export type WatchedElection = Pick<
  RoleElection,
  | 'activity'
  | 'clock'
  | 'health'
  | 'leader'
  | 'leaderAddress'
  | 'lock'
  | 'memberViews'
  | 'options'
  | 'role'
  | 'source'
  | 'status'
> & { readonly elector: Pick<RoleElection['elector'], 'observed' | 'remainingMs' | 'term'> };

/**
 * When the lease was last seen to change, each renewal being one, by the clock that says `at` now; undefined before it was
 * seen.
 */
export function lastSeen(
  { clock, elector: { observed } }: Pick<WatchedElection, 'clock' | 'elector'>,
  at: number,
): number | undefined {
  return observed && Math.round(at - (clock.now() - observed.since));
}
