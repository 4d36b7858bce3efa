import { describe, expect, it } from '@jest/globals';
import { LockRequestError } from '../../../lib/core/errors.js';
import { type JobRecord, NEVER_RUN } from '../../../lib/schedule/ledger/job-record.js';
import type { LedgerChange } from '../../../lib/schedule/ledger/ledger-changes.js';
import {
  PACKED_FROM_BYTES,
  readJobRecord,
  writeJobRecord,
} from '../../../lib/schedule/ledger/ledger-document.js';
import { PORTION } from '../../../lib/schedule/ledger/portions.js';
import { ScheduleLedger } from '../../../lib/schedule/ledger/schedule-ledger.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ScheduledProcess } from '../support/scheduled-process.js';
import { ScriptedDocumentStore } from '../support/scripted-document-store.js';

const MINUTE_MS = 60_000;
const JOBS = 5 * PORTION;
const RECORD: JobRecord = { ...NEVER_RUN, schedule: 'S', accountedThrough: 0, claimNonce: '' };

async function withJobs(process: ScheduledProcess): Promise<ScheduledProcess> {
  const change = { startingDeadlineMs: MINUTE_MS };
  for (let index = 0; index < JOBS; index += 1) {
    await process.withJob({ name: `job ${index}`, ...change });
  }
  return process;
}

function ledgerOn(store: ScriptedDocumentStore, clock: ManualClock): ScheduleLedger {
  return new ScheduleLedger(store, clock, {
    requestTimeoutMs: 1_000,
    longestRequestMs: 1_000,
    retryMs: 250,
    longestRetryMs: 1_000,
    random: () => 0.5,
    onError: (error: LockRequestError) => {
      throw error;
    },
  });
}

describe('when a leader begins with many jobs after an outage', () => {
  it('lets the event loop have its turn after each portion of them, and starts all', async () => {
    const first = await (await withJobs(new ScheduledProcess('a'))).lead(1);
    const { clock, store } = first;
    await clock.advance(MINUTE_MS);
    await first.lose();
    await clock.advance(60 * MINUTE_MS);
    const second = await withJobs(new ScheduledProcess('b', clock, store));
    await second.lead(2);
    expect(second.started).toHaveLength(PORTION);
    await clock.advance(0);
    expect(second.started).toHaveLength(JOBS);
    expect(second.missed).toHaveLength(JOBS);
  });

  it('begins no further portion once its term has ended', async () => {
    const process = await (await withJobs(new ScheduledProcess())).lead();
    await process.lose();
    await process.clock.advance(MINUTE_MS);
    const jobs = (await process.store.document())['jobs'];
    expect(Object.keys(jobs as object)).toHaveLength(PORTION);
    expect(process.isDrained).toBe(true);
  });
});

describe('when many changes wait for one write', () => {
  const counted = () => {
    let decisions = 0;
    const changeOf = (job: string): LedgerChange<void> => ({
      job,
      decide: (record) => {
        decisions += 1;
        if (record !== undefined) return { kind: 'settled', result: undefined };
        return { kind: 'write', record: RECORD };
      },
    });
    return { changeOf, decisions: () => decisions };
  };
  const names = Array.from({ length: JOBS }, (_, index) => `job ${index}`);

  it('decides a portion of them in one turn, and writes all at once', async () => {
    const [store, clock] = [new ScriptedDocumentStore(), new ManualClock()];
    const ledger = ledgerOn(store, clock);
    const { changeOf, decisions } = counted();
    const submitted = names.map((job) => ledger.submit(changeOf(job), { deadline: Infinity }));
    await clock.settle();
    expect(decisions()).toBe(PORTION);
    expect(store.writes).toBe(0);
    await clock.advance(0);
    await Promise.all(submitted);
    expect(decisions()).toBe(2 * JOBS);
    expect(store.writes).toBe(1);
  });

  it('writes no change that was given up before its portion came', async () => {
    const [store, clock] = [new ScriptedDocumentStore(), new ManualClock()];
    const ledger = ledgerOn(store, clock);
    const { changeOf } = counted();
    const abort = new AbortController();
    const submitted = names.map((job, index) => {
      const signal = index === 0 || index === JOBS - 1 ? abort.signal : undefined;
      return ledger.submit(changeOf(job), { deadline: Infinity, signal });
    });
    await clock.settle();
    abort.abort();
    await clock.advance(0);
    const kinds = (await Promise.all(submitted)).map(({ kind }) => kind);
    expect(kinds.indexOf('unresolved')).toBe(JOBS - 1);
    // The first was in the write by then, and what is written is settled by its success.
    expect(kinds[0]).toBe('settled');
    const jobs = (await store.document())['jobs'];
    expect(Object.keys(jobs as object)).toEqual(names.slice(0, -1));
  });
});

describe('when a large document is written', () => {
  it('is made text once for its bound, its packing and its size together', async () => {
    const [store, clock] = [new ScriptedDocumentStore(), new ManualClock()];
    const ledger = ledgerOn(store, clock);
    let texts = 0;
    const foreign = { toJSON: () => [(texts += 1), 'x'.repeat(PACKED_FROM_BYTES)] };
    const record = { ...RECORD, source: { foreign } };
    const change: LedgerChange<void> = {
      job: 'job',
      decide: (known) =>
        known === undefined ? { kind: 'write', record } : { kind: 'settled', result: undefined },
    };
    await ledger.submit(change, { deadline: Infinity });
    expect(store.writes).toBe(1);
    // Once more for the room that the record takes.
    expect(texts).toBe(2);
  });

  it('has each of its records read once, however often it is asked for', () => {
    const document = writeJobRecord({}, 'job', RECORD);
    const other = writeJobRecord(document, 'other', RECORD);
    expect(readJobRecord(document, 'job')).toBe(readJobRecord(document, 'job'));
    expect(readJobRecord(other, 'job')).toBe(readJobRecord(document, 'job'));
  });
});
