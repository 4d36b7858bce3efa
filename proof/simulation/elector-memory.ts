import type {
  ElectionEvent,
  ElectionState,
  PendingRequest,
} from '../../lib/core/election-state.js';
import { LockRequestError } from '../../lib/core/errors.js';
import type { Term } from '../../lib/core/term.js';
import type { LeaderElector } from '../../lib/elector/leader-elector.js';

/** What a clone of a process has of its elector: the memory, and none of the timers and connections. */
interface ElectorMemory {
  state: ElectionState;
  current: { readonly term: Term; readonly abort: AbortController } | undefined;
  openWatch(): void;
  dispatch(event: ElectionEvent): void;
}

const LOST = new LockRequestError('no answer', { reason: 'unclear' });

/** Gives the elector the memory of another one; answers with the term it goes on with. */
export function continueElection(from: LeaderElector, to: LeaderElector): Term {
  const [original, copy] = [memoryOf(from), memoryOf(to)];
  const abort = new AbortController();
  const term = Object.freeze({ ...original.current!.term, signal: abort.signal });
  copy.state = original.state;
  copy.current = { term, abort };
  return term;
}

/** Lets the elector go on; answers with the request that nothing will come back to. */
export function startContinued(elector: LeaderElector): PendingRequest | null {
  const memory = memoryOf(elector);
  memory.dispatch({ kind: 'watch-interrupted' });
  memory.openWatch();
  return memory.state.pending;
}

export function answerContinued(elector: LeaderElector, { id, purpose }: PendingRequest): void {
  memoryOf(elector).dispatch(
    purpose === 'read'
      ? { kind: 'read-done', id, outcome: { kind: 'failed', error: LOST } }
      : { kind: 'write-done', id, outcome: { kind: 'unknown', error: LOST } },
  );
}

/** From the acquiring write on until it is released, lost or left to lapse. */
export function holdsLease(elector: LeaderElector): boolean {
  return memoryOf(elector).state.tenure !== null;
}

function memoryOf(elector: LeaderElector): ElectorMemory {
  return elector as unknown as ElectorMemory;
}
