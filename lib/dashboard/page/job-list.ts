import type { JobView } from '../dashboard-view.js';

export const KINDS = ['all', 'running', 'failing', 'missed', 'suspended'] as const;
export type Kind = (typeof KINDS)[number];

export const COLUMNS = ['job', 'next', 'last', 'success', 'missed'] as const;
export type Column = (typeof COLUMNS)[number];

export interface Order {
  readonly by: Column;
  readonly isDescending: boolean;
}

/** Its last run that ended did not succeed, or its record cannot be read. */
export function isFailing({ isReadable, lastFailure, lastSuccess }: JobView): boolean {
  return !isReadable || (lastFailure !== null && lastFailure.at > (lastSuccess ?? -Infinity));
}

function isOf(kind: Kind, job: JobView): boolean {
  switch (kind) {
    case 'all':
      return true;
    case 'running':
      return job.active.length > 0;
    case 'failing':
      return isFailing(job);
    case 'missed':
      return job.missedCount > 0;
    case 'suspended':
      return job.state !== 'scheduled';
  }
}

export function countOf(jobs: readonly JobView[]): Record<Kind, number> {
  const counts = { all: 0, running: 0, failing: 0, missed: 0, suspended: 0 };
  for (const job of jobs) for (const kind of KINDS) if (isOf(kind, job)) counts[kind] += 1;
  return counts;
}

/** Those that are asked for, in this order. What has no value comes last in both directions. */
export function listed(
  jobs: readonly JobView[],
  kind: Kind,
  text: string,
  { by, isDescending }: Order,
): JobView[] {
  const wanted = text.trim().toLowerCase();
  const found = jobs.filter(
    (job) =>
      isOf(kind, job) &&
      (job.job.toLowerCase().includes(wanted) || job.schedule.toLowerCase().includes(wanted)),
  );
  const sign = isDescending ? -1 : 1;
  return found.sort((a, b) => {
    const names = order(naturalKey(a.job), naturalKey(b.job));
    if (by === 'job') return sign * names;
    const [one, other] = [valueOf(a, by), valueOf(b, by)];
    if (one === null || other === null)
      return Number(one === null) - Number(other === null) || names;
    return sign * (one - other) || names;
  });
}

const naturalKeys = new Map<string, string>();

/** Orders names as people count. It is kept, as a list of a thousand is ordered whenever one of them has changed. */
function naturalKey(name: string): string {
  let key = naturalKeys.get(name);
  if (key === undefined) {
    key = name.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, '0'));
    naturalKeys.set(name, key);
  }
  return key;
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function valueOf(job: JobView, by: Exclude<Column, 'job'>): number | null {
  switch (by) {
    case 'next':
      return job.nextTick;
    case 'last':
      return job.lastTick;
    case 'success':
      return job.lastSuccess;
    case 'missed':
      return job.missedCount;
  }
}

/** Of a long list only the rows that are seen are in the document, and some above and below. */
export function rowsInView(
  scrolled: number,
  height: number,
  rowHeight: number,
  rows: number,
): { readonly first: number; readonly end: number } {
  const spare = 6;
  const first = Math.floor(scrolled / rowHeight) - spare;
  const end = Math.ceil((scrolled + height) / rowHeight) + spare;
  return { first: Math.max(0, Math.min(first, rows - spare)), end: Math.min(rows, end) };
}
