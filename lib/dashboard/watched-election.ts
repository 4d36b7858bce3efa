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
