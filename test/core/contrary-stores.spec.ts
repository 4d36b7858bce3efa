import { describe, expect, it } from '@jest/globals';
import { RETRY_BACKOFF_MS } from '../../lib/core/election-state.js';
import type { ObservedLease } from '../../lib/core/lease-record.js';
import {
  heldBy,
  MachineRun,
  rejected,
  representation,
  unclear,
  unreachable,
} from '../support/machine-run.js';

const END_MS = 120_000;
const ANSWER_MS = 5;
const RELEASED = representation(heldBy('', { releasedTransitions: 4 }), 7);

/** A store that treats every request of a kind in the same way, whatever it has answered to another. */
class ContraryStore {
  private revision = 100;
  lease: ObservedLease | null = null;

  /** As the next version, or as one that reads do not show. */
  store({ written }: MachineRun, change: { uid?: string; isSeen?: boolean } = {}): ObservedLease {
    this.revision += 1;
    const lease = representation(written, this.revision, change.uid);
    if (change.isSeen ?? true) this.lease = lease;
    return lease;
  }

  get newer(): ObservedLease | null {
    this.revision += 1;
    return this.lease && { ...this.lease, revision: BigInt(this.revision) };
  }
}

type Answer = (run: MachineRun, store: ContraryStore) => unknown;

const READS: [string, Answer][] = [
  ['nothing', (run) => run.reads(null)],
  ['an old release', (run) => run.reads(RELEASED)],
  ['another holder', (run) => run.reads(representation(heldBy('other'), 7))],
  ['what was stored', (run, store) => run.reads(store.lease)],
  ['what was stored, as a newer version', (run, store) => run.reads(store.newer)],
  ['an error', (run) => run.reads({ kind: 'failed', error: unclear })],
];

const WRITES: [string, Answer][] = [
  ['applied', (run, store) => run.writes({ kind: 'applied', stored: store.store(run) })],
  [
    'applied out of sight',
    (run, store) => run.writes({ kind: 'applied', stored: store.store(run, { isSeen: false }) }),
  ],
  [
    'applied as no new version',
    (run) => {
      const revision = run.state.observation!.revision;
      return run.writes({ kind: 'applied', stored: representation(run.written, revision) });
    },
  ],
  [
    'applied to another object',
    (run, store) =>
      run.writes({ kind: 'applied', stored: store.store(run, { uid: `uid-${run.now}` }) }),
  ],
  ['a conflict', (run) => run.writes({ kind: 'conflict' })],
  ['absent', (run) => run.writes({ kind: 'absent' })],
  ['refused', (run) => run.writes({ kind: 'not-applied', error: rejected() })],
  ['not sent', (run) => run.writes({ kind: 'not-applied', error: unreachable })],
  ['unknown', (run) => run.writes({ kind: 'unknown', error: unclear })],
  [
    'unknown, and applied',
    (run, store) => {
      store.store(run);
      return run.writes({ kind: 'unknown', error: unclear });
    },
  ],
];

function played(read: Answer, create: Answer, replace: Answer): [MachineRun, number] {
  const run = new MachineRun().start();
  run.random = 0.5;
  const store = new ContraryStore();
  let requests = 0;
  let told = 0;
  while (run.now < END_MS && requests < END_MS) {
    for (const effect of run.effects.slice(told)) {
      if (effect.kind === 'revoke') run.say({ kind: 'drained', term: effect.term });
      told += 1;
    }
    if (run.state.pending === null) run.wake();
    else {
      requests += 1;
      run.at(run.now + ANSWER_MS);
      const { verb } = run.request.request;
      ({ read, create, replace })[verb](run, store);
    }
  }
  return [run, requests];
}

describe('when a store contradicts itself, whatever it does', () => {
  describe.each(READS)('reads show %s', (_read, read) => {
    it.each(WRITES)(
      'is asked at a bounded pace and not in silence: create %s',
      (_create, create) => {
        for (const [name, replace] of WRITES) {
          const [run, requests] = played(read, create, replace);
          const told = run.of('grant').length + run.of('failed').length;
          const follows = run.state.leader !== undefined;
          expect([name, requests <= END_MS / RETRY_BACKOFF_MS, told > 0 || follows]).toEqual([
            name,
            true,
            true,
          ]);
        }
      },
    );
  });
});
