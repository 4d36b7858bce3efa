import { Logger } from '@nestjs/common';
import type { Clock, Timer } from '../core/clock.js';
import { messageOf } from '../core/thrown-value.js';
import {
  ElectionLogger,
  type LoggedElection,
  type LoggedNotice,
} from '../election/election-logger.js';
import { shortIdentity } from '../election/log-entry.js';

/** Methods that were skipped before a leader was known are named together, at the latest after this time. */
const SKIPS_TOLD_AFTER_MS = 10_000;

/** One timer of the application, as the log shows it. */
export interface ListedTimer {
  /** Class and method, e.g. `PlanScheduler.closeExpiredPlans`. */
  readonly name: string;
  /**
   * `gate`: on the leader of the role that gates. `marked`: as its own `@LeaderOnly()` says. `claimed`: a job of
   * `@LeaderCron()`.
   */
  readonly rule: 'gate' | 'every-replica' | 'marked' | 'claimed';
  /** The roles of its own `@LeaderOnly()` or `@LeaderCron()`. */
  readonly roles: readonly string[];
}

/** What an election says in the log of a Nest application, and what only such an application has to say. */
export class RoleLogger extends ElectionLogger {
  private readonly skippedMethods = new Set<string>();
  private skipsDue: Timer | undefined;
  private hasToldSkips = false;

  /** @param isLeaseLasting false for a lock that begins empty in every process */
  constructor(election: LoggedElection, lease: string, clock: Clock, isLeaseLasting: boolean) {
    super(election, lease, clock, isLeaseLasting, new Logger('LeaderElection'));
  }

  override tell(notice: LoggedNotice): void {
    if (notice.kind === 'leader-changed' && notice.leader !== undefined) this.tellSkips();
    super.tell(notice);
  }

  /** A prompt at which a person types is no place for the application's jobs. */
  standsAside(): void {
    this.say({
      event: 'election.waits-for-start',
      level: 'log',
      text: 'does not compete for the lease in a REPL; call leadership.start() to make it compete',
    });
  }

  waitsEarly(): void {
    this.say({
      event: 'election.waits-for-hooks',
      level: 'warn',
      text:
        'the onModuleInit hooks of the application have not ended, and the election starts after them. A hook that awaits ' +
        'waitForLeadership() never ends: await it in onApplicationBootstrap.',
    });
  }

  /** One line for all methods: a tick that comes again does no harm, but work that should run once is lost. */
  skippedEarly(method: string): void {
    if (this.hasToldSkips) return;
    this.skippedMethods.add(method);
    this.skipsDue ??= this.clock.setTimer(() => this.tellSkips(), SKIPS_TOLD_AFTER_MS);
  }

  tellSkips(): void {
    if (this.skipsDue === undefined) return;
    this.skipsDue.cancel();
    this.skipsDue = undefined;
    this.hasToldSkips = true;
    this.say({
      event: 'gates.skipped-early',
      level: 'warn',
      text:
        `skipped ${[...this.skippedMethods].join(', ')} before it was known who leads, as every replica that starts does. ` +
        'Work that is not called again belongs in @OnGranted(), or after waitForLeadership().',
    });
  }

  /** An error, as the logger of @nestjs/testing shows nothing less. */
  handlersUnheard(handlers: readonly string[]): void {
    const text =
      `does not call @OnGranted() ${handlers.join(', ')}: the test's replacement of LeadershipService is leader, but has ` +
      `neither a term nor granted$. Use leadershipStandIn() of 'nestjs-leader-election/testing' to have them called.`;
    this.say({ event: 'handlers.unheard', level: 'error', text });
  }

  /**
   * One entry at the start: which timers run where.
   * @param added the names of the jobs in SchedulerRegistry that the application has added
   */
  gatesTimers(timers: readonly ListedTimer[], added: readonly string[], isShadow = false): void {
    const places = [
      ['on the leader', named(timers, 'gate')],
      ['on every replica (@EveryReplica)', named(timers, 'every-replica')],
      ['on the leader of the role of their @LeaderOnly()', named(timers, 'marked')],
      ['on the leader that claims their ticks (@LeaderCron)', named(timers, 'claimed')],
    ] as const;
    const listed = places
      .filter(([, names]) => names.length > 0)
      .map(([where, names]) => `${where} ${names.join(', ')}`)
      .join('; ');
    const soFar = added.map((name) => JSON.stringify(name)).join(', ');
    const dynamic =
      `Jobs that are added to SchedulerRegistry${soFar && ` (so far ${soFar})`} are not gated: ` +
      'wrap their functions in leadership.guard()';
    if (timers.every(({ rule }) => rule === 'claimed')) {
      const none = 'and finds no @Cron, @Interval or @Timeout that @nestjs/schedule runs';
      return this.say({
        event: 'gates.without-timers',
        level: 'warn',
        text: `has gateSchedules: true ${none}. ${dynamic}`,
      });
    }
    const what = isShadow
      ? "would gate the timers of this application without mode: 'shadow'. They would then run"
      : 'gates the timers of this application. They run';
    this.say({ event: 'gates.listed', level: 'log', text: `${what} ${listed}. ${dynamic}` });
  }

  shadows(): void {
    this.say({
      event: 'shadow.on',
      level: 'warn',
      text:
        "has mode: 'shadow': it elects a leader and gates nothing. Every replica runs everything, and what gates would have " +
        'skipped is logged and counted (leadership.shadowSkips)',
    });
  }

  wouldHaveSkipped(method: string, count: number, leader: string | undefined): void {
    const why = leader === undefined ? 'no leader is known' : `${shortIdentity(leader)} leads`;
    const often = count === 1 ? '' : `, ${count} times so far`;
    this.say({
      event: 'shadow.skipped',
      level: 'log',
      text: `would have skipped ${method}, as ${why} (mode: 'shadow')${often}`,
    });
  }

  shadowed(byMethod: ReadonlyMap<string, number>): void {
    const listed = [...byMethod].map(([method, count]) => `${method} (${count})`).join(', ');
    const what = listed === '' ? 'nothing' : listed;
    this.say({
      event: 'shadow.total',
      level: 'log',
      text: `would have skipped in all, without mode: 'shadow': ${what}`,
    });
  }

  containerUnknown(why: string): void {
    this.say({
      event: 'container.unknown',
      level: 'warn',
      text:
        'if this process dies, the others wait for the lease to run out, although podWatch is on. The lease does not name ' +
        `the container of this process, because ${why}`,
    });
  }

  watchdogFailed(error: unknown): void {
    this.say({
      event: 'watchdog.failed',
      level: 'warn',
      text: `is no longer watched, as the watchdog's thread failed: ${messageOf(error)}`,
    });
  }

  placementFailed(text: string): void {
    this.say({ event: 'placement.failed', level: 'warn', text });
  }
}

function named(timers: readonly ListedTimer[], rule: ListedTimer['rule']): string[] {
  return timers
    .filter((timer) => timer.rule === rule)
    .map(({ name, roles }) =>
      roles.length > 0 && rule !== 'gate' ? `${name} ("${roles.join('", "')}")` : name,
    );
}
