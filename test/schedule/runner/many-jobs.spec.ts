import { describe, expect, it, jest } from '@jest/globals';
import { LockRequestError } from '../../../lib/core/errors.js';
import { type JsonDocument, MAX_DOCUMENT_BYTES } from '../../../lib/core/json-document.js';
import type { StoredDocument, WriteOutcome } from '../../../lib/core/resource-lock.js';
import type { JobDefinition } from '../../../lib/schedule/runner/job-definition.js';
import { ManualClock } from '../../support/manual-clock.js';
import { noise } from '../support/noise.js';
import { ScheduledProcess } from '../support/scheduled-process.js';
import { ScriptedDocumentStore } from '../support/scripted-document-store.js';

const MINUTE_MS = 60_000;

// Large documents take long on a busy machine.
jest.setTimeout(120_000);

/** A process with identities and nonces as long as those of pods, and what its jobs have started, by name. */
class Worker extends ScheduledProcess {
  readonly runs = new Map<string, string[]>();

  constructor(name: string, clock?: ManualClock, store?: ScriptedDocumentStore) {
    super(`billing-5d4f7c9b8d-${name}_0f8fad5b-d9cb-469f-a165-70867728950e`, clock, store);
  }

  async withJobs(count: number, change: Partial<JobDefinition> & { expression?: string } = {}) {
    for (let index = 0; index < count; index += 1) await this.withNamed(`report-${index}`, change);
    return this;
  }

  withNamed(name: string, change: Partial<JobDefinition> & { expression?: string } = {}) {
    this.runs.set(name, []);
    const run: JobDefinition['run'] = (context) => {
      this.runs.get(name)!.push(context.scheduledTime.toISOString().slice(11, 19));
      return this.handler(context);
    };
    return this.withJob({ name, run, ...change });
  }

  /** How many jobs have started so many ticks. */
  get counts(): Record<number, number> {
    const counts: Record<number, number> = {};
    for (const { length } of this.runs.values()) counts[length] = (counts[length] ?? 0) + 1;
    return counts;
  }
}

describe('when more jobs are due in one second than fit into one write', () => {
  it('starts all of them, as many at a time as fit', async () => {
    const worker = new Worker('a');
    await (await worker.withJobs(500)).lead();
    await worker.clock.advance(0);
    // All the others come to wait while the first of them is written.
    worker.store.fatesOfWrites.push('held');
    await worker.clock.advance(MINUTE_MS);
    worker.store.release();
    await worker.clock.advance(5_000);
    expect(worker.counts).toEqual({ 1: 500 });
    expect(worker.missed).toEqual([]);
    expect(worker.errors).toEqual([]);
  });
});

describe('when a thousand jobs are due in one second, and their runs take long', () => {
  it('starts all of them, as what is stored is packed and has room for all runs', async () => {
    const worker = new Worker('a');
    worker.handler = () => new Promise(() => {});
    await (await worker.withJobs(1_000)).lead();
    await worker.clock.advance(MINUTE_MS + 5_000);
    expect(worker.counts).toEqual({ 1: 1_000 });
    expect(worker.missed).toEqual([]);
    expect(worker.errors).toEqual([]);
  });

  it('has room for a second run of one of them', async () => {
    const worker = new Worker('a');
    worker.handler = () => new Promise(() => {});
    await worker.withNamed('overlaps', { concurrencyPolicy: 'Allow' });
    await (await worker.withJobs(500, { expression: '0 12 * * *' })).lead();
    await worker.clock.advance(2 * MINUTE_MS);
    expect(worker.runs.get('overlaps')).toHaveLength(2);
  });
});

describe('when nobody led for a while', () => {
  it.each([
    ['irregularly', '0,2,5,9,14,16,19,23,28,37,58 * * * * *'],
    ['every second', '* * * * * *'],
  ])('starts all jobs again, and reports every tick: %s', async (_what, expression) => {
    const change = { expression, startingDeadlineMs: 10_000 };
    const first = await (await new Worker('a').withJobs(85, change)).lead(1);
    const { clock, store } = first;
    await clock.advance(2_000);
    await first.lose();
    await clock.advance(110_000);
    const second = await (await new Worker('b', clock, store).withJobs(85, change)).lead(2);
    await clock.advance(16_000);
    expect(second.missed.length).toBeGreaterThanOrEqual(85);
    expect(second.runs.get('report-84')!.length).toBeGreaterThanOrEqual(2);
    expect(Object.keys(second.counts)).toHaveLength(1);
    expect(second.errors).toEqual([]);
  });
});

