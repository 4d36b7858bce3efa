import { describe, expect, it } from '@jest/globals';
import type { JsonDocument } from '../../../lib/core/json-document.js';
import { BoundedStore } from '../../../lib/schedule/ledger/bounded-store.js';
import { NEVER_RUN } from '../../../lib/schedule/ledger/job-record.js';
import type { LedgerChange } from '../../../lib/schedule/ledger/ledger-changes.js';
import { printRecord } from '../../../lib/schedule/ledger/job-record.codec.js';
import {
  jobNames,
  packed,
  readJobRecord,
  unpacked,
  withJobRecords,
} from '../../../lib/schedule/ledger/ledger-document.js';
import { ScheduleLedger } from '../../../lib/schedule/ledger/schedule-ledger.js';
import { ManualClock } from '../../support/manual-clock.js';
import { noise } from '../support/noise.js';
import { ScriptedDocumentStore } from '../support/scripted-document-store.js';

const BOUNDS = { requestTimeoutMs: 3_000, longestRequestMs: 10_000 };

/** Counts the record of a job up, one write at a time. */
function countingTo(count: number): LedgerChange<number> {
  return {
    job: 'job',
    decide(record = { ...NEVER_RUN, schedule: 'S', accountedThrough: 0, claimNonce: '' }) {
      const { missedCount } = record;
      if (missedCount >= count) return { kind: 'settled', result: missedCount };
      return { kind: 'write', record: { ...record, missedCount: missedCount + 1 } };
    },
  };
}

function ledgerOn(store: ScriptedDocumentStore, clock = new ManualClock()) {
  const errors: string[] = [];
  const ledger = new ScheduleLedger(store, clock, {
    ...BOUNDS,
    retryMs: 250,
    longestRetryMs: 15_000,
    random: () => 0.5,
    onError: ({ message }) => void errors.push(message),
  });
  return { ledger, clock, errors };
}

describe('when a change takes several writes', () => {
  it('is not taken for one that something has altered on the way to the store', async () => {
    const store = new ScriptedDocumentStore();
    const { ledger, clock, errors } = ledgerOn(store);
    const submitted = ledger.submit(countingTo(3), { deadline: clock.now() + 10_000 });
    await clock.settle();
    await expect(submitted).resolves.toEqual({ kind: 'settled', result: 3 });
    expect(store.writes).toBe(3);
    expect(errors).toEqual([]);
  });
});

describe('when the marks of a sweep do not fit beside a change', () => {
  it('writes the change without them, and forgets nothing', async () => {
    const { ledger, clock, errors } = ledgerOn(new ScriptedDocumentStore());
    const forgotten: string[] = [];
    const marks = { marks: noise(240 * 1_024) };
    ledger.sweepBy(
      (document) => ({ document: { ...document, ...marks }, forgotten: ['gone'] }),
      (job) => void forgotten.push(job),
    );
    const submitted = ledger.submit(countingTo(1), { deadline: clock.now() + 10_000 });
    await clock.settle();
    await expect(submitted).resolves.toEqual({ kind: 'settled', result: 1 });
    expect(forgotten).toEqual([]);
    expect(errors).toEqual([]);
  });
});

describe('when a packed document is answered', () => {
  const large = (text: string): JsonDocument => ({
    format: 2,
    jobs: { text: text.repeat(20_000) },
  });
  const write = async (stored: JsonDocument) => {
    const store = new ScriptedDocumentStore();
    store.create = async () => ({ kind: 'applied', stored: { document: stored, version: '1' } });
    return new BoundedStore(store, new ManualClock(), BOUNDS).write(large('a'), null);
  };

  it.each([
    ['as it was sent', 'a'],
    ['as something has altered it', 'b'],
  ])('is what the store has, %s', async (_what, text) => {
    expect(packed(large(text))).toHaveProperty('packed');
    await expect(write(packed(large(text)))).resolves.toEqual({
      kind: 'applied',
      stored: { document: large(text), version: '1' },
    });
  });
});

describe('when many jobs remember their last runs', () => {
  /** What the store has after a change, if so many jobs remember ten runs each. */
  async function written(jobs: number) {
    const store = new ScriptedDocumentStore();
    await store.put(packed(withHistories(jobs)));
    const { ledger, clock, errors } = ledgerOn(store);
    const submitted = ledger.submit(countingTo(1), { deadline: clock.now() + 10_000 });
    await clock.settle();
    await submitted;
    expect(errors).toEqual([]);
    const document = unpacked(await store.document());
    const lengths = jobNames(document).map((job) => readJobRecord(document, job)!.history.length);
    return { document, lengths: new Set(lengths) };
  }

  it('keeps all of them while an earlier version has room beside them', async () => {
    expect((await written(100)).lengths).toEqual(new Set([10, 0]));
  });

  it.each([
    [300, 2],
    [1_000, 0],
  ])(
    'keeps as many as leave such a version room, which counts what it unpacks: of %i jobs %i each',
    async (jobs, kept) => {
      const { document, lengths } = await written(jobs);
      expect(Buffer.byteLength(JSON.stringify(document))).toBeLessThan(200 * 1_024);
      expect(lengths).toEqual(new Set([kept, 0]));
    },
  );
});

function withHistories(jobs: number): JsonDocument {
  const at = Date.UTC(2026, 0, 1);
  const holderIdentity = 'billing-5d4f7c9b8d-x2x7k_0f8fad5b-d9cb-469f-a165-70867728950e';
  const past = { scheduledTime: at, startedAt: at + 7, endedAt: at + 1_234, term: 3 };
  const run = { ...past, holderIdentity, outcome: 'succeeded' as const, reason: '' };
  const history = Array.from({ length: 10 }, () => run);
  const begun = { schedule: '* * * * * UTC', accountedThrough: at, claimNonce: '' };
  const record = printRecord({ ...NEVER_RUN, ...begun, history });
  const names = Array.from({ length: jobs }, (_, index) => `customer-${index}:close-day`);
  return withJobRecords({}, new Map(names.map((name) => [name, record])));
}
