import type { ObservedLease } from '../../lib/core/lease-record.js';
import { MachineRun } from '../support/machine-run.js';

/**
 * A candidate that has met this lease and acquires it. Throws if it does so before a holder's time is over, or not then.
 * @param heldForMs how long a holder has been promised; undefined if it has no holder
 */
export function meetingCandidate(
  lease: ObservedLease,
  heldForMs: number | undefined,
  strict: boolean,
): MachineRun {
  const run = new MachineRun({ strict }).start().reads(lease);
  if (heldForMs !== undefined) {
    run
      .say({ kind: 'watch-opened' })
      .reads(lease)
      .at(heldForMs - 1)
      .tick();
    if (run.state.pending !== null) throw new Error(`taken early: ${JSON.stringify(lease.source)}`);
    run.at(heldForMs).tick();
  }
  if (run.state.pending?.purpose !== 'acquire')
    throw new Error(`stuck: ${JSON.stringify(lease.source)}`);
  return run;
}
