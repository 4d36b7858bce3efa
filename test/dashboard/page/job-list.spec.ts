import { describe, expect, it } from '@jest/globals';
import type { JobView } from '../../../lib/dashboard/dashboard-view.js';
import {
  countOf,
  isFailing,
  listed,
  type Order,
  rowsInView,
} from '../../../lib/dashboard/page/job-list.js';
import { job } from './support/job.js';

const BY_NAME: Order = { by: 'job', isDescending: false };

const failure = { at: 200, reason: 'no disk' };
const JOBS: JobView[] = [
  job({ job: 'job-10', nextTick: 30, missedCount: 2, lastSuccess: 100, lastFailure: failure }),
  job({ job: 'job-9', nextTick: 10, state: 'suspended' }),
  job({ job: 'weekly', nextTick: null, schedule: '0 6 * * 1' }),
  job({ job: 'broken', nextTick: 20, isReadable: false }),
];

function names(jobs: readonly JobView[]): string[] {
  return jobs.map((each) => each.job);
}

describe('when jobs are listed', () => {
  it('sorts names as people count', () => {
    expect(names(listed(JOBS, 'all', '', BY_NAME))).toEqual([
      'broken',
      'job-9',
      'job-10',
      'weekly',
    ]);
  });

  it.each([
    [false, ['job-9', 'broken', 'job-10', 'weekly']],
    [true, ['job-10', 'broken', 'job-9', 'weekly']],
  ])('puts what has no value last in both directions (descending: %s)', (isDescending, order) => {
    expect(names(listed(JOBS, 'all', '', { by: 'next', isDescending }))).toEqual(order);
  });

  it('finds a text in names and schedules', () => {
    expect(names(listed(JOBS, 'all', ' JOB-', BY_NAME))).toEqual(['job-9', 'job-10']);
    expect(names(listed(JOBS, 'all', '6 *', BY_NAME))).toEqual(['weekly']);
  });

  it('shows those of one kind, and how many there are of each', () => {
    expect(names(listed(JOBS, 'failing', '', BY_NAME))).toEqual(['broken', 'job-10']);
    expect(countOf(JOBS)).toEqual({ all: 4, running: 0, failing: 2, missed: 1, suspended: 1 });
  });

  it('leaves the order of what it was given as it is', () => {
    const before = names(JOBS);
    listed(JOBS, 'all', '', { by: 'missed', isDescending: true });
    expect(names(JOBS)).toEqual(before);
  });
});

describe('when a job has succeeded since it failed', () => {
  it('does not count as failing', () => {
    expect(isFailing(job({ lastFailure: failure, lastSuccess: 300 }))).toBe(false);
    expect(isFailing(job({ lastFailure: failure, lastSuccess: null }))).toBe(true);
  });
});

describe('when a long list is scrolled', () => {
  it('has the rows in view and a few around them', () => {
    expect(rowsInView(6_400, 640, 64, 1_000)).toEqual({ first: 94, end: 116 });
  });

  it('ends with the list, also of one that was longer before', () => {
    expect(rowsInView(63_360, 640, 64, 1_000)).toEqual({ first: 984, end: 1_000 });
    const { first, end } = rowsInView(63_360, 640, 64, 3);
    expect([first, end]).toEqual([0, 3]);
  });
});
