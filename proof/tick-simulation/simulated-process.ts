import { setMaxListeners } from 'node:events';
import type { Term } from '../../lib/core/term.js';
import type { RunAsker } from '../../lib/schedule/ledger/run-asker.js';
import type { SpreadLedger } from '../../lib/schedule/ledger/spread-ledger.js';
import type { ObservedRun } from '../../lib/schedule/runner/job-definition.js';
import { GRACE_MS, type JobRun } from '../../lib/schedule/runner/job-run.js';
import type { RoleSchedule } from '../../lib/schedule/runner/role-schedule.js';
import type { EventQueue } from '../simulation/event-queue.js';
import type { JobHistory } from './job-history.js';
import type { FaultMix } from './network-faults.js';
import type { OrderlyElection } from './orderly-election.js';
import { EPOCH_MS, SimulatedHost } from './simulated-host.js';
import { SimulatedDocumentStore, type StoreWeather } from './simulated-document-store.js';
import type { SimulatedObjects } from './simulated-objects.js';
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
  readonly SpreadLedger: typeof SpreadLedger;
  readonly RunAsker: typeof RunAsker;
}

export interface ProcessTraits extends JobTraits {
  readonly engine: ScheduleEngine;
  readonly queue: EventQueue;
  readonly objects: SimulatedObjects;
  /** The option of the process that starts next. */
  readonly objectsOfNext: () => number;
  readonly faults: FaultMix;
  readonly histories: readonly JobHistory[];
  readonly weather: StoreWeather;
  /** Null: all believe that they lead. */
  readonly election: OrderlyElection | null;
  /** True time from which every process knows every job, and nothing is triggered but to see whether it can be. */
  readonly calmFrom: number;
}

/** Pauses and partitions end so long after all is calm, and everything that is still stuck is cancelled then. */
export const CANCELLED_AFTER_MS = 21_000;
/** By then a process has heard that another one has cancelled its run. */
const LATER_MS = 16_000;

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
  private readonly stores: readonly SimulatedDocumentStore[];
  private nonces = 0;

  constructor(
    readonly identity: string,
    private readonly traits: ProcessTraits,
  ) {
    super(traits);
    const { faults, random } = traits;
    this.skewMs = random.between(-faults.skewMs, faults.skewMs);
    const link = {
      ...traits,
      owner: this,
      cutOffUntil: () => this.cutOffUntil,
      onWrite: () => this.perhapsLoseTerm(),
    };
    this.stores = traits.objects.documents.map(
      (document) => new SimulatedDocumentStore(document, link),
    );
    this.role = this.scheduleOn(this.stores);
    const host = {
      identity,
      clock: this,
      role: this.role,
      isDead: () => this.isDead,
      isCalm: () => this.isCalm,
      isResting: () => traits.queue.now >= traits.calmFrom + 2 * CANCELLED_AFTER_MS + GRACE_MS / 2,
      trueMs: () => EPOCH_MS + traits.queue.now,
      nonces: () => this.nonces,
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
    if (traits.faults.cancelEvery < Infinity) this.planLastCancels();
  }

  cancelAll(): void {
    for (const job of this.jobs) job.cancel();
  }

  /** Jobs in which a run that was cancelled long ago is still in the way of the next. */
  get occupied(): readonly string[] {
    if (this.isDead) return [];
    return this.jobs.flatMap((job, index) =>
      job.isOccupied ? [`${this.traits.histories[index]!.job} in ${this.identity}`] : [],
    );
  }

  /** One process asks for all, then each for itself; later each looks whether what it runs is in the way of a run. */
  private planLastCancels(): void {
    const { queue, random, calmFrom } = this.traits;
    queue.at(calmFrom + CANCELLED_AFTER_MS + LATER_MS, this, () => this.cancelAll());
    const from = calmFrom + CANCELLED_AFTER_MS + LATER_MS + GRACE_MS + 6_000;
    for (let second = 0; second < 20; second += 1) {
      queue.at(from + 1_000 * (second + random.next()), this, () => {
        const term = this.believed;
        if (term !== undefined)
          for (const job of this.jobs.slice(0, MOST_TROUBLED)) job.probe(term);
      });
    }
  }

  /** As many requests as it made in any ten seconds to one object. */
  get busiest(): number {
    return Math.max(...this.stores.map(({ busiest }) => busiest));
  }

  /** It is asked to read the records, a while after that was written on the lease. */
  readSoon(): void {
    const { queue, random } = this.traits;
    queue.after(random.between(20, 1_500), this, () => this.role.readNow());
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
    if (this.current !== undefined) this.traits.election?.renew(this.identity);
    queue.after(RENEW_MS, this, () => this.renew());
  }

  private begin(): void {
    const { random, election, queue } = this.traits;
    // Without an election tokens in any order: nothing may depend on who is the rightful leader.
    const token = election === null ? random.whole(1, 9) : election.take(this.identity);
    if (token === undefined) {
      queue.after(random.between(200, 800), this, () => this.begin());
      return;
    }
    const abort = new AbortController();
    setMaxListeners(Infinity, abort.signal);
    const term: Term = Object.freeze({
      role: 'simulated',
      number: token,
      fencingToken: BigInt(token),
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
    this.traits.election?.release(this.identity);
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
      this.plan(faults.cancelEvery, () => job.cancel());
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

  private scheduleOn(stores: readonly SimulatedDocumentStore[]): RoleSchedule {
    const { engine, faults, count, histories, objectsOfNext } = this.traits;
    const historyOf = (name: string): number => histories.findIndex(({ job }) => job === name);
    const ledger = new engine.SpreadLedger(this, {
      objects: objectsOfNext(),
      open: (object) => stores[object]!,
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
        onStarted: (run) => this.jobs[historyOf(run.job)]?.started((run as JobRun).record),
        onCancelled: (run, { by }) => this.jobs[historyOf(run.job)]?.cancelled(idOf(run), by),
        onOverdue: (run) => this.jobs[historyOf(run.job)]?.overdue(idOf(run)),
        onMissed: (report) => histories[historyOf(report.job)]?.missed(report, this.identity),
        onUnrecorded: ({ job, scheduledTime }) =>
          this.jobs[historyOf(job)]?.notRecorded(scheduledTime.getTime()),
        onReturned: ({ attempt }, { isReturned }) => {
          count.add(isReturned ? 'handed back' : 'not handed back');
          if (attempt > 1 && isReturned) count.add('attempt handed back');
        },
        onDropped: (job, { scheduledTime, attempt }, cause) => {
          count.add(`attempt ${cause}`);
          if (cause === 'cancelled')
            histories[historyOf(job)]?.attempts.dropped(scheduledTime, attempt);
        },
      },
      nonce: () => `${this.identity}/${(this.nonces += 1)}`,
      leaseDurationMs: 3_000,
      changeTimeoutMs: CHANGE_TIMEOUT_MS,
      keptUnknownMs: faults.keptUnknownMs,
    });
  }
}

/** Runs of the library carry their record. */
function idOf(run: ObservedRun): string {
  return (run as JobRun).record.id;
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
  onEnded: () => undefined,
  onMissed: () => undefined,
  onSkipped: () => undefined,
  onUnresolved: () => undefined,
  onRerun: () => undefined,
  onUnrecorded: () => undefined,
  onReturned: () => undefined,
  onSwitched: () => undefined,
  onCallbackFailed: () => undefined,
  onAhead: () => undefined,
  onForgotten: () => undefined,
  onError: () => undefined,
};
