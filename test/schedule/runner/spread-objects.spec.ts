import { describe, expect, it } from '@jest/globals';
import type { JsonDocument } from '../../../lib/core/json-document.js';
import type { JobRecord } from '../../../lib/schedule/ledger/job-record.js';
import { readJobRecord } from '../../../lib/schedule/ledger/ledger-document.js';
import { objectOf } from '../../../lib/schedule/ledger/spread-ledger.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ScheduledProcess } from '../support/scheduled-process.js';
import { ScriptedDocumentStore } from '../support/scripted-document-store.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const OBJECTS = 3;
/** A name for each object, by the hash. */
const names = Array.from({ length: 100 }, (_, index) => `job ${index}`);
const [STAYS, MOVES] = [0, 1].map((object) =>
  names.find((name) => objectOf(name, OBJECTS) === object)!,
) as [string, string];

/** Replicas of one role, with and without the option. */
class Fleet {
  readonly clock = new ManualClock();
  readonly store = new ScriptedDocumentStore();
  readonly others = [new ScriptedDocumentStore(), new ScriptedDocumentStore()];
  private count = 0;

  async replica(objects: number, jobs: readonly string[] = [MOVES]): Promise<ScheduledProcess> {
    const { clock, store, others } = this;
    const identity = `replica-${(this.count += 1)}`;
    const process = new ScheduledProcess(identity, clock, store, { objects, others });
    for (const name of jobs) await process.withJob({ name, startingDeadlineMs: MINUTE_MS });
    return process;
  }

  async leading(objects: number, jobs?: readonly string[]): Promise<ScheduledProcess> {
    return (await this.replica(objects, jobs)).lead(this.count);
  }

  async stored(object: number, job = MOVES): Promise<JobRecord | undefined> {
    const store = object === 0 ? this.store : this.others[object - 1]!;
    return readJobRecord(await store.document(), job);
  }

  async raw(object: number, job = MOVES): Promise<JsonDocument> {
    const { jobs = {} } = await (object === 0 ? this.store : this.others[object - 1]!).document();
    return (jobs as Record<string, JsonDocument>)[job]!;
  }
}

describe('when a role with one object is spread over several', () => {
  it('moves each job to the object of its name, with all that is recorded of it, and repeats no tick', async () => {
    const fleet = new Fleet();
    const before = await fleet.leading(1, [STAYS, MOVES]);
    await fleet.clock.advance(2 * MINUTE_MS);
    await before.lose();
    const after = await fleet.leading(OBJECTS, [STAYS, MOVES]);
    expect(await fleet.raw(0)).toEqual({
      format: 3,
      movedTo: 1,
      schedule: '',
      accountedThrough: expect.any(String),
    });
    expect(await fleet.stored(0, STAYS)).not.toHaveProperty('movedTo');
    expect((await fleet.stored(1))!.history).toHaveLength(2);
    expect(after.started).toEqual([]);
    await fleet.clock.advance(MINUTE_MS);
    expect(after.started).toHaveLength(2);
    expect(after.missed).toEqual([]);
    expect((await fleet.stored(1))!.history).toHaveLength(3);
  });

  it('writes nothing for a job elsewhere before its record is marked', async () => {
    const fleet = new Fleet();
    await (await fleet.leading(1)).lose();
    fleet.store.fatesOfWrites.push('held');
    const after = await fleet.leading(OBJECTS);
    expect(fleet.others[0]!.writes).toBe(0);
    fleet.store.release();
    await fleet.clock.advance(0);
    expect(await fleet.stored(1)).toBeDefined();
    await after.lose();
  });

  it('lets jobs whose object cannot be read stay where they are until it can', async () => {
    const fleet = new Fleet();
    await (await fleet.leading(1)).lose();
    fleet.others[0]!.fatesOfReads.push(...Array<'rejected'>(500).fill('rejected'));
    const after = await fleet.leading(OBJECTS);
    await fleet.clock.advance(2 * MINUTE_MS);
    expect(after.started).toHaveLength(2);
    expect(await fleet.stored(0)).not.toHaveProperty('movedTo');
    fleet.others[0]!.fatesOfReads.length = 0;
    await fleet.clock.advance(3 * MINUTE_MS);
    expect(after.started).toHaveLength(5);
    expect(await fleet.stored(0)).toHaveProperty('movedTo', 1);
  });
});

