import { transition } from '../core/election-machine.js';
import type {
  ElectionConfig,
  ElectionEffect,
  ElectionState,
  Instant,
} from '../core/election-state.js';
import { copyOfLease } from './lock-requests.js';

/** Beyond every wait that is nearly over. */
const LATER_MS = 60_000;

/**
 * Plays the acquisition that is expected next, and its success: the machine is pure, and nothing comes of it. A standby runs
 * that part of it for the first time between the release and its own term, and V8 compiles what runs for the first time, which
 * takes longer than to run it. Before, it has nothing to do but wait for its turn.
 *
 * @returns what the success would have led to
 */
export function rehearseAcquisition(
  state: ElectionState,
  config: ElectionConfig,
): readonly ElectionEffect[] {
  const at: Instant = {
    now: state.latestNow + config.leaseDurationMs + LATER_MS,
    wallMicros: 0,
    wallAfterMicros: 0,
    suspendedMs: 0,
    random: 0,
  };
  const asked = transition(state, { kind: 'tick' }, at, config);
  const sent = asked.effects.find((effect) => effect.kind === 'request');
  if (sent?.request.verb !== 'replace') return [];
  const { record, expected } = sent.request;
  const stored = copyOfLease({ ...expected, record, revision: expected.revision + 1n });
  const outcome = { kind: 'applied', stored } as const;
  return transition(asked.state, { kind: 'write-done', id: sent.id, outcome }, at, config).effects;
}
