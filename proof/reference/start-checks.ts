import { Registry } from 'prom-client';
import { LeaderElectionOptionsError, type OptionFault } from '../../lib/core/errors.js';
import { checkedDashboardOptions } from '../../lib/dashboard/dashboard.options.js';
import { readLeaderElectionOptions } from '../../lib/election/leader-election.js';
import { fileLock } from '../../lib/locks/file/file.lock.js';
import { configMapLock } from '../../lib/locks/kubernetes/config-map.lock.js';
import { leaseLock } from '../../lib/locks/kubernetes/lease.lock.js';
import { LeadershipMetrics } from '../../lib/metrics/leadership-metrics.js';
import { LeaderElectionModule } from '../../lib/nest/leader-election.module.js';
import { resolveModuleOptions } from '../../lib/nest/leader-election.options.js';
import { LeaderOnly } from '../../lib/nest/leader-only.decorator.js';
import { GUARD_SETTINGS } from '../../lib/nest/guarded-handlers.js';
import { LeaderGuard } from '../../lib/nest/leader.guard.js';
import { readJob } from '../../lib/schedule/nest/leader-cron.options.js';
import { readOnce } from '../../lib/schedule/nest/leader-once.options.js';
import { TimeZones } from '../../lib/schedule/tick/time-zone.js';
import { leaderCronContext, leadershipStandIn, testTerm } from '../../lib/testing/stand-ins.js';
import { checkedOptions } from '../../lib/tracing/trace-election.js';

type Given = Readonly<Record<string, unknown>>;

/** How the library itself reads the options of a receiver. */
export interface StartCheck {
  /** What must be given in any case. */
  readonly required: Given;
  /** @throws LeaderElectionOptionsError, or returns faults, if the library would refuse them */
  readonly read: (options: Given) => unknown;
  /** True if what is read shows every option, so that two ways to write one thing can be compared. */
  readonly isTelling?: boolean;
}

/** A context of a job is compared without the times of its making. */
const TERM = testTerm({ grantedAt: new Date('2027-01-01') });

/** By the path of the receiver. A receiver that is not here checks nothing before it is used. */
export const START_CHECKS: Readonly<Record<string, StartCheck>> = {
  'LeaderElectionModule.forRoot': {
    required: { role: 'plan-scheduler' },
    isTelling: true,
    read: (options) => {
      const { role, isGlobal } = options;
      const registration = { role, isGlobal, isAsync: false };
      const resolved = resolveModuleOptions(options, registration, 'identity', undefined);
      const { global } = LeaderElectionModule.forRoot(options as { role: string });
      return { ...resolved, global };
    },
  },
  createLeaderElection: {
    required: { role: 'plan-scheduler', identity: 'identity' },
    isTelling: true,
    read: readLeaderElectionOptions,
  },
  leaseLock: { required: {}, read: leaseLock },
  configMapLock: { required: {}, read: configMapLock },
  fileLock: { required: {}, read: fileLock },
  LeaderOnly: { required: {}, read: LeaderOnly },
  'LeaderGuard.for': {
    required: {},
    isTelling: true,
    read: (options) => Reflect.get(LeaderGuard.for(options), GUARD_SETTINGS) as unknown,
  },
  'LeadershipService.health': {
    required: {},
    read: (options) => leadershipStandIn().health(options),
  },
  'LeadershipService.stepDown': {
    required: {},
    read: (options) => leadershipStandIn().stepDown(options),
  },
  LeaderCron: {
    required: {},
    isTelling: true,
    read: (options) => {
      const schedule = options['key'] === undefined ? '30 2 * * *' : new Date('2027-01-01');
      const now = Date.parse('2026-01-01');
      const job = readJob(
        { place: 'a job', defaultName: 'PlanScheduler.close', schedule, options, run: doNothing },
        { zones: ZONES, now },
      );
      if (Array.isArray(job)) return job;
      const { onMissed, schedule: ticks, ...definition } = job.definition;
      return {
        ...job,
        definition,
        reports: onMissed !== null,
        nextDue: ticks.dueAt(ticks.next(now)!),
      };
    },
  },
  LeaderOnce: {
    required: { key: 'schema', version: 4 },
    isTelling: true,
    read: (options) => readOnce({ place: 'work', options, run: doNothing }),
  },
  'LeaderElectionMetricsModule.forRoot': {
    required: { registry: new Registry() },
    isTelling: true,
    read: (options) =>
      new LeadershipMetrics(
        options as unknown as ConstructorParameters<typeof LeadershipMetrics>[0],
      ),
  },
  'LeaderElectionTracingModule.forRoot': {
    required: {},
    isTelling: true,
    read: (options) => checkedOptions(options, 'forRoot()'),
  },
  'LeaderDashboardModule.forRoot': {
    required: {},
    isTelling: true,
    read: checkedDashboardOptions,
  },
  leadershipStandIn: {
    required: {},
    isTelling: true,
    read: (options) => {
      const leadership = leadershipStandIn(options);
      const { role, leader } = leadership;
      return { isLeader: leadership.isLeader(), role, leader };
    },
  },
  leaderCronContext: {
    required: { scheduledTime: new Date('2027-01-01'), term: TERM },
    isTelling: true,
    read: leaderCronContext,
  },
};

const ZONES = new TimeZones();

function doNothing(): void {}

/** The faults that the library finds in these options, beside what is required. */
export function faultsOf({ required, read }: StartCheck, options: Given): readonly OptionFault[] {
  try {
    const answer = read({ ...required, ...options });
    return Array.isArray(answer) ? (answer as OptionFault[]) : [];
  } catch (error) {
    if (error instanceof LeaderElectionOptionsError) return error.faults;
    throw error;
  }
}

/** Each is wrong for most options, in a way of its own. */
const WRONG: readonly unknown[] = [
  {},
  [{}],
  '',
  'Two Words/',
  -1,
  1.5,
  2_501,
  1_000_000_001,
  1e16,
  true,
  'spread',
  'x'.repeat(300),
  'x'.repeat(5_000),
];

/** True of every option of its type, so that it is said once. */
const GENERAL = [
  /^must be a non-empty string without spaces around it$/,
  /^must be a whole number of milliseconds$/,
  /^must be a number of retries, or an object with a limit$/,
  /^must be a boolean/,
];

/** What the library says to wrong values of an option, in its own words: no rule is written twice. */
export function rulesOf(check: StartCheck, option: string): string[] {
  const rules = WRONG.flatMap((wrong) => {
    const [name = '', part] = option.split('.');
    const faults = faultsOf(check, { [name]: part === undefined ? wrong : { [part]: wrong } });
    return faults
      .filter(({ field }) => isAbout(field, option))
      .map(({ rule }) => rule.replace(/ \(\d+\)| = \d+/g, ''));
  });
  return [...new Set(rules)].filter((rule) => !GENERAL.some((general) => general.test(rule)));
}

/** `leaseLock.context`, `a job: timeZone` and `@LeaderOnly() role` are about their last words. */
function isAbout(field: string, option: string): boolean {
  return field === option || ['.', ' '].some((mark) => field.endsWith(`${mark}${option}`));
}
