import { setMaxListeners } from 'node:events';
import type { Term } from '../../lib/core/term.js';
import type { ScheduleLedger } from '../../lib/schedule/ledger/schedule-ledger.js';
import type { RoleSchedule } from '../../lib/schedule/runner/role-schedule.js';
import type { EventQueue } from '../simulation/event-queue.js';
import type { JobHistory } from './job-history.js';
import type { FaultMix } from './network-faults.js';
import { SimulatedHost } from './simulated-host.js';
import { SimulatedDocumentStore, type StoreWeather } from './simulated-document-store.js';
import type { SimulatedDocument } from './simulated-document.js';
import {
  CHANGE_TIMEOUT_MS,
  type JobTraits,
  REQUEST_TIMEOUT_MS,
  SimulatedJob,
  VALIDITY_MS,
} from './simulated-job.js';

/** The classes under test: those of the library, or of a mutant of it. */
export interface ScheduleEngine {
  readonly RoleSchedule: typeof RoleSchedule;
  readonly ScheduleLedger: typeof ScheduleLedger;
}

export interface ProcessTraits extends JobTraits {
  readonly engine: ScheduleEngine;
  readonly queue: EventQueue;
  readonly document: SimulatedDocument;
  readonly faults: FaultMix;
  readonly histories: readonly JobHistory[];
  readonly weather: StoreWeather;
  /** True time from which every process knows every job, and nothing is triggered. */
  readonly calmFrom: number;
}

const RENEW_MS = 700;

/** Of many jobs some are left alone: nobody triggers and removes all of them once a second. */
const MOST_TROUBLED = 3;

/** One process that believes that it leads, whatever the others believe; in between it loses a term and gets the next. */
export class SimulatedProcess extends SimulatedHost {
  private current: { readonly term: Term; readonly abort: AbortController } | undefined;
  private validUntil = 0;
  private begunAt = 0;
  private readonly role: RoleSchedule;
  private readonly jobs: readonly SimulatedJob[];
  private readonly store: SimulatedDocumentStore;
  private nonces = 0;

  constructor(
    readonly identity: string,
    private readonly traits: ProcessTraits,
  ) {
    super(traits);
    const { faults, random } = traits;
    this.skewMs = random.between(-faults.skewMs, faults.skewMs);
    this.store = new SimulatedDocumentStore(traits.document, {
      ...traits,
      owner: this,
      cutOffUntil: () => this.cutOffUntil,
      onWrite: () => this.perhapsLoseTerm(),
    });
    this.role = this.scheduleOn(this.store);
    const host = {
      identity,
      clock: this,
      role: this.role,
      isDead: () => this.isDead,
      leads: () => this.believed !== undefined,
      begunAt: () => this.begunAt,
    };
    this.jobs = traits.histories.map((history) => new SimulatedJob(history, host, traits));
    const knowsAll = faults.changeJobEvery === Infinity || this.isCalm;
    for (const job of this.jobs) if (knowsAll || random.chance(0.5)) job.add();
    this.planTroubles();
    this.begin();
    this.renew();
    // At last every process knows every job, and none is suspended.
    traits.queue.at(traits.calmFrom, this, () => {
      for (const job of this.jobs) if (!job.isKnown) job.add();
      for (const job of this.jobs) job.resume();
    });
  }

  /** As many requests as it made in any ten seconds. */
  get busiest(): number {
    return this.store.busiest;
  }

  /** It resumes every job, for all processes. */
  resumeForAll(): void {
    for (const job of this.jobs) job.switchFleet(false);
  }

  /** Bounded by the clock, as the election's is: a process that was stopped knows at once, and its signals later. */
  private get believed(): Term | undefined {
    return this.traits.queue.now < this.validUntil ? this.current?.term : undefined;
  }

  private renew(): void {
    const { queue, count } = this.traits;
    if (this.current !== undefined && queue.now >= this.validUntil) {
      count.add('term expired');
      this.loseTerm();
    }
    this.validUntil = queue.now + VALIDITY_MS;
    queue.after(RENEW_MS, this, () => this.renew());
  }