describe('when a leader dies between the mark and the copy', () => {
  const died = async () => {
    const fleet = new Fleet();
    const before = await fleet.leading(1);
    await fleet.clock.advance(2 * MINUTE_MS);
    await before.lose();
    fleet.others[0]!.fatesOfWrites.push('lost', 'hangs');
    const died = await fleet.leading(OBJECTS);
    await fleet.clock.advance(1_000);
    await died.lose();
    expect(await fleet.raw(0)).toMatchObject({ format: 3, movedTo: 1, history: expect.anything() });
    expect(await fleet.raw(1)).toBeUndefined();
    fleet.others[0]!.fatesOfWrites.length = 0;
    return fleet;
  };

  it.each([1, 2, OBJECTS])(
    'has the next leader complete the move, whatever its option is: %d',
    async (objects) => {
      const fleet = await died();
      const next = await fleet.leading(objects);
      await fleet.clock.advance(1_000);
      expect(await fleet.raw(0)).not.toHaveProperty('history');
      expect((await fleet.stored(1))!.history).toHaveLength(2);
      await fleet.clock.advance(MINUTE_MS);
      expect(next.started).toHaveLength(1);
      expect(next.missed).toEqual([]);
    },
  );

  it('copies nothing over the record that another process has copied in the meantime', async () => {
    const fleet = await died();
    const next = await fleet.leading(OBJECTS);
    await fleet.clock.advance(MINUTE_MS);
    await next.lose();
    const document = await fleet.others[0]!.document();
    // As a process that has not seen that the mark was cut down would.
    await fleet.store.put({
      format: 2,
      jobs: { [MOVES]: { ...(document['jobs'] as JsonDocument)[MOVES]!, format: 3, movedTo: 1 } },
    });
    const last = await fleet.leading(OBJECTS);
    await fleet.clock.advance(1_000);
    expect(await fleet.others[0]!.document()).toEqual(document);
    expect(last.started).toEqual([]);
  });
});

describe('when replicas spread a role over different numbers of objects', () => {
  it('has a job where its mark says, whatever the hash says', async () => {
    const fleet = new Fleet();
    await (await fleet.leading(OBJECTS)).lose();
    for (const objects of [1, 2, OBJECTS]) {
      const leader = await fleet.leading(objects);
      await fleet.clock.advance(MINUTE_MS);
      expect(leader.started).toHaveLength(1);
      expect(leader.missed).toEqual([]);
      await leader.lose();
    }
    expect((await fleet.stored(1))!.history).toHaveLength(3);
    expect(await fleet.stored(2)).toBeUndefined();
  });
});

describe('when the first object goes back to a version without a mark', () => {
  it('has a process that knows the mark write it again, and start no tick twice', async () => {
    const fleet = new Fleet();
    const before = await fleet.leading(1);
    await fleet.clock.advance(MINUTE_MS);
    const backup = await fleet.store.document();
    await before.lose();
    const leader = await fleet.leading(OBJECTS);
    await fleet.clock.advance(MINUTE_MS);
    await fleet.store.put(backup);
    await leader.lose();
    await leader.lead(9);
    await fleet.clock.advance(1_000);
    expect(leader.startedTimes).toEqual([expect.any(String)]);
    expect(await fleet.raw(0)).toMatchObject({ format: 3, movedTo: 1 });
    await fleet.clock.advance(MINUTE_MS);
    expect(new Set(leader.startedTimes).size).toBe(2);
  });
});

describe('when a job is in another object than the first', () => {
  it('is suspended, resumed and inspected by a follower', async () => {
    const fleet = new Fleet();
    const leader = await fleet.leading(OBJECTS);
    const follower = await fleet.replica(1);
    const wish = { by: 'follower', reason: '' };
    const { signal } = new AbortController();
    await expect(follower.job(MOVES).switchFleet({ ...wish, isSuspended: true })).resolves.toBe(
      true,
    );
    await fleet.clock.advance(2 * MINUTE_MS);
    expect(leader.started).toEqual([]);
    expect((await follower.schedule.inspect(MOVES, signal))!.fleetSwitch?.isSuspended).toBe(true);
    await follower.job(MOVES).switchFleet({ ...wish, isSuspended: false });
    await fleet.clock.advance(2 * MINUTE_MS);
    expect(leader.started.length).toBeGreaterThan(0);
    expect(await fleet.raw(0)).not.toHaveProperty('suspension');
  });

  it('keeps its mark, and of its record what it accounts for, once no leader knows it', async () => {
    const fleet = new Fleet();
    const [other] = names.filter((name) => name !== MOVES && objectOf(name, OBJECTS) === 1);
    const leader = await fleet.leading(OBJECTS, [MOVES, other!]);
    await fleet.clock.advance(MINUTE_MS);
    leader.schedule.remove(MOVES);
    await fleet.clock.advance(2 * MINUTE_MS);
    fleet.clock.stall(31 * DAY_MS);
    await fleet.clock.advance(2 * MINUTE_MS);
    expect(leader.log).toContain(`forgotten ${MOVES}`);
    expect(await fleet.raw(0)).toMatchObject({ format: 3, movedTo: 1 });
    expect(await fleet.raw(1)).toEqual({ schedule: '', accountedThrough: expect.any(String) });
    const { signal } = new AbortController();
    await expect(leader.schedule.inspect(MOVES, signal)).resolves.toBeUndefined();
    // It comes back as a new job.
    await leader.withJob({ name: MOVES });
    await fleet.clock.advance(MINUTE_MS);
    expect(await fleet.stored(1)).toMatchObject({ missedCount: 0, history: [expect.anything()] });
  });
});
