import { describe, expect, it } from '@jest/globals';
import { type AskedOutcome, RunAsker } from '../../../lib/schedule/ledger/run-asker.js';
import { SpreadLedger } from '../../../lib/schedule/ledger/spread-ledger.js';
import { JOB, ScheduledProcess } from '../support/scheduled-process.js';
import { type Fate, ScriptedDocumentStore } from '../support/scripted-document-store.js';

const TIMEOUT_MS = 20_000;
const TAKE_BACK_MS = 15_000;
/** Fewer than those that fill the time. */
const ALWAYS = 400;

/** A person beside a leader, each with a way of their own to the store. */
class Operator {
  readonly store: ScriptedDocumentStore;
  readonly asker: RunAsker;
  isHeard = true;
  outcome: AskedOutcome | undefined;

  constructor(
    readonly leader: ScheduledProcess,
    private readonly id = 'r1',
  ) {
    this.store = new ScriptedDocumentStore(leader.store.inner);
    const ledger = new SpreadLedger(leader.clock, {
      objects: 1,
      open: () => this.store,
      requestTimeoutMs: 3_000,
      longestRequestMs: 10_000,
      retryMs: 250,
      longestRetryMs: 3_000,
      random: () => 0.5,
      onError: (error) => this.asker.failed(error),
    });
    this.asker = new RunAsker(ledger, leader.clock, async () => {
      if (this.isHeard) leader.schedule.readNow();
    });
  }

  async ask(timeoutMs = TIMEOUT_MS): Promise<void> {
    void this.asker
      .ask({ job: JOB, id: this.id, by: 'anna', timeoutMs })
      .then((outcome) => (this.outcome = outcome));
    await this.leader.clock.settle();
  }

  async asked(ms = 2 * TIMEOUT_MS): Promise<AskedOutcome | undefined> {
    await this.ask();
    await this.leader.clock.advance(ms);
    return this.outcome;
  }
}

async function operator(): Promise<Operator> {
  const leader = await new ScheduledProcess().withJob({
    expression: '0 0 1 1 *',
    concurrencyPolicy: 'Allow',
  });
  return new Operator(await leader.lead());
}

function many(fate: Fate, times = ALWAYS): Fate[] {
  return Array.from({ length: times }, () => fate);
}

describe('when a person asks for a run', () => {
  it('hears that it was started, and by whom', async () => {
    const person = await operator();
    person.leader.handler = () => new Promise(() => undefined);
    await person.ask();
    await person.leader.clock.advance(1_000);
    expect(person.outcome).toMatchObject({
      kind: 'answered',
      answer: { id: 'r1', by: 'a', state: 'started' },
    });
    expect(person.leader.started).toHaveLength(1);
  });

  it.each<[string, Fate[], Fate[]]>([
    ['was stored without an answer', ['unanswered'], []],
    ['was lost', ['lost', 'lost', 'lost'], []],
    [
      'was stored without an answer, and the store is away',
      ['unanswered'],
      ['ok', ...many('lost', 4)],
    ],
    ['was stored without an answer, and the answer cannot be read', [], ['ok', ...many('lost', 4)]],
  ])('gets one run if the request %s', async (_, writes, reads) => {
    const person = await operator();
    person.store.fatesOfWrites.push(...writes);
    person.store.fatesOfReads.push(...reads);
    expect(await person.asked()).toMatchObject({
      kind: 'answered',
      answer: { id: 'r1', state: 'succeeded' },
    });
    expect(person.leader.started).toHaveLength(1);
  });

  it('gets one run if the request was stored and claimed unheard, and its answer has given way', async () => {
    const person = await operator();
    const other = new Operator(person.leader, 'r2');
    person.store.fatesOfWrites.push('unanswered');
    person.store.fatesOfReads.push('ok', ...many('lost', 4));
    await person.ask();
    person.leader.schedule.readNow();
    await person.leader.clock.settle();
    expect(person.leader.started).toHaveLength(1);
    await other.asked();
    expect(other.outcome).toMatchObject({ kind: 'answered' });
    expect(person.outcome).toMatchObject({ kind: 'overtaken' });
    expect(person.leader.started).toHaveLength(2);
  });

  it('hears at once that it may not', async () => {
    const person = await operator();
    person.store.fatesOfWrites.push(...many('rejected'));
    expect(await person.asked(0)).toEqual({ kind: 'not-asked' });
  });

  it('hears that nothing was asked for if the record could not be read', async () => {
    const person = await operator();
    person.store.fatesOfReads.push(...many('lost'));
    expect(await person.asked()).toEqual({ kind: 'not-asked' });
  });

  it('hears that another was asked for before', async () => {
    const person = await operator();
    const other = new Operator(person.leader, 'r2');
    other.isHeard = false;
    await other.ask();
    expect(await person.asked(0)).toEqual({ kind: 'busy' });
  });

  it('hears that it was claimed if a leader does not say that it has started it', async () => {
    const person = await operator();
    const { leader } = person;
    leader.store.fatesOfWrites.push('ok', ...many('hangs'));
    leader.handler = () => new Promise(() => undefined);
    expect(await person.asked()).toMatchObject({
      kind: 'answered',
      answer: { by: 'a', state: 'claimed' },
    });
  });

  it('hears that it was claimed if a leader of an older version has ended it', async () => {
    const person = await operator();
    const { leader } = person;
    person.isHeard = false;
    await person.ask();
    await leader.edit({
      trigger: undefined,
      triggered: { id: 'r1', at: '2026-01-01T00:00:00Z', by: 'old', run: 'x' },
    });
    await leader.clock.advance(1_000);
    expect(person.outcome).toMatchObject({ answer: { by: 'old', state: 'claimed' } });
  });

  it('hears that it was claimed and not started', async () => {
    const person = await operator();
    const { leader } = person;
    leader.store.fatesOfReads.push('ok', ...many('lost', 7));
    leader.store.fatesOfWrites.push('unanswered');
    await person.ask(60_000);
    await leader.clock.advance(5_000);
    expect((await leader.record()).triggered).toMatchObject({ state: 'claimed' });
    expect(person.outcome).toBeUndefined();
    await leader.clock.advance(50_000);
    expect(person.outcome).toMatchObject({ kind: 'answered', answer: { state: 'not-started' } });
    expect(leader.started).toHaveLength(0);
  });
});

