import { type Clock, wallMs } from '../../core/clock.js';
import type { Term } from '../../core/term.js';
import { shortReason } from '../ledger/job-record.js';
import {
  decideOnce,
  endedRecord,
  endOf,
  type OnceClaimant,
  type OnceEnd,
  type OnceVerdict,
  type RunEnding,
  type WantedWork,
} from './once-decision.js';
import { type OnceLedger, pauseFor } from './once-ledger.js';
import type { OnceRecord } from './once-record.js';

/** What work that runs once is called with. */
export interface OnceContext {
  /** The `key` of the work. */
  readonly key: string;
  /** Its version, as text: `1.4.0` and `1.4` are both `1.4`. */
  readonly version: string;
  /** 1, and more if an interrupted run of this version is run again (`onInterrupted: 'rerun'`). */
  readonly attempt: number;
  /**
   * The leadership in which it runs, of an election of its own: only replicas that want this key take part in it. Its
   * fencing token orders the runs of this key, and cannot be compared with the token of the role or of another key.
   */
  readonly term: Term;
  /**
   * Aborted when that leadership ends, also at shutdown. Work that ends after that, however it ends, counts as
   * interrupted: call `signal.throwIfAborted()` before each step that must then not begin.
   */
  readonly signal: AbortSignal;
}

export interface OnceDefinition extends WantedWork {
  readonly key: string;
  readonly run: (context: OnceContext) => unknown;
}

/** How it ended for this process, and the record that says so. */
export interface OnceOutcome {
  readonly end: OnceEnd;
  readonly record: OnceRecord;
  /** True if this process ran it. */
  readonly isOwn: boolean;
}

/** How the work ended, whether or not that can be recorded. */
export interface EndedRun extends RunEnding {
  readonly durationMs: number;
  /** What it threw. */
  readonly error?: unknown;
}

/** Hears what becomes of the runs of this process. Must not throw. */
export interface OnceObserver {
  onStarted(record: OnceRecord): void;
  onEnded(record: OnceRecord, ended: EndedRun): void;
  /** Its end could not be recorded: another process has claimed it since, or this one is shutting down. */
  onUnrecorded(record: OnceRecord): void;
  /** Claimed and handed back, as leadership ended, or it was no longer wanted, before it was started. */
  onReturned(record: OnceRecord): void;
  /** It will not run, as the record is of a newer version. */
  onSuperseded(record: OnceRecord, version: string): void;
}

/** The claims of one process. */
export class OwnClaims {
  /** Those that it may yet start, or whose run has not been recorded as ended. */
  readonly open = new Set<string>();
  /** Those that it did not start, and never will. */
  readonly unstarted = new Set<string>();
}

export interface OnceEnvironment {
  readonly clock: Clock;
  readonly ledger: OnceLedger;
  readonly nonce: () => string;
  /** How this process is recorded. */
  readonly identity: string;
  readonly claims: OwnClaims;
  readonly leaseDurationMs: number;
  /** Pause between two looks at a run that may be under way in another process. */
  readonly lookMs: number;
  readonly observer: (key: string) => OnceObserver;
  /** Calls the work, and resolves when all of what it returned has ended. */
  readonly call: (definition: OnceDefinition, context: OnceContext) => Promise<unknown>;
  /** From its abort on, nothing is recorded. */
  readonly closing: AbortSignal;
}

/** One key for as long as this process wants it done: what is known of it, and its run if that is here. */
export class OnceWork {
  /** Resolves when it is over. Never rejects. */
  readonly over: Promise<OnceOutcome>;
  private settle!: (outcome: OnceOutcome) => void;
  private outcome: OnceOutcome | undefined;
  private running = false;
  private unrecorded: RunEnding | undefined;
  private withdrawn = false;
  private lastRun: Promise<void> = Promise.resolve();
  private readonly seenSince = new Map<string, number>();
  private seen: OnceRecord | undefined;
  private readonly observer: OnceObserver;

  constructor(
    readonly definition: OnceDefinition,
    private readonly environment: OnceEnvironment,
  ) {
    this.observer = environment.observer(definition.key);
    this.over = new Promise((resolve) => {
      this.settle = (outcome) => {
        if (this.outcome !== undefined) return;
        this.outcome = outcome;
        const { end, record } = outcome;
        if (end === 'superseded') this.observer.onSuperseded(record, definition.version);
        resolve(outcome);
      };
    });
  }

  get key(): string {
    return this.definition.key;
  }

  get isOver(): boolean {
    return this.outcome !== undefined;
  }

  /** How it ended; undefined while it has not. */
  get ended(): OnceOutcome | undefined {
    return this.outcome;
  }

  /** True while its run in this process has not ended. */
  get isRunning(): boolean {
    return this.running;
  }

  /** How its run in this process has ended, while that is not recorded. */
  get ending(): RunEnding | undefined {
    return this.unrecorded;
  }

  /** Resolves when its run in this process has ended, and that is recorded or cannot be. */
  get idle(): Promise<void> {
    return this.lastRun;
  }

  get isWithdrawn(): boolean {
    return this.withdrawn;
  }

  /** No longer wanted: it is not started from here on. */
  withdraw(): void {
    this.withdrawn = true;
  }

  /** The record as it was last seen. */
  get record(): OnceRecord | undefined {
    return this.seen;
  }

  /** The record was read. What runs here settles by its own end. */
  observe(record: OnceRecord | undefined): void {
    this.seen = record;
    if (this.running || this.unrecorded !== undefined || record === undefined) return;
    const end = endOf(record, this.definition);
    if (end !== undefined) this.settle({ end, record, isOwn: false });
  }