describe('when a document is nearly full', () => {
  const filledTo = async (share: number) => {
    const store = new ScriptedDocumentStore();
    await store.put({ foreign: noise(Math.floor(share * MAX_DOCUMENT_BYTES)) });
    const worker = new Worker('a', new ManualClock(), store);
    await worker.withNamed(`of a long name ${noise(600)}`);
    await (await worker.withJobs(7)).lead();
    await worker.clock.advance(3 * MINUTE_MS);
    return worker;
  };

  it('says so while everything still runs, once, with the jobs whose records are the largest', async () => {
    const worker = await filledTo(0.8);
    expect(worker.counts).toEqual({ 3: 8 });
    expect(worker.errors).toEqual([
      expect.stringMatching(
        /has \d+ of 245760 bytes.*largest records are those of "of a long name [^"]*" \(\d+\), "report-\d" \(\d+\).*fewer scheduled jobs per role/,
      ),
    ]);
  });

  it('says nothing before', async () => {
    expect((await filledTo(0.7)).errors).toEqual([]);
  });
});

describe('when the runs of one job pile up', () => {
  it('leaves room for a run of every other job, and says which one has none', async () => {
    const store = new ScriptedDocumentStore();
    await store.put({ foreign: noise(MAX_DOCUMENT_BYTES - 8_500) });
    const worker = new Worker('a', new ManualClock(), store);
    const neverEnds = () => new Promise(() => {});
    await worker.withNamed('piles up', {
      expression: '* * * * * *',
      concurrencyPolicy: 'Allow',
      run: () => {
        worker.runs.get('piles up')!.push('');
        return neverEnds();
      },
    });
    await (await worker.withJobs(30)).lead();
    await worker.clock.advance(4 * MINUTE_MS);
    expect(worker.runs.get('piles up')!.length).toBeGreaterThan(50);
    expect(worker.runs.get('piles up')!.length).toBeLessThan(4 * 60 - 20);
    expect(worker.counts).toMatchObject({ 4: 30 });
    const refusals = worker.errors.filter((error) => error.includes('no room for its change'));
    expect(refusals.length).toBeGreaterThan(0);
    expect(refusals).toEqual(
      refusals.map(() =>
        expect.stringMatching(/job "piles up".*largest records are those of "piles up"/),
      ),
    );
  });
});

describe('when a job can never be written', () => {
  it('is named, and the others run', async () => {
    const store = new ScriptedDocumentStore();
    await store.put({ foreign: noise(MAX_DOCUMENT_BYTES - 4_000) });
    const worker = new Worker('a', new ManualClock(), store);
    await worker.withJobs(3);
    await worker.withNamed(`long ${noise(6_000)}`);
    await worker.lead();
    await worker.clock.advance(5 * MINUTE_MS);
    expect(worker.counts).toEqual({ 5: 3, 0: 1 });
    expect(worker.errors).toContainEqual(expect.stringMatching(/job "long .* no room/));
  });

  it('does not keep the others from being written, if it cannot be packed as far as expected', async () => {
    const store = new ScriptedDocumentStore();
    await store.put({ foreign: noise(MAX_DOCUMENT_BYTES - 5_500) });
    const worker = new Worker('a', new ManualClock(), store);
    await worker.withJobs(3);
    await worker.withNamed(`long ${noise(6_000)}`);
    await worker.lead();
    await worker.clock.advance(5 * MINUTE_MS + 30_000);
    expect(worker.counts).toEqual({ 5: 3, 0: 1 });
    expect(worker.errors).toContainEqual(expect.stringMatching(/more than the \d+ that fit/));
  });

  it('does not keep the others from being written, if the store refuses it', async () => {
    const store = new PickyStore('poison');
    const worker = new Worker('a', new ManualClock(), store);
    await worker.withNamed('poison');
    await (await worker.withJobs(20)).lead();
    await worker.clock.advance(5 * MINUTE_MS + 30_000);
    expect(worker.counts).toEqual({ 5: 20, 0: 1 });
  });
});

/** Refuses what it does not like, as an admission policy would. */
class PickyStore extends ScriptedDocumentStore {
  constructor(private readonly word: string) {
    super();
  }

  override create(
    document: JsonDocument,
    ...rest: [Parameters<ScriptedDocumentStore['create']>[1]]
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.refusal(document) ?? super.create(document, ...rest);
  }

  override replace(
    document: JsonDocument,
    ...rest: [
      Parameters<ScriptedDocumentStore['replace']>[1],
      Parameters<ScriptedDocumentStore['replace']>[2],
    ]
  ): Promise<WriteOutcome<StoredDocument>> {
    return this.refusal(document) ?? super.replace(document, ...rest);
  }

  private refusal(document: JsonDocument): Promise<WriteOutcome<StoredDocument>> | undefined {
    if (!JSON.stringify(document).includes(this.word)) return undefined;
    const error = new LockRequestError('denied by policy', { reason: 'rejected' });
    return Promise.resolve({ kind: 'not-applied', error });
  }
}
