import { channel } from 'node:diagnostics_channel';
import type { ResolvedElectionOptions } from '../core/election-options.js';
import type { RevocationReason, Term } from '../core/term.js';

/**
 * Whose event it is. All applications of a process share a channel; no two elections share all of these (R8).
 */
export interface ElectionSource {
  /** The option `application`; absent if the application has no name. */
  readonly application?: string;
  /** The role of the election. */
  readonly role: string;
  /** What is competed for, as the log names it, e.g. `Lease default/billing`. */
  readonly lock: string;
  /** This process, as it is written in the lease: the option `identity`. */
  readonly holderIdentity: string;
}

/** The message of the channel `nestjs-leader-election:granted`: a term of this process has begun. */
export interface GrantedMessage extends ElectionSource {
  /** The number of the term. */
  readonly term: number;
  /** The fencing token of the term, as decimal text. */
  readonly fencingToken: string;
}

/** The message of the channel `nestjs-leader-election:revoked`: a term of this process has ended. */
export interface RevokedMessage extends GrantedMessage {
  /** Why it has ended. */
  readonly reason: RevocationReason;
}

/** The message of the channel `nestjs-leader-election:skipped`: a gated call was skipped, as another process leads. */
export interface SkippedMessage extends ElectionSource {
  /** What was not called, e.g. `PlanScheduler.close`; `runIfLeader()` for a function that has no name to tell. */
  readonly method: string;
  /** Identity of the leader; absent when none is known. */
  readonly leader?: string;
}

/** @param lock what it calls itself */
export function sourceOf(
  {
    application,
    role,
    identity,
  }: Pick<ResolvedElectionOptions, 'application' | 'role' | 'identity'>,
  lock: string,
): ElectionSource {
  const named = application !== undefined && { application };
  return Object.freeze({ ...named, role, lock, holderIdentity: identity });
}

const GRANTED = channel('nestjs-leader-election:granted');
const REVOKED = channel('nestjs-leader-election:revoked');
const SKIPPED = channel('nestjs-leader-election:skipped');

/**
 * What one election publishes for tools that watch the process. Nothing is built without a subscriber. Node reports
 * what a subscriber throws as an uncaught exception, later; it does not reach the election.
 */
export class ElectionChannels {
  constructor(
    private readonly source: ElectionSource,
    private readonly leader: () => string | undefined,
  ) {}

  granted(term: Term): void {
    if (GRANTED.hasSubscribers) GRANTED.publish(this.messageOf(term, {}));
  }

  revoked(term: Term, reason: RevocationReason): void {
    if (REVOKED.hasSubscribers) REVOKED.publish(this.messageOf(term, { reason }));
  }

  skipped(method: string): void {
    if (!SKIPPED.hasSubscribers) return;
    const leader = this.leader();
    const message = { ...this.source, method, ...(leader !== undefined && { leader }) };
    SKIPPED.publish(Object.freeze(message) satisfies SkippedMessage);
  }

  private messageOf<T extends object>({ number, fencingToken }: Term, more: T): GrantedMessage & T {
    const { source } = this;
    return Object.freeze({ ...source, term: number, fencingToken: String(fencingToken), ...more });
  }
}
