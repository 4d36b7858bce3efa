/**
 * Seeds (3 candidates, 10 minutes, all faults) that find out something that was wrong once; every run plays them first.
 * A change of how scenarios are drawn makes them mean something else: what was wrong is a mutant too, which tells the
 * new seed (`npm run simulate:mutants -- --only NAME`).
 */
export const FAILED_ONCE: readonly number[] = [
  // no-time-to-drain: with a drain timeout of 0 a lease was never released, though there was nothing to drain.
  24,
  // any-death: the death of an earlier holder must not set free what another has taken since.
  1_193,
  // The judge and not the election: edited there and back by hand, a lease is as old as it was.
  9_938,
  // Granted at the very instant at which validity ended: a rounding error apart from what isLeader() said.
  383_960,
];
