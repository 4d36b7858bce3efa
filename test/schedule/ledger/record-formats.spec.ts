import { describe, expect, it } from '@jest/globals';
import type { JsonDocument } from '../../../lib/core/json-document.js';
import {
  jobFault,
  readJobRecord,
  writeJobRecord,
} from '../../../lib/schedule/ledger/ledger-document.js';

const AT = '2026-01-01T00:00:00Z';
const TIME = Date.parse(AT);
const documentOf = (job: unknown, more: JsonDocument = {}): JsonDocument => ({
  ...more,
  jobs: { job },
});
/** Read and written back, with one field changed as a claim would. */
const rewritten = (job: JsonDocument, change = {}): JsonDocument => {
  const document = documentOf(job);
  const record = readJobRecord(document, 'job')!;
  const written = writeJobRecord(document, 'job', { ...record, ...change });
  return (JSON.parse(JSON.stringify(written)) as { jobs: Record<string, JsonDocument> }).jobs[
    'job'
  ]!;
};
const RUN = { run: 'r', scheduledTime: AT, startedAt: AT, term: 1, fencingToken: '1' };
const SUSPENSION = { isSuspended: true, at: AT, by: 'h' };
const PAST = { scheduledTime: AT, delayMs: 5, durationMs: 7, term: 1, holderIdentity: 'h' };
const RETRY = { scheduledTime: AT, attempt: 2, notBefore: AT };
const REPORT = { claim: 'c', reason: 'forbidden', times: [AT] };

describe('when a record was written by a version that knows more', () => {
  it.each<[string, JsonDocument]>([
    ['a field of the record', { later: [1] }],
    ['a field of an active run', { active: [{ ...RUN, holderIdentity: 'h', later: 1 }] }],
    ['a later attempt', { active: [{ ...RUN, holderIdentity: 'h', attempt: 2, later: 1 }] }],
    ['a past attempt', { history: [{ ...PAST, attempt: 2, later: 1 }] }],
    ['a field of an attempt to come', { retries: [{ ...RETRY, later: 1 }] }],
    [
      'a field of an attempt that was handed back',
      { retries: [{ ...RETRY, notAfter: AT, isRerun: true, returned: ['r'], later: 1 }] },
    ],
    ['a first attempt to come', { retries: [{ ...RETRY, attempt: 1 }] }],
    ['an attempt to come at another time', { retries: [{ ...RETRY, notBefore: { after: 'r' } }] }],
    ['an attempt to come with another end', { retries: [{ ...RETRY, notAfter: 5 }] }],
    [
      'a field of a request for a run',
      { trigger: { id: 't', at: AT, by: 'b', notAfter: AT, later: 1 } },
    ],
    ['a request for a run at another time', { trigger: { id: 't', at: AT, notAfter: 5 } }],
    ['a field of an answer', { triggered: { id: 't', at: AT, by: 'b', run: 'r', later: 1 } }],
    ['how a run ended', { triggered: { id: 't', at: AT, by: 'b', run: 'r', state: 'failed' } }],
    ['a state of later', { triggered: { id: 't', at: AT, by: 'b', run: 'r', state: 'paused' } }],
    [
      'why a claimed run did not start',
      { triggered: { id: 't', at: AT, by: 'b', run: 'r', state: 'not-started', refused: 'late' } },
    ],
    ['a refusal', { triggered: { id: 't', at: AT, by: 'b', refused: 'too late' } }],
    ['an answer to no request', { triggered: { at: AT } }],
    ['attempts to come that are none', { retries: { next: RETRY } }],
    ['a field of a report', { untold: [{ ...REPORT, later: { x: 1 } }] }],
    [
      'a field of the last failure',
      { lastFailed: { scheduledTime: AT, at: AT, reason: 'no', later: 1 } },
    ],
    ['a report with another reason', { untold: [{ ...REPORT, reason: 'paused' }] }],
    ['a report with other times', { untold: [{ ...REPORT, times: { from: AT } }] }],
    ['a field of a suspension', { suspension: { ...SUSPENSION, reason: 'r', later: 1 } }],
    [
      'a field of the cancellation of an active run',
      { active: [{ ...RUN, holderIdentity: 'h', cancellation: { at: AT, by: 'b', later: 1 } }] },
    ],
    [
      'a cancellation of an active run that is none',
      { active: [{ ...RUN, holderIdentity: 'h', cancellation: 'soon' }] },
    ],
    [
      'a field of the cancellation of a past run',
      {
        history: [{ ...PAST, outcome: 'cancelled', cancellation: { at: AT, by: 'b', later: 1 } }],
      },
    ],
    ['a field of a past run', { history: [{ ...PAST, later: 1 }] }],
    ['a past run with another outcome', { history: [{ ...PAST, outcome: 'skipped' }] }],
    ['a past run that is none', { history: ['x', { ...PAST, delayMs: 1e300 }] }],
    ['a history that is none', { history: { last: PAST } }],
    ['a run that is named otherwise', { active: [{ runner: 'x' }] }],
    ['a last success that is no time', { lastSuccessfulTime: { at: AT } }],
    ['a last failure that is none', { lastFailed: 'unknown' }],
    ['a count that is none', { missedCount: 'many' }],
    ['a mark that is no time', { unknownSince: 5 }],
  ])('writes back what it does not know: %s', (_what, fields) => {
    const job = { schedule: 'S', accountedThrough: AT, ...fields };
    expect(rewritten(job, { accountedThrough: TIME + 60_000, claimNonce: 'n' })).toEqual({
      ...job,
      accountedThrough: '2026-01-01T00:01:00Z',
      claim: 'n',
    });
  });

  it('keeps an attempt to come that it does not know beside one that it adds', () => {
    const strange = { ...RETRY, attempt: 'last' };
    const added = { scheduledTime: TIME, attempt: 3, notBefore: TIME, notAfter: TIME };
    const retries = [{ ...added, isRerun: true, returned: ['r'] }];
    expect(rewritten({ accountedThrough: AT, retries: [strange] }, { retries })['retries']).toEqual(
      [strange, { ...RETRY, attempt: 3, notAfter: AT, isRerun: true, returned: ['r'] }],
    );
  });

  it('keeps what it does not know beside what it adds', () => {
    const strange = { ...REPORT, reason: 'paused' };
    const job = { accountedThrough: AT, untold: [strange], active: [{ runner: 'x' }] };
    const untold = [{ id: 'd', reason: 'not-started', times: [TIME], isCapped: true }];
    const { run: id, ...run } = RUN;
    const active = [{ ...run, id, holderIdentity: 'h', scheduledTime: TIME, startedAt: TIME }];
    expect(rewritten(job, { untold, active })).toMatchObject({
      untold: [strange, { claim: 'd', reason: 'not-started', times: [AT], isCapped: true }],
      active: [{ runner: 'x' }, { ...RUN, holderIdentity: 'h' }],
    });
  });

  it.each<[string, JsonDocument, string]>([
    ['a newer record', documentOf({ accountedThrough: AT, format: 3 }), 'has format 3'],
    ['a record of no format', documentOf({ accountedThrough: AT, format: 'x' }), 'has format "x"'],
    ['format 0', documentOf({ accountedThrough: AT, format: 0 }), 'has format 0'],
    ['format 1.5', documentOf({ accountedThrough: AT, format: 1.5 }), 'has format 1.5'],
    ['no record', documentOf([]), 'not a JSON object'],
    ['null', documentOf(null), 'not a JSON object'],
    ['no last tick', documentOf({ schedule: 'S' }), 'accountedThrough'],
    ['a last tick of another type', documentOf({ accountedThrough: TIME }), 'accountedThrough'],
    ['a schedule of another type', documentOf({ accountedThrough: AT, schedule: [] }), 'schedule'],
    ['runs of another type', documentOf({ accountedThrough: AT, active: { r: RUN } }), 'active'],
    [
      'a suspension that is none',
      documentOf({ accountedThrough: AT, suspension: 5 }),
      'suspension',
    ],
    ['reports of another type', documentOf({ accountedThrough: AT, untold: 'c' }), 'untold'],
    ['a newer document', documentOf({ accountedThrough: AT }, { format: 3 }), 'the document has'],
    [
      'a sweep of no time',
      documentOf({ accountedThrough: AT }, { sweptThrough: 7 }),
      'sweptThrough',
    ],
    ['jobs of another type', { jobs: [] }, 'jobs'],
  ])('says why nothing can be decided by it: %s', (_what, document, why) => {
    expect(jobFault(document, 'job')).toContain(why);
    expect(readJobRecord(document, 'job')).toBeUndefined();
  });

  it.each<[string, JsonDocument]>([
    ['there is none', {}],
    ['there is none of this job', { jobs: { other: 5 } }],
    ['it is one of the first format', documentOf({ accountedThrough: AT, schedule: 'S' })],
    ['it is one of the present format', documentOf({ accountedThrough: AT }, { format: 2 })],
    ['it carries the present format itself', documentOf({ accountedThrough: AT, format: 2 })],
  ])('finds no fault where there is none: %s', (_what, document) => {
    expect(jobFault(document, 'job')).toBeUndefined();
  });
});

