import { Injectable } from '@nestjs/common';
import { LeaderElectionOptionsError, type OptionFault } from '../../core/errors.js';
import { atHome } from '../../elector/system-clock.js';
import type { Term } from '../../core/term.js';
import { kernelRandom, kernelUuid } from '../../locks/kernel-entropy.js';
import { ApplicationReadiness } from '../../election/leadership-handlers.dispatcher.js';
import type { LeadershipService } from '../../nest/leadership.service.js';
import type { RoleElection } from '../../nest/role-election.js';
import { RoleRegistry } from '../../nest/role-registry.js';
import { isTerm } from '../../election/gated-work.js';
import { KEPT_UNKNOWN_MS } from '../ledger/job-sweep.js';
import { SpreadLedger } from '../ledger/spread-ledger.js';
import { suffixOf } from '../ledger/schedule-objects.js';
import { RoleSchedule } from '../runner/role-schedule.js';
import { RunEvents, RunReporter } from './run-events.js';

/** Pause between attempts to reach the store, as between the election's attempts to renew. */
export const RETRY_MS = 250;

/** The schedules of one application, one per role that has jobs. */
@Injectable()
export class RoleSchedules {
  private readonly byRole = new Map<string, RoleSchedule>();
  private isStopped = false;
  constructor(
    private readonly registry: RoleRegistry,
    private readonly readiness: ApplicationReadiness,
    private readonly events: RunEvents,
  ) {}

  /** The election a job belongs to, or why there is none. */
  find(role: string | undefined, place: string): RoleElection | OptionFault {
    const election = this.registry.find(role);
    if (election === undefined) return this.registry.roleFault(`${place}: role`, role);
    if (election.lock.sibling !== undefined) return election;
    return {
      field: `${place}: lock`,
      value: election.lock,
      rule: `the lock of role ${JSON.stringify(election.role)} has no method sibling(), where claims are kept`,
      fix: 'use leaseLock(), configMapLock(), fileLock() or memoryLock(), or add sibling(suffix) to your ResourceLock',
    };
  }

  of(election: RoleElection): RoleSchedule {
    const known = this.byRole.get(election.role);
    if (known !== undefined) return known;
    const schedule = this.scheduleOf(election);
    this.byRole.set(election.role, schedule);
    this.follow(election, schedule);
    election.onScheduleChanged(() => schedule.readNow());
    return schedule;
  }

  /** This application schedules no further tick. */
  stop(): void {
    this.isStopped = true;
    for (const schedule of this.byRole.values()) schedule.stop();
  }

  assertRunning(): void {
    if (!this.isStopped) return;
    const rule = 'cannot be used while the application is shutting down';
    const fault = { field: 'LeaderSchedule', value: undefined, rule, fix: 'add jobs earlier' };
    throw new LeaderElectionOptionsError([fault]);
  }

  /** Leadership, for the jobs of a role. */
  leadership(election: RoleElection): Pick<LeadershipService, 'term' | 'leader'> {
    const service = this.registry.service(election);
    return { term: election.termBy(service), leader: service.leader };
  }

  private scheduleOf(election: RoleElection): RoleSchedule {
    const { clock, elector, options, lock } = election;
    const service = this.registry.service(election);
    const { requestTimeoutMs, renewDeadlineMs, leaseDurationMs } = options;
    const observer = new RunReporter(election.source, this.events, (report) =>
      election.events?.missed(report, suffixOf(ledger.placeOf(report.job))),
    );
    const ledger = new SpreadLedger(clock, {
      objects: options.scheduleObjects,
      open: (object) => lock.sibling!(suffixOf(object)),
      requestTimeoutMs,
      longestRequestMs: renewDeadlineMs,
      retryMs: RETRY_MS,
      longestRetryMs: leaseDurationMs,
      random: kernelRandom,
      onError: (error) => observer.onError(error),
    });
    return new RoleSchedule(ledger, {
      clock,
      atHome,
      observer,
      leadership: {
        get term() {
          return election.termBy(service);
        },
        track: (work) => elector.track(work),
      },
      nonce: kernelUuid,
      leaseDurationMs,
      changeTimeoutMs: renewDeadlineMs,
      keptUnknownMs: KEPT_UNKNOWN_MS,
    });
  }

  /** Emits each term once, and none before the application has been initialised. */
  private follow(election: RoleElection, schedule: RoleSchedule): void {
    const begun = new WeakSet<Term>();
    const begin = (term: Term | undefined): void => {
      if (!isTerm(term) || begun.has(term)) return;
      begun.add(term);
      void this.readiness.whenReachedOr(term.signal).then(() => {
        if (!term.signal.aborted) schedule.begin(term);
      });
    };
    // A test's replacement of the service may have only some of them.
    const { leadership$, granted$, term } = this.registry.service(
      election,
    ) as Partial<LeadershipService>;
    begin(term);
    if (leadership$ !== undefined) leadership$.subscribe?.((leadership) => begin(leadership.term));
    else granted$?.subscribe?.(begin);
  }
}
