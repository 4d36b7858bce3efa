import { describe, expect, it } from '@jest/globals';
import { type JsonDocument, MAX_DOCUMENT_BYTES } from '../../../lib/core/json-document.js';
import { packed, storedSize } from '../../../lib/schedule/ledger/ledger-document.js';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { noise } from '../support/noise.js';
import { ScriptedDocumentStore } from '../support/scripted-document-store.js';
import { JOB, ScheduledProcess } from '../support/scheduled-process.js';

const MINUTE_MS = 60_000;
const at = (minute: number, ms = 0): number => Date.UTC(2026, 0, 1, 0, minute, 0, ms);

async function leading(job: Partial<JobDefinition> = {}): Promise<ScheduledProcess> {
  return (await new ScheduledProcess('a').withJob(job)).lead();
}

describe('when runs are over', () => {
  it('remembers of the last ones when they ran, where, and how they ended', async () => {
    const process = await leading();
    await process.clock.advance(MINUTE_MS);
    process.handler = () => Promise.reject(new Error('no ink'));
    await process.clock.advance(MINUTE_MS);
    expect((await process.record()).history).toMatchObject([
      {
        scheduledTime: at(1),
        startedAt: at(1),
        endedAt: at(1),
        term: 1,
        holderIdentity: 'a',
        outcome: 'succeeded',
        reason: '',
      },
      { scheduledTime: at(2), outcome: 'failed', reason: 'Error: no ink' },
    ]);
  });

  it('tells how long a run took, and that it was triggered', async () => {
    const process = await leading();
    process.handler = () => new Promise((resolve) => process.clock.setTimer(() => resolve(1), 700));
    await process.clock.advance(MINUTE_MS + 1_000);
    void process.job().trigger(process.term!);
    await process.clock.advance(1_000);
    expect((await process.record()).history).toMatchObject([
      { startedAt: at(1), endedAt: at(1, 700) },
      { scheduledTime: at(1, 1_000), endedAt: at(1, 1_700), isTriggered: true },
    ]);
  });

  it.each([0, 1, 3])('remembers no more than %s of them', async (historyLimit) => {
    const process = await leading({ historyLimit });
    await process.clock.advance(5 * MINUTE_MS);
    const { history } = await process.record();
    const newest = [3, 4, 5].slice(3 - historyLimit).map((minute) => at(minute));
    expect(history.map(({ scheduledTime }) => scheduledTime)).toEqual(newest);
  });

  it('remembers a run that was interrupted, once', async () => {
    const first = await leading();
    first.handler = () => new Promise(() => undefined);
    await first.clock.advance(MINUTE_MS);
    await first.lose();
    const second = await new ScheduledProcess('b', first.clock, first.store).withJob();
    await second.lead(2);
    expect((await second.record()).history).toMatchObject([
      { scheduledTime: at(1), term: 1, holderIdentity: 'a', outcome: 'interrupted' },
    ]);
    await second.clock.advance(2 * MINUTE_MS);
    expect((await second.record()).history).toHaveLength(3);
  });

  it('does not remember a tick that was handed back', async () => {
    const process = await leading();
    process.store.fatesOfWrites.push('held');
    await process.clock.advance(MINUTE_MS);
    process.job().suspend();
    process.store.release();
    await process.clock.settle();
    expect((await process.record()).history).toEqual([]);
  });
});

describe('when the document is full', () => {
  it('forgets past runs, and claims every tick', async () => {
    const store = new ScriptedDocumentStore();
    await store.put({ foreign: noise(200 * 1_024 - 2_600) });
    const process = await new ScheduledProcess('a', undefined, store).withJob({
      historyLimit: 100,
    });
    await process.lead();
    await process.clock.advance(60 * MINUTE_MS);
    expect(process.started).toHaveLength(60);
    expect(process.errors.join()).not.toContain('no room for its change');
    const { history } = (await process.schedule.inspect(JOB, new AbortController().signal))!;
    expect(history.length).toBeGreaterThan(3);
    expect(history.length).toBeLessThan(60);
    expect(history.at(-1)).toMatchObject({ scheduledTime: at(60) });
  });

  it('forgets those that an earlier version has kept, rather than refuse a claim', async () => {
    const process = await leading();
    const past = { scheduledTime: '2026-01-01T00:00:00Z', delayMs: 1, durationMs: 1 };
    // The other way round, as packing finds what repeats.
    const reasons = noise(4_000)
      .split('')
      .toReversed()
      .join('')
      .match(/.{200}/g)!;
    await process.edit({ history: reasons.map((reason) => ({ ...past, reason })) });
    const document = await process.store.document();
    await process.store.put(packed({ ...document, foreign: fillTo(document, 600) }));
    await process.clock.advance(2 * MINUTE_MS);
    expect(process.startedTimes).toEqual(['00:01:00', '00:02:00']);
    expect(process.errors.join()).not.toContain('no room for its change');
  });

  it('leaves a past run that another version has written where there is room', async () => {
    const process = await leading();
    await process.clock.advance(MINUTE_MS);
    await process.edit({ history: [{ later: 1 }] });
    await process.clock.advance(MINUTE_MS);
    const document = await process.store.document();
    const { job } = document['jobs'] as Record<string, { history: unknown[] }>;
    expect(job!.history).toEqual([{ later: 1 }, expect.objectContaining({ durationMs: 0 })]);
  });
});

describe('when a version that knows no history has led in between', () => {
  it('continues with what the history was', async () => {
    const first = await leading();
    await first.clock.advance(MINUTE_MS);
    await first.lose();
    await first.clock.advance(MINUTE_MS);
    const time = '2026-01-01T00:02:00Z';
    await first.edit({ accountedThrough: time, lastScheduleTime: time, lastSuccessfulTime: time });
    const second = await new ScheduledProcess('b', first.clock, first.store).withJob();
    await second.lead(2);
    await second.clock.advance(MINUTE_MS);
    expect((await second.record()).history).toMatchObject([
      { scheduledTime: at(1), holderIdentity: 'a' },
      { scheduledTime: at(3), holderIdentity: 'b' },
    ]);
  });
});

/** What fills the document up to so many bytes below its bound. */
function fillTo(document: JsonDocument, leftBytes: number): string {
  let length = MAX_DOCUMENT_BYTES - leftBytes;
  for (;;) {
    const foreign = noise(length);
    const over = storedSize({ ...document, foreign }).bytes - (MAX_DOCUMENT_BYTES - leftBytes);
    if (Math.abs(over) < 50) return foreign;
    length -= over;
  }
}
