import assert from 'node:assert/strict';
import { clearTimeout, setTimeout } from 'node:timers';
import type { Clock, Timer } from '../core/clock.js';
import { resolveElectionOptions } from '../core/election-options.js';
import type { LeaseRecord, ObservedLease } from '../core/lease-record.js';
import type {
  LeaseWatch,
  LeaseWatchObserver,
  LockRequester,
  ResourceLock,
  ResourceLockFactory,
} from '../core/resource-lock.js';
import type { Term } from '../core/term.js';
import { messageOf } from '../core/thrown-value.js';
import { LeaderElector } from '../elector/leader-elector.js';
import type { FixtureCapability, Subject } from './contract-case.js';
import { request } from './lock-fixture.js';
import { ManualClock } from './manual-clock.js';
import { RecordingStore } from './recording.store.js';

/** What an election may lack: see {@link LockCapability}. */
export type ElectionCapability = 'watch' | FixtureCapability;

/** A store in which candidates are to compete for a lease that does not exist yet. Each case asks for a new one. */
export interface ElectionFixture {
  /**
   * Makes the lock of each candidate, as the option `lock` does. The candidates have different identities, and one
   * `leaseName` and `namespace`.
   */
  readonly lock: ResourceLockFactory;
  /**
   * The lease that they compete for.
   * @default 'plan-scheduler'
   */
  readonly leaseName?: string;
  /**
   * The namespace of the lease.
   * @default none is given to the lock
   */
  readonly namespace?: string;
  /**
   * Makes the store apply the next write, whoever sends it, and lose its answer.
   * @default the capability `lost-answers` is lacking
   */
  loseAnswer?(): Promise<void>;
  /**
   * Makes the store unreachable for every candidate, and resolves with what ends that. Requests should fail soon: each
   * of them is waited for in real time.
   * @default the capability `outages` is lacking
   */
  interrupt?(): Promise<() => Promise<void>>;
  /** Frees the store. Called once, after all locks have been closed. */
  dispose(): Promise<void>;
}

/** Of the elections of this suite, in milliseconds of virtual time. Each has a whole number of renewals. */
export const LEASE_MS = 15_000;
export const RENEW_DEADLINE_MS = 10_000;
export const RETRY_MS = 2_000;
const REQUEST_TIMEOUT_MS = 500;
/** After faults have ended one of the candidates leads within this time (docs/safety.md). */
export const RECOVERY_MS = LEASE_MS + 2 * RETRY_MS + REQUEST_TIMEOUT_MS;

/** As many requests that no answer comes to fit in the time for which a case waits. */
const REQUESTS_IN_PATIENCE = 8;

const STEP_MS = 100;

/** The clock of one process, which may be frozen. */
class ProcessClock implements Clock {
  private readonly late = new Set<() => void>();
  isFrozen = false;

  constructor(private readonly clock: Clock) {}

  now(): number {
    return this.clock.now();
  }

  wallMicros(): number {
    return this.clock.wallMicros();
  }

  suspendedMs(): number {
    return this.clock.suspendedMs();
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const due = (): void => void (this.isFrozen ? this.late.add(due) : callback());
    const timer = this.clock.setTimer(due, delayMs);
    return {
      cancel: () => {
        this.late.delete(due);
        timer.cancel();
      },
    };
  }

  thaw(): void {
    this.isFrozen = false;
    const due = [...this.late];
    this.late.clear();
    for (const fire of due) fire();
  }
}

/**
 * The lock of one candidate, whose requests take real time and whose watches say late what was written. Notes what the
 * watches have reported, whatever the election hears of it.
 */
class LockInRealTime {
  private readonly watches = new Set<ReportedWatch>();

  /** @param requestMs how long a request may take, in real time; virtual time stands still meanwhile */
  constructor(
    private readonly lock: ResourceLock,
    private readonly requestMs: number,
  ) {}

  /** What the election is given. */
  get noted(): ResourceLock {
    const { lock, requestMs: timeoutMs } = this;
    return {
      isInProcess: lock.isInProcess === true,
      read: ({ signal }) => lock.read({ timeoutMs, signal }),
      create: (record, { signal }) => lock.create(record, { timeoutMs, signal }),
      replace: (record, expected, { signal }) =>
        lock.replace(record, expected, { timeoutMs, signal }),
      describe: () => lock.describe(),
      ...(lock.watch && { watch: (observer, options) => this.watch(lock, observer, options) }),
    };
  }