describe('when a record says nothing but where it stands', () => {
  it('takes no room for the rest, in whichever format it was', () => {
    const full = {
      schedule: 'S',
      accountedThrough: AT,
      claim: '',
      lastScheduleTime: null,
      lastSuccessfulTime: null,
      lastFailed: null,
      missedCount: 0,
      lastMissedTime: null,
      active: [],
      untold: [],
      unknownSince: null,
    };
    expect(rewritten(full)).toEqual({ schedule: 'S', accountedThrough: AT });
  });

  it('takes back what is over', () => {
    const job = {
      accountedThrough: AT,
      schedule: 'S',
      claim: 'c',
      returned: ['a'],
      lastScheduleTime: AT,
      active: [{ ...RUN, holderIdentity: 'h' }],
      retries: [RETRY],
      untold: [REPORT],
      unknownSince: AT,
    };
    const change = {
      claimNonce: '',
      returned: [],
      lastScheduleTime: null,
      active: [],
      retries: [],
      untold: [],
      unknownSince: null,
    };
    expect(rewritten(job, change)).toEqual({ schedule: 'S', accountedThrough: AT });
  });

  it('is read by a version that knows no attempts, as the format is the same with them', () => {
    const record = readJobRecord(documentOf({ accountedThrough: AT, retries: [RETRY] }), 'job')!;
    expect(writeJobRecord({}, 'job', record)).toMatchObject({
      format: 2,
      jobs: { job: { accountedThrough: AT, retries: [RETRY] } },
    });
  });

  it('says by its format that it is written like this', () => {
    const record = readJobRecord(documentOf({ accountedThrough: AT }), 'job')!;
    expect(writeJobRecord({ later: 1 }, 'job', record)).toMatchObject({ later: 1, format: 2 });
  });
});
