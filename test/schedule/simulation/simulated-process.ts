import { setMaxListeners } from 'node:events';
import type { Term } from '../../../lib/core/term.js';
import type { Clock, Timer } from '../../../lib/elector/clock.js';
import type { RoleSchedule } from '../../../lib/schedule/runner/role-schedule.js';
import type { ScheduleLedger } from '../../../lib/schedule/runner/schedule-ledger.js';
import type { EventOwner, EventQueue, SimulatedEvent } from '../../simulation/event-queue.js';
import type { JobHistory } from './job-history.js';
import type { FaultMix } from './network-faults.js';
import type { SimulatedDocument } from './simulated-document.js';
import { SimulatedDocumentStore } from './simulated-document-store.js';
import { SimulatedJob, type JobTraits } from './simulated-job.js';

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
  /** True time from which every process knows every job, and nothing is triggered. */
  readonly calmFrom: number;
}

/** The wall clock shows this at true time 0. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);

/** One process that believes that it leads, whatever the others believe; in between it loses a term and gets the next. */
export class SimulatedProcess implements EventOwner, Clock {
  private isDead = false;
  private pausedUntil = 0;
  private cutOffUntil = 0;
  private skewMs: number;
  private current: { readonly term: Term; readonly abort: AbortController } | undefined;
  private readonly role: RoleSchedule;
  private readonly jobs: readonly SimulatedJob[];
  private nonces = 0;

  constructor(
    readonly identity: string,
    private readonly traits: ProcessTraits,
  ) {
    const { faults, random } = traits;
    this.skewMs = random.between(-faults.skewMs, faults.skewMs);
    this.role = this.scheduleOn(
      new SimulatedDocumentStore(traits.document, {
        ...traits,
        owner: this,
        cutOffUntil: () => this.cutOffUntil,
        onWrite: () => this.perhapsLoseTerm(),
      }),
    );
    const host = { clock: this, role: this.role, isDead: () => this.isDead };
    this.jobs = traits.histories.map((history) => new SimulatedJob(history, host, traits));
    const knowsAll = faults.changeJobEvery === Infinity || this.isCalm;
    for (const job of this.jobs) if (knowsAll || random.chance(0.5)) job.add();
    this.planTroubles();
    this.begin();
  }

  // EventOwner: a stopped process gets its events later, a dead one never.
  accepts(event: SimulatedEvent): boolean {
    if (this.isDead) return false;
    if (this.traits.queue.now >= this.pausedUntil) return true;
    this.traits.queue.postpone(event, this.pausedUntil + this.traits.random.between(0, 5));
    return false;
  }

  settled(): void {}

  // Clock
  now(): number {
    return this.traits.queue.now;
  }

  wallMicros(): number {
    return Math.round((EPOCH_MS + this.traits.queue.now + this.skewMs) * 1_000);
  }

  suspendedMs(): number {
    return 0;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const event = this.traits.queue.after(Math.max(0, delayMs), this, callback);
    return { cancel: () => (event.cancelled = true) };
  }

  /** SIGKILL: what it has sent may still arrive. */
  kill(): void {
    this.isDead = true;
  }

  private get isCalm(): boolean {
    return this.traits.queue.now >= this.traits.calmFrom;
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
    if (!random.chance(faults.loseTermOnWrite)) return;
    queue.after(random.between(0, 10), this, () => {
      if (this.current !== undefined) this.loseTerm();
    });
  }

  private planTroubles(): void {
    const { faults, random, queue, count } = this.traits;
    const plan = (everySeconds: number, what: () => void): void => {
      if (everySeconds === Infinity) return;
      const again = (): void => {
        queue.after(random.between(0.2, 1.8) * everySeconds * 1_000, this, () => {
          what();
          again();
        });
      };
      again();
    };
    plan(faults.pauseEvery, () => {
      count.add('paused');
      this.pausedUntil = queue.now + random.between(100, 15_000);
    });
    plan(faults.partitionEvery, () => {
      count.add('cut off');
      this.cutOffUntil = queue.now + random.between(500, 20_000);
    });
    plan(faults.stepClockEvery, () => {
      count.add('clock stepped');
      this.skewMs = random.between(-faults.skewMs, faults.skewMs) * 2;
    });
    plan(faults.loseTermEvery, () => {
      if (this.current !== undefined) this.loseTerm();
    });
    for (const job of this.jobs) {
      plan(faults.changeJobEvery, () => this.changeKnowledge(job));
      plan(faults.triggerEvery, () => {
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
    } else if (!this.isCalm) {
      count.add('job removed');
      job.remove();
    }
  }

  private scheduleOn(store: SimulatedDocumentStore): RoleSchedule {
    const { engine, faults, count, histories } = this.traits;
    const ledger = new engine.ScheduleLedger(store, this, {
      requestTimeoutMs: 2_000,
      longestRequestMs: 2_500,
      retryMs: 250,
      longestRetryMs: 3_000,
      random: () => this.traits.random.between(0, 1),
      onError: () => undefined,
    });
    return new engine.RoleSchedule(ledger, {
      clock: this,
      atHome: (call) => call(),
      leadership: termsOf(() => this.current?.term),
      observer: {
        ...SILENT,
        onMissed: (report) => histories.find(({ job }) => job === report.job)?.missed(report),
        onReturned: (_job, _time, isReturned) =>
          count.add(isReturned ? 'handed back' : 'not handed back'),
      },
      nonce: () => `${this.identity}/${(this.nonces += 1)}`,
      leaseDurationMs: 3_000,
      claimTimeoutMs: 2_500,
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
  onUnresolved: () => undefined,
  onOverdue: () => undefined,
  onUnrecorded: () => undefined,
  onReturned: () => undefined,
  onCallbackFailed: () => undefined,
  onForgotten: () => undefined,
  onError: () => undefined,
};
