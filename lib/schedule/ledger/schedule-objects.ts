/** Of the objects beside a lease that record the jobs of its role: `<leaseName>-schedule`, `<leaseName>-schedule-1` … */
const SCHEDULE_SUFFIX = 'schedule';

/** The first object is the one that a role without `scheduleObjects` has. */
export function suffixOf(object: number): string {
  return object === 0 ? SCHEDULE_SUFFIX : `${SCHEDULE_SUFFIX}-${object}`;
}