  close(): Promise<void> | undefined {
    for (const watch of this.watches) watch.close();
    return this.lock.close?.();
  }

  private watch(
    lock: ResourceLock,
    observer: LeaseWatchObserver,
    options: { readonly silenceLimitMs: number },
  ): LeaseWatch {
    const reported = new ReportedWatch();
    this.watches.add(reported);
    const watch = lock.watch!(reported.noting(observer), options);
    reported.close = () => {
      this.watches.delete(reported);
      watch.close();
    };
    return { close: () => reported.close() };
  }

  /** From now on they need not report: their connection is cut, and they may notice that late. */
  excuse(): void {
    for (const watch of this.watches) watch.isExcused = true;
  }

  /** What they have not reported yet, for people; undefined: nothing. */
  lacking(newest: bigint): string | undefined {
    for (const watch of this.watches) {
      const lacking = watch.lacking(newest);
      if (lacking !== undefined) return lacking;
    }
    return undefined;
  }
}

class ReportedWatch {
  isExcused = false;
  close: () => void = () => undefined;
  private state: 'opening' | 'open' | 'interrupted' = 'opening';
  /** What was written before it was open need not be reported. */
  private from: bigint | undefined;
  private newest = 0n;

  noting(observer: LeaseWatchObserver): LeaseWatchObserver {
    return {
      opened: () => {
        this.state = 'open';
        this.from = undefined;
        observer.opened();
      },
      changed: (lease, revision) => {
        if (revision > this.newest) this.newest = revision;
        observer.changed(lease, revision);
      },
      holderDied: (timingKey) => observer.holderDied(timingKey),
      interrupted: (error) => {
        this.state = 'interrupted';
        observer.interrupted(error);
      },
    };
  }

  lacking(newest: bigint): string | undefined {
    if (this.isExcused || this.state === 'interrupted') return undefined;
    if (this.state === 'opening') return 'has neither opened nor been interrupted';
    this.from ??= newest;
    return newest <= this.from || newest <= this.newest
      ? undefined
      : `has not reported revision ${newest}`;
  }
}

interface CandidateSettings {
  /** What its dice always show. */
  readonly random: number;
  readonly requestMs: number;
  readonly granted: (term: Term) => void;
}

/** One process that competes. */
export class Candidate {
  readonly recording: RecordingStore;
  readonly elector: LeaderElector;
  private readonly clock: ProcessClock;
  private readonly lock: LockInRealTime;
  private hasEnded = false;

  constructor(
    readonly identity: string,
    lock: ResourceLock,
    clock: Clock,
    { random, requestMs, granted }: CandidateSettings,
  ) {
    this.lock = new LockInRealTime(lock, requestMs);
    this.clock = new ProcessClock(clock);
    this.recording = new RecordingStore({ clock: this.clock });
    const config = resolveElectionOptions(
      {
        role: 'contract',
        leaseDurationMs: LEASE_MS,
        renewDeadlineMs: RENEW_DEADLINE_MS,
        retryPeriodMs: RETRY_MS,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
      },
      identity,
    );
    this.elector = new LeaderElector(
      { ...config, isLockInProcess: lock.isInProcess === true },
      {
        lock: this.recording.record(this.lock.noted),
        clock: this.clock,
        random: () => random,
        observer: { onGranted: granted },
      },
    );
  }

  get isLeader(): boolean {
    return this.elector.isLeader();
  }

  /** What its lock answered last, for people. */
  get heard(): string {
    const last = this.recording.requests.at(-1);
    if (last === undefined) return 'has asked nothing';
    const { verb, outcome, rejection } = last;
    if (rejection !== undefined) return `${verb} was rejected: ${messageOf(rejection)}`;
    if (outcome === undefined) return `${verb} has no answer`;
    const why = 'error' in outcome ? `: ${outcome.error.message}` : '';
    return `${verb} was answered ${outcome.kind}${why}`;
  }

