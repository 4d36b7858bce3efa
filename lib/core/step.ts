import type {
  ElectionConfig,
  ElectionEffect,
  ElectionState,
  Instant,
  LockRequest,
  PendingRequest,
  Purpose,
  Tenure,
} from './election-state.js';
import { type ElectionFailure, LeaseAlteredError, LockRequestError } from './errors.js';
import { alterations, type ObservedLease } from './lease-record.js';
import { holdersTimeoutMs } from './request-timeout.js';
import { type Anchor, type ClockReading, holderElapsedMs } from './validity.js';

/** A renewal that was forgotten and is applied after all costs the term, and no more than that. */
const REMEMBERED_RENEWALS = 64;

type Draft = { -readonly [Field in keyof ElectionState]: ElectionState[Field] };

/** One run of the transition function: the state as it becomes, and the effects so far. */
export class Step {
  readonly effects: ElectionEffect[] = [];

  /** A copy of the state the step began with, for the step to change; parts of it are replaced, never changed. */
  readonly state: Draft;

  constructor(
    state: ElectionState,
    readonly at: Instant,
    readonly config: ElectionConfig,
  ) {
    this.state = copyOfState(state);
  }

  get now(): number {
    return this.at.now;
  }

  /** Changes what is known in a stage; the next stage is an object of its own. */
  updateTenure<T extends Tenure>(tenure: T, change: Partial<Omit<T, 'stage'>>): void {
    this.state.tenure = { ...tenure, ...change };
  }

  emit(effect: ElectionEffect): void {
    this.effects.push(effect);
  }

  fail(error: ElectionFailure): void {
    this.emit({ kind: 'failed', error });
  }

  /** True if something else is stored than what was sent, or no newer version, which is then reported. */
  wasAltered(request: PendingRequest, { record, revision }: ObservedLease): boolean {
    const { purpose, sent, baseRevision } = request;
    if (sent.verb === 'read' || purpose === 'read') return false;
    const found = alterations(sent.record, record);
    if (found.length === 0 && isNewer(revision, request)) return false;
    this.fail(
      found.length > 0
        ? new LeaseAlteredError(this.config.role, purpose, found)
        : noNewVersion(revision, baseRevision),
    );
    return true;
  }

  /** Sends a request. The instant it counts from was read before it was built (R4). */
  send(
    purpose: Purpose,
    request: LockRequest,
    timeoutMs: number,
    details: Partial<Pick<PendingRequest, 'unclean' | 'settleMs'>> = {},
  ): void {
    const id = this.state.lastRequestId + 1;
    const atLeastMs = Math.max(1, timeoutMs);
    this.state.lastRequestId = id;
    this.state.pending = {
      id,
      purpose,
      sent: request,
      startedAt: this.at,
      baseRevision:
        request.verb === 'replace'
          ? request.expected.revision
          : (this.state.observation?.revision ?? null),
      timeoutMs: atLeastMs,
      cutAt: Infinity,
      unclean: details.unclean ?? null,
      settleMs: details.settleMs ?? 0,
    };
    this.emit({ kind: 'request', id, purpose, request, timeoutMs: atLeastMs });
  }

  /** The answer is no longer wanted. */
  abandonPending(): void {
    const { pending } = this.state;
    if (pending === null) return;
    this.state.pending = null;
    this.emit({ kind: 'abandon-request', id: pending.id });
  }

  /** The timeout that the server's speed calls for, before what bounds it (R20). */
  get holdersTimeoutMs(): number {
    return holdersTimeoutMs(this.state.pace, this.config.requestTimeoutMs);
  }

  /** Time since an instant as a holder must count it (R19). */
  holderElapsedSince(anchor: Anchor): number {
    return holderElapsedMs(anchor, this.reading, this.state.wallTrust);
  }

  /** The clocks as a check goes by them. */
  get reading(): ClockReading {
    const { now, suspendedMs, wallAfterMicros } = this.at;
    return { now, suspendedMs, wallMicros: wallAfterMicros };
  }

  /**
   * A renewTime greater than every earlier one of this process, so that no write is a no-op (R7, A4). The platform's
   * wall clock counts milliseconds; dice fill the rest, so that two processes that were given one identity by mistake,
   * or are copies of one, do not take each other's record for their own when they write in the same millisecond, or
   * while the wall clock is behind.
   */
  nextRenewMicros(): number {
    const dice = Math.floor(this.at.random * 1_000);
    const latestMicros = Math.max(Math.floor(this.at.wallMicros), this.state.lastRenewMicros + 1);
    const renewMicros = latestMicros + dice;
    this.state.lastRenewMicros = renewMicros;
    const { lastAcquisition } = this.state;
    if (lastAcquisition !== null) {
      const recent = [...lastAcquisition.renewTimesMicros, renewMicros].slice(-REMEMBERED_RENEWALS);
      // However many have failed since, what is known to be stored stays known.
      const stored = this.state.tenure?.appliedRenewMicros;
      const renewTimesMicros =
        stored === undefined || recent.includes(stored) ? recent : [stored, ...recent];
      this.state.lastAcquisition = { ...lastAcquisition, renewTimesMicros };
    }
    return renewMicros;
  }
}

/** Where it is not, the store kept nothing, or others take it for old: no observer's clock was set back (A4, R7). */
export function isNewer(revision: bigint, { baseRevision }: PendingRequest): boolean {
  return baseRevision === null || revision > baseRevision;
}

function noNewVersion(revision: bigint, before: bigint | null): LockRequestError {
  return new LockRequestError(
    `The store answered that it applied a write of the lease as revision ${revision}, although the one before was ` +
      `${before}: other candidates do not see such a write. The revision of a lock must grow with every write, also when ` +
      'a lease is deleted and created again. After the store was restored from a backup this happens once and needs no action.',
    { reason: 'rejected' },
  );
}

/** Field by field: V8 takes ten times as long to spread an object that came out of a spread itself. */
function copyOfState(state: ElectionState): Draft {
  return {
    candidacy: state.candidacy,
    latestNow: state.latestNow,
    wallTrust: state.wallTrust,
    observation: state.observation,
    watching: state.watching,
    watchOpening: state.watchOpening,
    watchMissed: state.watchMissed,
    mustRead: state.mustRead,
    tenure: state.tenure,
    pending: state.pending,
    lastRequestId: state.lastRequestId,
    undrainedTerm: state.undrainedTerm,
    nextAttemptAt: state.nextAttemptAt,
    nextReadAt: state.nextReadAt,
    contendNotBefore: state.contendNotBefore,
    cooldownMs: state.cooldownMs,
    closingDeadline: state.closingDeadline,
    finishing: state.finishing,
    finishDeadline: state.finishDeadline,
    lastAcquisition: state.lastAcquisition,
    lastGrantedTerm: state.lastGrantedTerm,
    writeUnresolved: state.writeUnresolved,
    lastRenewMicros: state.lastRenewMicros,
    highestTransitions: state.highestTransitions,
    pace: state.pace,
    failedAttempts: state.failedAttempts,
    refuted: state.refuted,
    newestRevision: state.newestRevision,
    restoredAt: state.restoredAt,
    members: state.members,
    crowd: state.crowd,
    measuredRenewMicros: state.measuredRenewMicros,
    successorUid: state.successorUid,
    wasNamed: state.wasNamed,
    namedInVain: state.namedInVain,
    resting: state.resting,
    endedContainers: state.endedContainers,
    eligibility: state.eligibility,
    heardRequests: state.heardRequests,
    answer: state.answer,
    leader: state.leader,
  };
}
