import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LeaderElectionOptionsError } from '../../../lib/index.js';
import { LeaderSchedule } from '../../../lib/schedule/index.js';
import { objectOf } from '../../../lib/schedule/ledger/spread-ledger.js';
import { MINUTE_MS, ScheduledApplications } from '../support/scheduled-applications.js';

const OBJECTS = 3;
/** A name for each object. */
const NAMES = Array.from({ length: OBJECTS }, (_, object) =>
  Array.from({ length: 100 }, (_each, index) => `job-${index}`).find(
    (name) => objectOf(name, OBJECTS) === object,
  ),
) as string[];

let elections: ScheduledApplications;

beforeEach(() => {
  elections = new ScheduledApplications();
});
afterEach(() => elections.end());

const replica = async (scheduleObjects?: number) => {
  const application = await elections.start(elections.metadata([], { scheduleObjects }));
  const schedule = application.get(LeaderSchedule);
  const runs: string[] = [];
  for (const name of NAMES) schedule.add(name, '* * * * *', () => runs.push(name));
  await elections.clock.settle();
  return { schedule, runs };
};

describe('when a role is spread over several objects', () => {
  it('runs each job from the object of its name, and tells and takes everything on every replica', async () => {
    const leader = await replica(OBJECTS);
    const follower = await replica();
    await elections.clock.advance(MINUTE_MS);
    expect(leader.runs.toSorted()).toEqual(NAMES.toSorted());
    expect([...elections.store.documents.keys()].toSorted()).toEqual([
      expect.stringMatching(/-schedule$/),
      expect.stringMatching(/-schedule-1$/),
      expect.stringMatching(/-schedule-2$/),
    ]);
    const suspended = NAMES[2]!;
    await follower.schedule.suspend(suspended, { reason: 'the bank is closed' });
    await elections.clock.advance(2 * MINUTE_MS);
    expect(leader.runs).toHaveLength(3 + 2 * 2);
    expect(await follower.schedule.inspect(suspended)).toMatchObject({
      history: [{ outcome: 'succeeded' }],
      suspension: { isSuspended: true, reason: 'the bank is closed' },
    });
    await elections.clock.advance(1_000);
    await expect(leader.schedule.trigger(NAMES[1]!)).resolves.toBe('succeeded');
    expect((await follower.schedule.inspect(NAMES[1]!)).history).toHaveLength(4);
  });

  it.each([0, -1, 1.5, 17, 1_000, '4', Number.NaN, null])(
    'does not start with scheduleObjects: %p, and says what may be there',
    async (scheduleObjects) => {
      const start = () =>
        elections.start(elections.metadata([], { scheduleObjects: scheduleObjects as number }));
      await expect(start()).rejects.toThrow(LeaderElectionOptionsError);
      await expect(start()).rejects.toThrow(
        /scheduleObjects.*must be a whole number from 1 to 16.*use 4 for about 1,000 jobs/s,
      );
    },
  );
});
