import { describe, expect, it } from '@jest/globals';
import { type JobRecord, NEVER_RUN } from '../../../lib/schedule/ledger/job-record.js';
import type { LedgerChange } from '../../../lib/schedule/ledger/ledger-changes.js';
import { storedSize, writeJobRecord } from '../../../lib/schedule/ledger/ledger-document.js';
import { LedgerMemory } from '../../../lib/schedule/ledger/ledger-memory.js';
import { PendingChange, PendingChanges } from '../../../lib/schedule/ledger/pending-changes.js';

const record = (change: Partial<JobRecord> = {}): JobRecord => ({
  ...NEVER_RUN,
  schedule: 'S',
  accountedThrough: 2_000,
  claimNonce: 'c',
  ...change,
});

describe('when two changes of one job go into one write', () => {
  it('settles nothing by what is only proposed', async () => {
    const pending = new PendingChanges(
      new LedgerMemory(),
      () => undefined,
      storedSize,
      async () => undefined,
    );
    const results: unknown[] = [];
    const untilFive: LedgerChange<string> = {
      job: 'job',
      decide: (known) =>
        known?.missedCount === 5
          ? { kind: 'settled', result: 'five' }
          : { kind: 'write', record: { ...known!, missedCount: 5 } },
    };
    for (let index = 0; index < 2; index += 1) {
      const entry = new PendingChange(untilFive, { deadline: 1 }, (result) => results.push(result));
      pending.add(entry, () => undefined);
    }
    const proposed = await pending.proposeOn(writeJobRecord({}, 'job', record()), 0, Infinity);
    expect(proposed.changes).toHaveLength(1);
    expect(results).toEqual([]);
    await pending.proposeOn(proposed.document, 0, 0);
    expect(results).toEqual(Array(2).fill({ kind: 'settled', result: 'five' }));
  });
});

describe('when a process remembers what it has seen', () => {
  const remembering = (...seen: Partial<JobRecord>[]) => {
    const memory = new LedgerMemory();
    for (const each of seen) memory.saw('job', record(each));
    return memory;
  };
  const through = (memory: LedgerMemory, stored: Partial<JobRecord>) =>
    memory.recall('job', record(stored)).accountedThrough;

  it('does not let an older record open ticks again', () => {
    const memory = remembering({ accountedThrough: 5_000, claimNonce: 'x' });
    expect(memory.recall('job', record({ accountedThrough: 4_999 }))).toMatchObject({
      accountedThrough: 5_000,
      claimNonce: 'x',
      isRecalled: true,
    });
    expect(memory.recall('another', record())).not.toHaveProperty('isRecalled');
    expect(memory.accountedBefore('job')).toBe(5_000);
    expect(memory.accountedBefore('another')).toBe(-Infinity);
  });

  it.each<[string, Partial<JobRecord>, number]>([
    ['the claim it has seen', { accountedThrough: 4_999, returned: ['x'] }, 4_999],
    [
      'the claim it has seen, among others',
      { accountedThrough: 4_999, returned: ['y', 'x'] },
      4_999,
    ],
    ['another claim', { accountedThrough: 4_999, returned: ['y'] }, 5_000],
    ['the claim of another tick', { accountedThrough: 4_998, returned: ['x'] }, 5_000],
  ])('lets a tick be open that was handed back: %s', (_what, stored, expected) => {
    expect(through(remembering({ accountedThrough: 5_000, claimNonce: 'x' }), stored)).toBe(
      expected,
    );
  });

  it('is not made to forget by an older record that it sees', () => {
    const memory = remembering(
      { accountedThrough: 5_000, claimNonce: 'x' },
      { accountedThrough: 1 },
    );
    expect(through(memory, { accountedThrough: 1 })).toBe(5_000);
  });

  it('follows a tick that was handed back, and claimed again', () => {
    const back = { accountedThrough: 4_999, claimNonce: '', returned: ['x'] };
    const memory = remembering({ accountedThrough: 5_000, claimNonce: 'x' }, back);
    expect(through(memory, back)).toBe(4_999);
    memory.saw('job', record({ accountedThrough: 5_000, claimNonce: 'z', returned: ['x'] }));
    expect(through(memory, back)).toBe(5_000);
  });

  it.each<[string, boolean, Partial<JobRecord>]>([
    ['a tick', false, { missedCount: 1, lastMissedTime: 5_000 }],
    ['no tick', true, { missedCount: 0, lastMissedTime: null, untold: [] }],
  ])('knows what it has given up as never started: %s', (_what, isTriggered, expected) => {
    const memory = remembering();
    memory.runAbandoned('r');
    const run = { id: 'r', scheduledTime: 5_000, startedAt: 5_000, term: 1, fencingToken: '1' };
    const active = [{ ...run, holderIdentity: 'h', isTriggered }];
    const recalled = memory.recall('job', record({ active }));
    expect(recalled).toMatchObject({ active: [], isRecalled: true, ...expected });
    expect(recalled.untold).toHaveLength(isTriggered ? 0 : 1);
  });
});