  private begin(): void {
    const abort = new AbortController();
    setMaxListeners(Infinity, abort.signal);
    const { random } = this.traits;
    // Tokens in any order: nothing may depend on who is the rightful leader.
    const term: Term = Object.freeze({
      role: 'simulated',
      number: random.whole(1, 9),
      fencingToken: BigInt(random.whole(1, 9)),
      holderIdentity: this.identity,
      grantedAt: new Date(0),
      signal: abort.signal,
    });
    this.current = { term, abort };
    this.begunAt = this.wallMicros() / 1_000;
    this.validUntil = this.traits.queue.now + VALIDITY_MS;
    this.role.begin(term);
  }

  private loseTerm(): void {
    this.traits.count.add('term lost');
    const { abort } = this.current!;
    this.current = undefined;
    abort.abort(new Error('revoked'));
    this.traits.queue.after(this.traits.random.between(0, 2_000), this, () => this.begin());
  }

  private perhapsLoseTerm(): void {
    const { random, faults, queue } = this.traits;
    if (this.isCalm || !random.chance(faults.loseTermOnWrite)) return;
    queue.after(random.between(0, 10), this, () => {
      if (this.current !== undefined) this.loseTerm();
    });
  }

  private planTroubles(): void {
    const { faults, random, count } = this.traits;
    this.planInterruptions();
    this.plan(faults.stepClockEvery, () => {
      count.add('clock stepped');
      this.skewMs = random.between(-faults.skewMs, faults.skewMs) * 2;
    });
    this.plan(faults.loseTermEvery, () => {
      if (this.current !== undefined) this.loseTerm();
    });
    for (const job of this.jobs.slice(0, MOST_TROUBLED)) {
      this.plan(faults.changeJobEvery, () => this.changeKnowledge(job));
      this.plan(faults.suspendJobEvery, () => (random.chance(0.5) ? job.suspend() : job.resume()));
      this.plan(faults.switchFleetEvery, () => job.switchFleet(random.chance(0.5)));
      this.plan(faults.triggerEvery, () => {
        if (this.current !== undefined && !this.isCalm) job.trigger(this.current.term);
      });
    }
  }

  /** As if a process of another version took its place. */
  private changeKnowledge(job: SimulatedJob): void {
    const { count } = this.traits;
    if (!job.isKnown) {
      count.add('job added');
      job.add();
    } else {
      count.add('job removed');
      job.remove();
    }
  }

  private scheduleOn(store: SimulatedDocumentStore): RoleSchedule {
    const { engine, faults, count, histories } = this.traits;
    const historyOf = (name: string): number => histories.findIndex(({ job }) => job === name);
    const ledger = new engine.ScheduleLedger(store, this, {
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      longestRequestMs: CHANGE_TIMEOUT_MS,
      retryMs: 250,
      longestRetryMs: 3_000,
      random: () => this.traits.random.between(0, 1),
      onError: () => undefined,
    });
    return new engine.RoleSchedule(ledger, {
      clock: this,
      atHome: (call) => call(),
      leadership: termsOf(() => this.believed),
      observer: {
        ...SILENT,
        onMissed: (report) => histories[historyOf(report.job)]?.missed(report, this.identity),
        onUnrecorded: ({ job, scheduledTime }) =>
          this.jobs[historyOf(job)]?.notRecorded(scheduledTime.getTime()),
        onReturned: ({ attempt }, { isReturned }) => {
          count.add(isReturned ? 'handed back' : 'not handed back');
          if (attempt > 1 && isReturned) count.add('attempt handed back');
        },
        onDropped: (_job, _retry, cause) => count.add(`attempt ${cause}`),
      },
      nonce: () => `${this.identity}/${(this.nonces += 1)}`,
      leaseDurationMs: 3_000,
      changeTimeoutMs: CHANGE_TIMEOUT_MS,
      keptUnknownMs: faults.keptUnknownMs,
    });
  }
}

function termsOf(current: () => Term | undefined) {
  return {
    get term(): Term | undefined {
      return current();
    },
    track: () => undefined,
  };
}

const SILENT = {
  onStarted: () => undefined,
  onEnded: () => undefined,
  onMissed: () => undefined,
  onSkipped: () => undefined,
  onUnresolved: () => undefined,
  onCancelled: () => undefined,
  onOverdue: () => undefined,
  onRerun: () => undefined,
  onUnrecorded: () => undefined,
  onReturned: () => undefined,
  onSwitched: () => undefined,
  onCallbackFailed: () => undefined,
  onAhead: () => undefined,
  onForgotten: () => undefined,
  onError: () => undefined,
};