  /**
   * Runs it if no process has, as long as the term lasts. Resolves when it is over and that is recorded, or with the
   * term. A run that another process has given up settles nothing, and that one may have died since.
   */
  async lead(term: Term, isTermLive: () => boolean): Promise<void> {
    const { claims, clock, lookMs, nonce: newNonce } = this.environment;
    while (this.isWanted && !term.signal.aborted) {
      const nonce = newNonce();
      claims.open.add(nonce);
      if (!(await this.claimAndRun(nonce, term, isTermLive))) claims.unstarted.add(nonce);
      claims.open.delete(nonce);
      if (this.isWanted) await pauseFor(clock, lookMs, term.signal);
    }
  }

  private get isWanted(): boolean {
    return !this.isOver && !this.withdrawn;
  }

  /** False if it was not started. */
  private async claimAndRun(
    nonce: string,
    term: Term,
    isTermLive: () => boolean,
  ): Promise<boolean> {
    const { clock, lookMs } = this.environment;
    while (this.isWanted && !term.signal.aborted) {
      const verdict = await this.claim(nonce, term);
      if (verdict === undefined) return false;
      if (verdict.kind === 'own') {
        // Nothing of the application is called between this check and the start.
        if (!this.withdrawn && isTermLive()) await (this.lastRun = this.run(verdict.record, term));
        else await this.handBack(verdict.record);
        return true;
      }
      this.observe(verdict.record);
      if (verdict.kind === 'busy') await pauseFor(clock, lookMs, term.signal);
    }
    return false;
  }

  private claim(nonce: string, term: Term): Promise<OnceVerdict | undefined> {
    const { claims, clock, identity, ledger } = this.environment;
    const claimant = (): OnceClaimant => ({
      nonce,
      holderIdentity: identity,
      term: term.number,
      fencingToken: String(term.fencingToken),
      now: wallMs(clock),
      isOver: (record) => this.isRunOver(record, term),
      isUnstarted: (claim) => claims.unstarted.has(claim),
    });
    return ledger.change<OnceVerdict>(
      this.key,
      (record) => {
        const verdict = decideOnce(record, this.definition, claimant());
        return verdict.kind === 'write' ? { write: verdict.record } : { settled: verdict };
      },
      term.signal,
    );
  }

  /**
   * Under this term the lease of an earlier one has expired, or was released when its work had ended. A record of the
   * same or a later term contradicts that (a lease that was deleted, a restored backup): then it counts until it has been
   * seen for a whole lease duration.
   */
  private isRunOver({ claim, fencingToken, holderIdentity }: OnceRecord, term: Term): boolean {
    if (this.environment.claims.open.has(claim)) return false;
    if (!/^\d{1,30}$/.test(fencingToken) || BigInt(fencingToken) < term.fencingToken) return true;
    if (holderIdentity === this.environment.identity) return true;
    const now = this.environment.clock.now();
    const since = this.seenSince.get(claim) ?? now;
    this.seenSince.set(claim, since);
    return now >= since + this.environment.leaseDurationMs;
  }

  private async run(record: OnceRecord, term: Term): Promise<void> {
    const { key, version } = this.definition;
    const { clock, call } = this.environment;
    const { attempt } = record;
    const context = { key, version, attempt, term, signal: term.signal };
    this.seen = record;
    this.running = true;
    const begun = clock.now();
    const running = call(this.definition, context);
    // Who listens may take long, and leadership could end by then: so only now.
    this.observer.onStarted(record);
    const { error, ...how } = await endOfRun(running, term.signal);
    const ending = { ...how, endedAt: wallMs(clock) };
    this.unrecorded = ending;
    this.running = false;
    this.observer.onEnded(record, { ...ending, durationMs: clock.now() - begun, error });
    const isRecorded = await this.recordEnd(record, ending);
    this.unrecorded = undefined;
    if (!isRecorded) return this.observer.onUnrecorded(record);
    const ended = { ...record, ...ending };
    this.seen = ended;
    const end = endOf(ended, this.definition);
    if (end !== undefined) this.settle({ end, record: ended, isOwn: true });
  }

  private async handBack(record: OnceRecord): Promise<void> {
    this.environment.claims.unstarted.add(record.claim);
    const endedAt = wallMs(this.environment.clock);
    const reason = this.withdrawn
      ? 'it was no longer wanted before it was started'
      : 'leadership ended before it was started';
    const returned = { state: 'returned', endedAt, reason } as const;
    if (await this.recordEnd(record, returned)) this.observer.onReturned(record);
  }

  /** False if the record is no longer that of this run, or if it could not be written before all of this ends. */
  private async recordEnd({ claim }: OnceRecord, ending: RunEnding): Promise<boolean> {
    const { ledger, closing } = this.environment;
    const isRecorded = await ledger.change<boolean>(
      this.key,
      (record) => {
        const ended = endedRecord(record, claim, ending);
        if (ended !== undefined) return { write: ended };
        return { settled: record?.claim === claim && record.state === ending.state };
      },
      closing,
    );
    return isRecorded === true;
  }
}

const ENDED_AFTER_ABORT =
  'it returned after its signal had been aborted, so it may have ended before all was done';

/**
 * Work that returns after the abort of its signal may have done so because of it, and only the work knows. What was done
 * in part must not count as done; what was done in full and counts as interrupted, people can tell.
 */
async function endOfRun(
  running: Promise<unknown>,
  signal: AbortSignal,
): Promise<Pick<RunEnding, 'state' | 'reason'> & { readonly error?: unknown }> {
  try {
    await running;
    return signal.aborted
      ? { state: 'interrupted', reason: ENDED_AFTER_ABORT }
      : { state: 'succeeded', reason: null };
  } catch (error) {
    return {
      state: signal.aborted ? 'interrupted' : 'failed',
      reason: shortReason(error),
      error,
    };
  }
}
