import { describe, expect, it } from '@jest/globals';
import type { JsonDocument } from '../../../lib/core/json-document.js';
import {
  type ActiveRun,
  type JobRecord,
  NEVER_RUN,
} from '../../../lib/schedule/ledger/job-record.js';
import { KEPT_UNKNOWN_MS, sweepJobs } from '../../../lib/schedule/ledger/job-sweep.js';
import {
  readJobRecord,
  sweptThrough,
  writeJobRecord,
} from '../../../lib/schedule/ledger/ledger-document.js';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const LONG_AGO = NOW - KEPT_UNKNOWN_MS;

const record = (change: Partial<JobRecord> = {}): JobRecord => ({
  ...NEVER_RUN,
  schedule: 'S',
  accountedThrough: LONG_AGO,
  claimNonce: 'c',
  ...change,
});
const run = (fencingToken: string): ActiveRun => ({
  id: 'r',
  scheduledTime: LONG_AGO,
  startedAt: LONG_AGO,
  term: 1,
  fencingToken,
  holderIdentity: 'gone',
});
const stored = (change: Partial<JobRecord>): JsonDocument =>
  writeJobRecord({ later: 1 }, 'job', record(change));
const sweep = (document: JsonDocument, known: string[] = [], keptUnknownMs = KEPT_UNKNOWN_MS) =>
  sweepJobs(document, {
    now: NOW,
    fencingToken: 10n,
    keptUnknownMs,
    isKnown: (job) => known.includes(job),
  });

describe('when a leader finds the record of a job that it does not know', () => {
  it('marks it, and keeps everything else of it', () => {
    const { document, forgotten } = sweep(stored({ missedCount: 4 }));
    expect(readJobRecord(document, 'job')).toMatchObject({ unknownSince: NOW, missedCount: 4 });
    expect(forgotten).toEqual([]);
  });

  it('marks no more of them in one write than fit beside what it is made for', () => {
    const old = { schedule: 'S', accountedThrough: '2026-01-01T00:00:00Z' };
    const names = Array.from({ length: 50 }, (_, index) => [`job-${index}`, old]);
    const marks = (document: JsonDocument) =>
      JSON.stringify(document).split('unknownSince').length - 1;
    const first = sweep({ jobs: Object.fromEntries(names) }).document;
    expect(marks(first)).toBe(20);
    expect(marks(sweep(sweep(first).document).document)).toBe(50);
    expect(
      JSON.stringify(sweep(first).document).length - JSON.stringify(first).length,
    ).toBeLessThan(1_024);
  });

  it('leaves a mark as it is for 30 days', () => {
    const document = stored({ unknownSince: LONG_AGO + 1 });
    expect(sweep(document)).toEqual({ document, forgotten: [] });
  });

  it('removes it after that, and says up to where ticks may have been run', () => {
    const { document, forgotten } = sweep(stored({ unknownSince: LONG_AGO }));
    expect(document).toMatchObject({ later: 1, jobs: {}, sweptThrough: '2026-05-02T00:00:00Z' });
    expect(forgotten).toEqual(['job']);
    expect(sweptThrough(document)).toBe(LONG_AGO);
  });

  it('removes it as early as it is told to', () => {
    const document = stored({ unknownSince: NOW - 500 });
    expect(sweep(document, [], 501).forgotten).toEqual([]);
    expect(sweep(document, [], 500).forgotten).toEqual(['job']);
  });

  it('never says less than it has said before', () => {
    const before = { ...stored({ unknownSince: LONG_AGO }), sweptThrough: '2026-05-09T00:00:00Z' };
    expect(sweptThrough(sweep(before).document)).toBe(Date.parse('2026-05-09T00:00:00Z'));
    const after = { ...stored({ unknownSince: LONG_AGO }), sweptThrough: '2020-01-01T00:00:00Z' };
    expect(sweptThrough(sweep(after).document)).toBe(LONG_AGO);
  });

  it.each<[string, Partial<JobRecord>]>([
    ['that has a tick of the last 30 days', { accountedThrough: LONG_AGO + 1 }],
    ['that a clock running ahead has claimed', { accountedThrough: NOW + 1 }],
    ['with a run of the present term', { active: [run('10')] }],
    ['with a run of a later term', { active: [run('9'), run('11')] }],
  ])('keeps one %s', (_what, change) => {
    expect(sweep(stored({ unknownSince: LONG_AGO, ...change })).forgotten).toEqual([]);
  });

  it.each([['9'], ['nonsense']])('does not wait for a run whose lease has gone: %s', (token) => {
    const document = stored({ unknownSince: LONG_AGO, active: [run(token)] });
    expect(sweep(document).forgotten).toEqual(['job']);
  });

  it('leaves alone what it cannot read', () => {
    const document = { jobs: { other: { x: 1 }, broken: 5 }, sweptThrough: 7 };
    expect(sweep(document)).toEqual({ document, forgotten: [] });
    expect(sweptThrough(document)).toBe(-Infinity);
  });
});

describe('when a leader finds the record of a job that it knows', () => {
  it('keeps it however old it is, as that of a yearly job', () => {
    const document = stored({ accountedThrough: NOW - 12 * KEPT_UNKNOWN_MS });
    expect(sweep(document, ['job'])).toEqual({ document, forgotten: [] });
  });

  it('takes the mark off, however old that is', () => {
    const { document, forgotten } = sweep(stored({ unknownSince: LONG_AGO }), ['job']);
    expect(readJobRecord(document, 'job')).toMatchObject({ unknownSince: null });
    expect(forgotten).toEqual([]);
  });
});