  /** No request reaches the store and no change is reported; the process works. */
  cutOff(): void {
    this.recording.fail();
    this.recording.cutWatch();
  }

  reconnect(): void {
    this.recording.restore();
  }

  /** As SIGSTOP would, or a long pause: no timer fires, and nothing is heard. */
  freeze(): void {
    this.clock.isFrozen = true;
    this.cutOff();
  }

  thaw(): void {
    this.reconnect();
    this.clock.thaw();
  }

  excuseWatches(): void {
    this.lock.excuse();
  }

  /** What of it is not settled, for people; undefined: everything is. */
  unsettled(newest: bigint): string | undefined {
    if (this.hasEnded) return undefined;
    if (this.recording.unansweredCount > 0) return `a request of ${this.identity} has no answer`;
    const lacking = this.lock.lacking(newest);
    return lacking === undefined ? undefined : `the watch of ${this.identity} ${lacking}`;
  }

  /** As a process that exits, whatever its election still does. */
  async end(): Promise<void> {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.freeze();
    await this.lock.close();
  }
}

/** A clock that lets what real time has to do with be done before virtual time moves. */
class PatientClock extends ManualClock {
  constructor(private readonly afterwards: () => Promise<void>) {
    super();
  }

  override async settle(): Promise<void> {
    await super.settle();
    await this.afterwards();
  }

  turn(): Promise<void> {
    return super.settle();
  }
}

/**
 * Candidates on one virtual clock over a store that may take real time. Virtual time stands still while a request is in
 * the store and while a watch has not reported what was written. No two of them are leader at any instant.
 */
export class ElectionUnderTest implements Subject {
  readonly candidates: Candidate[] = [];
  private readonly clock = new PatientClock(() => this.settled());
  private readonly terms: Term[] = [];
  private violation: string | undefined;
  private onlooker: ResourceLock | undefined;

  constructor(
    readonly fixture: ElectionFixture,
    private readonly patienceMs: number,
    readonly lacks: ReadonlySet<ElectionCapability>,
  ) {}

  /** Another candidate, which has not started. */
  async candidate(): Promise<Candidate> {
    const index = this.candidates.length;
    const identity = `candidate-${index + 1}`;
    const lock = await this.fixture.lock(this.requester(identity));
    const random = (index * 0.37) % 1;
    const candidate: Candidate = new Candidate(identity, lock, this.clock, {
      random,
      requestMs: Math.ceil(this.patienceMs / REQUESTS_IN_PATIENCE),
      granted: (term) => this.granted(candidate, term),
    });
    this.candidates.push(candidate);
    return candidate;
  }

  /** So many candidates, of whom the first leads. */
  async led(count: number): Promise<[Candidate, ...Candidate[]]> {
    const first = await this.candidate();
    first.elector.start();
    await this.advance(RETRY_MS);
    this.assertLeads(first);
    const others: Candidate[] = [];
    for (let more = 1; more < count; more += 1) others.push(await this.candidate());
    for (const { elector } of others) elector.start();
    await this.advance(RETRY_MS);
    return [first, ...others];
  }

  get leader(): Candidate | undefined {
    return this.candidates.find(({ isLeader }) => isLeader);
  }

  get lastTerm(): Term | undefined {
    return this.terms.at(-1);
  }

  get termCount(): number {
    return this.terms.length;
  }