describe('when no leader answers a person who asks for a run', () => {
  it('has the request taken back, and no run starts later', async () => {
    const person = await operator();
    person.isHeard = false;
    expect(await person.asked()).toEqual({ kind: 'taken-back' });
    person.leader.schedule.readNow();
    await person.leader.clock.settle();
    expect(person.leader.started).toHaveLength(0);
  });

  it('hears of the run if a leader was faster', async () => {
    const person = await operator();
    person.isHeard = false;
    await person.ask();
    await person.leader.clock.advance(TIMEOUT_MS - 100);
    person.leader.schedule.readNow();
    await person.leader.clock.advance(TIMEOUT_MS);
    expect(person.outcome).toMatchObject({ kind: 'answered', answer: { by: 'a' } });
    expect(person.leader.started).toHaveLength(1);
  });
});

describe('when it is not known whether a request for a run is stored', () => {
  it('is taken back as soon as the store answers, also if it arrives only then', async () => {
    const person = await operator();
    person.store.fatesOfWrites.push('late');
    person.store.fatesOfReads.push('ok', ...many('lost'));
    await person.ask();
    await person.leader.clock.advance(TIMEOUT_MS + 1_000);
    expect(person.outcome).toBeUndefined();
    person.store.fatesOfReads.length = 0;
    await person.leader.clock.advance(TAKE_BACK_MS);
    expect(person.outcome).toEqual({ kind: 'taken-back' });
    await person.store.deliverLate();
    expect(await person.leader.record()).not.toHaveProperty('trigger');
  });

  it('says until when a run may start, if it could not be taken back either', async () => {
    const person = await operator();
    const notAfter = person.leader.clock.wallMicros() / 1_000 + TIMEOUT_MS;
    person.store.fatesOfWrites.push('unanswered', ...many('lost'));
    person.store.fatesOfReads.push('ok', ...many('lost'));
    await person.ask();
    await person.leader.clock.advance(TIMEOUT_MS + TAKE_BACK_MS - 1_000);
    expect(person.outcome).toBeUndefined();
    await person.leader.clock.advance(4_000);
    expect(person.outcome).toEqual({ kind: 'unresolved', notAfter });
    expect((await person.leader.record()).trigger).toMatchObject({ id: 'r1', notAfter });
  });
});
