import type { RevocationReason } from './term.js';
import { messageOf } from './thrown-value.js';

const MARK = Symbol.for('nestjs-leader-election:error');

/** Base of every error this library creates. `code` is stable; the wording of messages is not. */
export abstract class LeaderElectionError extends Error {
  /** Tells the kinds of errors apart, e.g. `ERR_NOT_LEADER`; the same in every version. */
  abstract readonly code: string;

  protected constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }

  /** True for errors of this library that have to extend a class of a framework, too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
    return (
      this === LeaderElectionError && typeof value === 'object' && value !== null && MARK in value
    );
  }

  /** What of it may be sent anywhere: the fields, the message, and no stack and cause. */
  toJSON(): object {
    return Object.assign({}, this, { message: this.message });
  }
}

/** Makes the instances of a class that extends another base errors of this library. */
export function countAsLeaderElectionError(prototype: object): void {
  Object.defineProperty(prototype, MARK, { value: true });
}

/** One thing wrong with one option. */
export interface OptionFault {
  /** The option, spelled as the caller wrote it. */
  readonly field: string;
  /** What was given; undefined where nothing was. */
  readonly value: unknown;
  /** True where nothing was given and the default is what cannot be used. */
  readonly isDefault?: boolean;
  /** What must hold. */
  readonly rule: string;
  /** What to write instead. */
  readonly fix: string;
}

/**
 * The options of one role cannot be used. Carries every fault at once, so that one start shows them all.
 * Code `ERR_LEADER_ELECTION_OPTIONS`.
 */
export class LeaderElectionOptionsError extends LeaderElectionError {
  readonly code = 'ERR_LEADER_ELECTION_OPTIONS';

  constructor(
    /** Everything that is wrong, in the order of the options. */
    readonly faults: readonly OptionFault[],
    /** What they were given to. */
    receiver = 'LeaderElectionModule',
  ) {
    super(
      `${receiver}: ${faults.length} configuration ${faults.length === 1 ? 'error' : 'errors'}\n` +
        faults.map((fault) => `  - ${faultText(fault)}`).join('\n'),
    );
  }

  /** With each value as the message prints it: what was given may be anything. */
  override toJSON(): object {
    const faults = this.faults.map((fault) => ({ ...fault, value: printed(fault.value) }));
    return { ...super.toJSON(), faults };
  }
}

/** For people: which value of which field is wrong, the rule and the fix. */
export function faultText(fault: OptionFault): string {
  return `${given(fault)}: ${fault.rule}. Fix: ${fault.fix}.`;
}

function given({ field, value, isDefault = false }: OptionFault): string {
  if (value === undefined) return field;
  return `${field} = ${printed(value)}${isDefault ? ' (the default)' : ''}`;
}

function printed(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'bigint':
      return `${value}n`;
    case 'function':
      return `a function${value.name ? ` (${value.name})` : ''}`;
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object';
    default:
      return String(value);
  }
}

/** What a lock knows about a request that failed. */
export interface LockRequestErrorDetails {
  /**
   * `rejected`: the store understood and said no (403, 422, 429 ...). `unreachable`: nothing was sent.
   * `unclear`: sent, and no usable answer came back. The election retries a rejected request more slowly.
   */
  readonly reason: 'rejected' | 'unreachable' | 'unclear';
  /** How long the store asked to wait, in milliseconds (Kubernetes: the Retry-After header). */
  readonly retryAfterMs?: number;
  /** The error below, e.g. of the socket. */
  readonly cause?: unknown;
}

/**
 * A request to the lock's store failed. The message says what was asked, what came back and what to change.
 * Code `ERR_LOCK_REQUEST`.
 */
export class LockRequestError extends LeaderElectionError {
  readonly code = 'ERR_LOCK_REQUEST';
  /** How far the request got: see {@link LockRequestErrorDetails.reason}. */
  readonly reason: LockRequestErrorDetails['reason'];
  /** How long the store asked to wait, in milliseconds; undefined where it did not. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: LockRequestErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = details.reason;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** One field of a lease that is stored otherwise than it was sent. */
export interface LeaseAlteration {
  /** The field of `LeaseRecord`. */
  readonly field: string;
  /** The value that this process wrote. */
  readonly sent: unknown;
  /** The value that the store answered with. */
  readonly stored: unknown;
}

/**
 * The store answered that it has applied a write, and holds something else. What is stored counts, as that is what the
 * other replicas see: this process does not become leader by it. Code `ERR_LEASE_ALTERED`.
 */
export class LeaseAlteredError extends LeaderElectionError {
  readonly code = 'ERR_LEASE_ALTERED';

  constructor(
    /** The role whose lease it is. */
    readonly role: string,
    /** What the write was for. */
    readonly write: 'acquire' | 'renew' | 'release',
    /** The fields that differ, at least one. */
    readonly alterations: readonly LeaseAlteration[],
  ) {
    const changes = alterations.map(
      ({ field, sent, stored }) =>
        `${field} ${JSON.stringify(sent)} was sent and ${JSON.stringify(stored)} is stored`,
    );
    super(
      `Role "${role}": something changes this lease between this process and its store: ${changes.join(', ')}. ` +
        `What is stored counts, so this process cannot ${write} it. Find what changes it, such as a mutating admission ` +
        `webhook or a proxy, and exempt this lease from it.`,
    );
  }
}

/**
 * The wall clock has ended several terms that the monotonic clock and the boot time would not have ended; it is
 * ignored until it has agreed with them for a while. Code `ERR_WALL_CLOCK`.
 */
export class WallClockError extends LeaderElectionError {
  readonly code = 'ERR_WALL_CLOCK';