  now(): number {
    return this.clock.now();
  }

  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await this.clock.advance(Math.min(STEP_MS, left));
    }
  }

  /** Lets time pass until it holds, for at most so long. */
  async until(what: string, withinMs: number, holds: () => boolean): Promise<void> {
    await this.clock.settle();
    for (let passed = 0; passed < withinMs && !holds(); passed += STEP_MS) {
      await this.clock.advance(STEP_MS);
    }
    if (holds()) return;
    const answers = this.candidates.map((candidate) => `${candidate.identity}: ${candidate.heard}`);
    assert.fail(`within ${withinMs} ms of virtual time: ${what} (${answers.join('; ')})`);
  }

  async untilLeads(withinMs: number, ...eligible: readonly Candidate[]): Promise<Candidate> {
    const names = eligible.map(({ identity }) => identity).join(' or ');
    await this.until(`${names} leads`, withinMs, () => eligible.some(({ isLeader }) => isLeader));
    return this.leader!;
  }

  assertLeads(candidate: Candidate): void {
    const leader = this.leader?.identity ?? 'none';
    const why = `the leader is ${leader} instead of ${candidate.identity} (${candidate.heard})`;
    assert.equal(leader, candidate.identity, why);
  }

  /** Both halves of the end of a process that is asked to end, and its lock. */
  async shutDown(candidate: Candidate): Promise<void> {
    const stopped = candidate.elector.drain().then(() => candidate.elector.release());
    await this.advance(RETRY_MS);
    await stopped;
    await candidate.end();
  }

  /** That of an onlooker, who does not compete. */
  async locks(): Promise<readonly [ResourceLock]> {
    this.onlooker ??= await this.fixture.lock(this.requester('onlooker'));
    return [this.onlooker];
  }

  /** The lease as an onlooker reads it. */
  async stored(): Promise<ObservedLease> {
    const [onlooker] = await this.locks();
    const outcome = await onlooker.read(request());
    assert.equal(outcome.kind, 'found', 'what an onlooker reads');
    return (outcome as Extract<typeof outcome, { kind: 'found' }>).stored;
  }

  async record(): Promise<LeaseRecord> {
    return (await this.stored()).record;
  }

  /** The store itself, and not the way to it. */
  async interrupted(): Promise<() => Promise<void>> {
    for (const candidate of this.candidates) candidate.excuseWatches();
    return this.fixture.interrupt!();
  }

  async end(): Promise<void> {
    const steps = [
      ...this.candidates.map((candidate) => () => candidate.end()),
      async () => this.onlooker?.close?.(),
      () => this.fixture.dispose(),
    ];
    const failures: unknown[] = [];
    for (const step of steps) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  requester(identity: string): LockRequester {
    const { leaseName = 'plan-scheduler', namespace } = this.fixture;
    return { leaseName, namespace, identity, role: 'contract' };
  }

  private granted(candidate: Candidate, term: Term): void {
    const others = this.candidates.filter((each) => each !== candidate && each.isLeader);
    const [other] = others;
    if (other !== undefined) this.violated(`${other.identity} and ${candidate.identity} both lead`);
    const before = this.terms.at(-1);
    if (before !== undefined && term.fencingToken <= before.fencingToken) {
      const tokens = `${term.fencingToken} after ${before.fencingToken}`;
      this.violated(`the fencing token of ${candidate.identity} does not grow: ${tokens}`);
    }
    this.terms.push(term);
  }

  private violated(what: string): void {
    this.violation ??= what;
  }

  /** Until each request is answered and each watch has reported the newest write. */
  private async settled(): Promise<void> {
    let hasRunOut = false;
    const patience = setTimeout(() => (hasRunOut = true), this.patienceMs);
    try {
      for (let before = -1; before !== this.requestCount;) {
        before = this.requestCount;
        for (let lacking = this.unsettled(); lacking !== undefined; lacking = this.unsettled()) {
          assert.ok(!hasRunOut, `within ${this.patienceMs} ms of real time: ${lacking}`);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        await this.clock.turn();
      }
    } finally {
      clearTimeout(patience);
    }
    const leaders = this.candidates.filter(({ isLeader }) => isLeader);
    if (leaders.length > 1) {
      this.violated(`${leaders.map(({ identity }) => identity).join(' and ')} both lead`);
    }
    assert.equal(this.violation, undefined);
  }

  private get requestCount(): number {
    return this.candidates.reduce((sum, { recording }) => sum + recording.requests.length, 0);
  }

  private unsettled(): string | undefined {
    const newest = this.newestRevision();
    for (const candidate of this.candidates) {
      const unsettled = candidate.unsettled(newest);
      if (unsettled !== undefined) return unsettled;
    }
    return undefined;
  }

  private newestRevision(): bigint {
    let newest = 0n;
    for (const { recording } of this.candidates) {
      for (const { stored } of recording.writes) {
        if (stored?.kind !== 'applied') continue;
        const { revision } = stored.stored as ObservedLease;
        if (revision > newest) newest = revision;
      }
    }
    return newest;
  }
}
