import { RecordedSchedules } from '../../lib/schedule/tick/recorded-schedule.js';
import { jobChanges, jobView } from '../../lib/dashboard/job-view.js';
import {
  type FleetSwitch,
  type JobRecord,
  NEVER_RUN,
} from '../../lib/schedule/ledger/job-record.js';

const AT = Date.UTC(2026, 0, 1, 12, 0, 30);
const RECORD: JobRecord = {
  ...NEVER_RUN,
  schedule: '* * * * * UTC',
  accountedThrough: AT,
  claimNonce: '',
};
const SUSPENDED: FleetSwitch = {
  isSuspended: true,
  at: AT - 5,
  by: 'anna@laptop',
  reason: 'database moves',
  liftsOption: false,
};

function view(record: JobRecord | undefined, isSuspendedHere = false) {
  const place = { role: 'plans', job: 'close', at: AT, isSuspendedHere };
  return jobView(place, record, new RecordedSchedules()).view;
}

describe('a job as the dashboard shows it', () => {
  describe('when it is scheduled', () => {
    it('says when the next tick is, and how far apart they are', () => {
      expect(view(RECORD)).toMatchObject({
        state: 'scheduled',
        nextTick: AT + 30_000,
        intervalMs: 60_000,
        suspension: null,
      });
    });

    it('says neither of a schedule that this version cannot read', () => {
      const unread = view({ ...RECORD, schedule: '@sometimes Mars/Olympus' });
      expect(unread).toMatchObject({ nextTick: null, intervalMs: null, isReadable: true });
    });
  });

  describe('when it is suspended', () => {
    it('says by whom and why, and no next tick', () => {
      expect(view({ ...RECORD, fleetSwitch: SUSPENDED })).toMatchObject({
        state: 'suspended',
        suspension: { by: 'anna@laptop', at: AT - 5, reason: 'database moves' },
        nextTick: null,
      });
    });

    it('goes by the options of this process only while the fleet was never asked', () => {
      expect(view(RECORD, true)).toMatchObject({ state: 'suspended', suspension: null });
      const fleetSwitch = { ...SUSPENDED, isSuspended: false };
      expect(view({ ...RECORD, fleetSwitch }, true).state).toBe('scheduled');
    });
  });

  describe('when its record is strange', () => {
    it('says that the leader does not know it', () => {
      expect(view({ ...RECORD, unknownSince: AT }).state).toBe('unknown-to-leader');
    });

    it('says that it cannot be read', () => {
      expect(view(undefined)).toMatchObject({ isReadable: false, job: 'close', history: [] });
    });
  });

  describe('when only time has passed', () => {
    it('is the same', () => {
      const place = { role: 'plans', job: 'close', isSuspendedHere: false };
      const facts = [AT, AT + 1_000].map(
        (at) => jobView({ ...place, at }, RECORD, new RecordedSchedules()).facts,
      );
      expect(facts[0]).toBe(facts[1]);
    });
  });
});

describe('what has become of a job', () => {
  const texts = (before: JobRecord | undefined, after: JobRecord | undefined): string[] =>
    jobChanges('close', before, after).map(({ text }) => text);

  it.each([
    ['nothing', RECORD, RECORD, []],
    ['it is new', undefined, { ...RECORD, missedCount: 5 }, []],
    ['it cannot be read', RECORD, undefined, []],
    [
      'it missed one tick',
      RECORD,
      { ...RECORD, missedCount: 1, lastMissedTime: AT },
      ['job "close" missed a tick, the last one due at 2026-01-01T12:00:30.000Z'],
    ],
    [
      'it missed several',
      { ...RECORD, missedCount: 2 },
      { ...RECORD, missedCount: 5 },
      ['job "close" missed 3 ticks'],
    ],
    [
      'it was suspended',
      RECORD,
      { ...RECORD, fleetSwitch: SUSPENDED },
      ['job "close" was suspended by anna@laptop: database moves'],
    ],
    [
      'it was resumed',
      { ...RECORD, fleetSwitch: SUSPENDED },
      { ...RECORD, fleetSwitch: { ...SUSPENDED, isSuspended: false, at: AT, reason: '' } },
      ['job "close" was resumed by anna@laptop'],
    ],
  ])('says that %s', (_what, before, after, expected) => {
    expect(texts(before, after)).toEqual(expected);
  });
});