  constructor(role: string, terms: number, agreesForMs: number) {
    super(
      `Role "${role}": the wall clock of this machine repeatedly jumped forward and ended ${terms} terms, while its ` +
        `other clocks show that no time was missed. It is ignored until it has agreed with them for ` +
        `${agreesForMs / 1_000} s; until then, it cannot end leadership that a restored snapshot of this machine brings ` +
        `back. Check what sets the clock: two time services, or a faked time.`,
    );
  }
}

/**
 * The work of an ended term was still running when `drainTimeoutMs` had passed. The lease is then not released
 * but left to expire, so that no other leader begins beside that work before the lease allows it (R10). This process
 * competes again only once the work has ended. Code `ERR_DRAIN_TIMEOUT`.
 */
export class DrainTimeoutError extends LeaderElectionError {
  readonly code = 'ERR_DRAIN_TIMEOUT';

  constructor(role: string, term: number, drainTimeoutMs: number) {
    super(
      `Role "${role}": work from term ${term} is still running ${drainTimeoutMs} ms (drainTimeoutMs) after its leadership ended. ` +
        `The lease will expire instead of being released, and this process will not compete for it until that work ends. ` +
        `Make @OnGranted, @OnRevoked and gated methods end when term.signal is aborted, or raise drainTimeoutMs.`,
    );
  }
}

/** The reason of an aborted `term.signal`: leadership ended. Code `ERR_LEADERSHIP_REVOKED`. */
export class LeadershipRevokedError extends LeaderElectionError {
  readonly code = 'ERR_LEADERSHIP_REVOKED';

  constructor(
    /** The role that this process led. */
    readonly role: string,
    /** The `number` of the term that ended. */
    readonly term: number,
    /** Why it ended. */
    readonly reason: RevocationReason,
  ) {
    super(`Leadership of role "${role}", term ${term}, has ended: ${reason}.`);
  }
}

export interface SlowAcquisitions {
  readonly attempts: number;
  /** How long the answer to the last one took. */
  readonly tookMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  readonly leaseDurationMs: number;
}

/** How much slower than seen the store may be under the durations that are recommended. */
const HEADROOM = 1.25;

/**
 * The store answers acquisitions too late for a leader to renew in time, so this process does not become leader.
 * Reported again, less and less often, while that lasts. Code `ERR_STORE_TOO_SLOW`.
 */
export class StoreTooSlowError extends LeaderElectionError {
  readonly code = 'ERR_STORE_TOO_SLOW';

  /** @internal */
  constructor(role: string, slow: SlowAcquisitions) {
    const { attempts, tookMs, renewDeadlineMs, retryPeriodMs, leaseDurationMs } = slow;
    const bearableMs = Math.min(renewDeadlineMs / 2, renewDeadlineMs - retryPeriodMs);
    const neededMs = wholeSeconds(HEADROOM * Math.max(2 * tookMs, tookMs + retryPeriodMs));
    const leaseMs = wholeSeconds((neededMs * leaseDurationMs) / renewDeadlineMs);
    super(
      `Role "${role}": the store of the lock is too slow for a leader. It answered the last ${attempts} acquisitions too ` +
        `late, the last one after ${Math.round(tookMs)} ms; within renewDeadlineMs (${renewDeadlineMs}) two answers in a ` +
        `row must fit, so one may take ${bearableMs} ms at most. Find out what is slow: the store, the network, or the ` +
        `event loop of this process. If the store stays as slow, raise leaseDurationMs to ${leaseMs} and, where it is ` +
        `set, renewDeadlineMs to ${neededMs}; a takeover after a crash then takes as much longer.`,
    );
  }
}

function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1_000) * 1_000;
}

/**
 * Who the members of this deployment are is not known, for the reason that the message gives. The election does not
 * depend on it; what needs the members waits until they are known. Code `ERR_MEMBERS_UNKNOWN`.
 */
export class MembersUnknownError extends LeaderElectionError {
  readonly code = 'ERR_MEMBERS_UNKNOWN';

  constructor(why: string, options?: { readonly cause?: unknown }) {
    super(`The members of this deployment are unknown: ${why}`, options);
  }
}

/** What the election itself reports on `errors$`; none of them stops it. */
export type ElectionFailure =
  LockRequestError | DrainTimeoutError | LeaseAlteredError | StoreTooSlowError | WallClockError;

/** The application has shut down; this process will not lead the role again. Code `ERR_ELECTION_STOPPED`. */
export class ElectionStoppedError extends LeaderElectionError {
  readonly code = 'ERR_ELECTION_STOPPED';

  constructor(
    /** The role that this process no longer competes for. */
    readonly role: string,
  ) {
    super(
      `Role "${role}": the application is shutting down, so this process no longer competes for the lease.`,
    );
  }
}

/**
 * A handler threw; `cause` is what it threw. Code `ERR_LEADERSHIP_HANDLER`.
 * After a failed `@OnGranted` this process steps down for a while; the others change nothing.
 */
export class LeadershipHandlerError extends LeaderElectionError {
  readonly code = 'ERR_LEADERSHIP_HANDLER';

  constructor(
    /** The role that the handler belongs to. */
    readonly role: string,
    /** Class and method, e.g. `PlanScheduler.start`. */
    readonly handler: string,
    decorator: string,
    cause: unknown,
  ) {
    super(`${decorator} ${handler} of role "${role}" failed: ${messageOf(cause)}`, { cause });
  }
}

/** What `errors$` carries, as values. None of them stops the election. */
export type ReportedError = ElectionFailure | LeadershipHandlerError | MembersUnknownError;
