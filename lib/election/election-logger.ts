import type { Clock } from '../core/clock.js';
import type { ElectionNotice, UncleanKind } from '../core/election-state.js';
import { LeadershipHandlerError, LockRequestError, type ReportedError } from '../core/errors.js';
import type { Coordination, LeaderRequest } from '../core/lease-record.js';
import type { RevocationReason, Term } from '../core/term.js';
import { messageOf, stackOf } from '../core/thrown-value.js';
import {
  type ElectionLog,
  type LogEvent,
  LogLines,
  type SaidLine,
  shortIdentity,
} from './log-entry.js';
import type { LockRemark } from '../locks/lock-selection.js';
import type { ResolvedElectionOptions } from '../core/election-options.js';

/** The same message is logged at most once in this time. */
const REPEAT_AFTER_MS = 60_000;

/** Characters of what a request says. */
const LONGEST_FOREIGN = 300;

/** Characters of an error that no longer occurs. */
const LONGEST_HEAD = 160;

/** Ends of a term that were requested. */
export const ON_PURPOSE: readonly RevocationReason[] = ['stepped-down', 'suspended', 'shutdown'];

/** What a person has written, which may have line breaks. */
export function askedToStepDown({
  by,
  successor,
}: Pick<LeaderRequest, 'by' | 'successor'>): string {
  const whom = successor === undefined ? '' : ` in favour of ${successor}`;
  return `was asked to step down${whom}${by === undefined ? '' : ` by ${by}`}`;
}

export type LoggedElection = Pick<
  ResolvedElectionOptions,
  'role' | 'identity' | 'application' | 'renewDeadlineMs' | 'ineligibleGraceMs'
>;

/** Those about eligibility come with a reason that the election does not know. */
export type LoggedNotice = Exclude<
  ElectionNotice,
  { readonly kind: 'eligibility-changed' | 'ineligible-acquisition' | 'schedule-changed' }
>;

/** One line per transition, none for a renewal; repeated errors counted instead of repeated. */
export class ElectionLogger {
  private readonly told = new Map<string, { at: number; unspoken: number; isOfLock: boolean }>();
  private readonly identity: string;
  private lastLeader: string | undefined;
  /** The last leader of all; there may be none at present. */
  private lastKnownLeader: string | undefined;
  private readonly lease: string;
  private readonly lines: LogLines;
  private readonly application: string | undefined;
  private readonly otherApplications = new Set<string>();
  /** Of requests since the last successful one. */
  private lastFailure: string | undefined;
  private readonly renewDeadlineMs: number;
  private readonly ineligibleGraceMs: number;

  /** @param isLeaseLasting false for a lock that begins empty in every process */
  constructor(
    { role, identity, application, renewDeadlineMs, ineligibleGraceMs }: LoggedElection,
    lease: string,
    protected readonly clock: Clock,
    private readonly isLeaseLasting: boolean,
    logger: ElectionLog,
  ) {
    this.renewDeadlineMs = renewDeadlineMs;
    this.ineligibleGraceMs = ineligibleGraceMs;
    this.identity = identity;
    this.application = application;
    this.lease = lease;
    this.lines = new LogLines(logger, role, { role, lease, identity });
  }

  remarkOnLock({ level, text }: LockRemark): void {
    this.say({ event: 'lock.chosen', level, text });
  }

  started(): void {
    const text = `competes for ${this.lease} as ${this.identity}`;
    this.say({ event: 'election.started', level: 'log', text });
  }

  granted({ number, fencingToken }: Term): void {
    this.answered();
    this.say({
      event: 'leadership.granted',
      level: 'log',
      text: `became leader (term ${number}, fencing token ${fencingToken})`,
      fields: { term: number, fencingToken: String(fencingToken) },
    });
  }

  /** @param whyIneligible is asked for with the reason `ineligible` alone */
  revoked({ number }: Term, reason: RevocationReason, whyIneligible: string): void {
    const level = ON_PURPOSE.includes(reason) ? 'log' : 'warn';
    this.say({
      event: 'leadership.revoked',
      level,
      text: `lost leadership (term ${number}, ${reason}): ${this.whyLost(reason, whyIneligible)}`,
      fields: { term: number, reason },
    });
  }

  /** @param why this process is ineligible; undefined if it is eligible again */
  eligibilityChanged(why: string | undefined, isLeader: boolean): void {
    if (why === undefined) {
      const text = 'is eligible to lead';
      return this.say({ event: 'eligibility.restored', level: 'log', text });
    }
    const text = isLeader
      ? `is ineligible to lead and still leads, as no other replica is known to be fit: ${why}`
      : `is ineligible to lead and leaves the lease to the other replicas: ${why}`;
    const level = isLeader ? 'warn' : 'log';
    this.say({ event: 'eligibility.lost', level, text, fields: { reason: why } });
  }

  ineligibleAcquisition(term: number, why: string): void {
    this.say({
      event: 'eligibility.overridden',
      level: 'warn',
      text: `acquired the lease although this replica is ineligible, as no eligible one did (term ${term}): ${why}`,
      fields: { term, reason: why },
    });
  }

  tell(notice: LoggedNotice): void {
    switch (notice.kind) {
      case 'leader-changed':
        return this.leaderChanged(notice.leader, notice.application);
      case 'settling':
        return this.settling(notice.term, notice.settleMs);
      // A leader renews 43,200 times a day.
      case 'renewed':
        return this.answered();
      case 'released':
        return this.released(notice.term);
      // Every replica sees it, and each says so.
      case 'named-in-vain':
        return this.say({
          event: 'leadership.not-as-named',
          level: 'debug',
          text: `the release named the member ${notice.uid}, but ${shortIdentity(notice.leader)} became leader: the member is not named again before it has led`,
          fields: { leader: notice.leader, successor: notice.uid },
        });
      case 'unclean-acquisition':
        return this.uncleanAcquisition(notice.term, notice.was);
      case 'uncoordinated-acquisition':
        return this.uncoordinatedAcquisition(notice.term, notice.coordination);
      case 'request-answered':
        return this.requestAnswered(notice.request, notice.refused);
      // The next answer of the lock tells how often it had failed.
      case 'watch-recovered':
        return;
      case 'failed':
        return this.requestFailed(notice.error, notice.of);
      default:
        return notice satisfies never;
    }
  }

  private uncoordinatedAcquisition(
    term: number,
    { strategy, preferredHolder }: Coordination,
  ): void {
    const preferred =
      preferredHolder === undefined ? '' : ` and spec.preferredHolder is "${preferredHolder}"`;
    const text =
      `acquired the lease although spec.strategy is "${strategy}"${preferred} (term ${term}): with a strategy the API server ` +
      'chooses the holder, and it has chosen none for a whole lease duration. Every handover waits that long in vain. ' +
      'Remove spec.strategy and spec.preferredHolder from the lease (kubectl edit).';
    this.say({ event: 'lease.coordinated', level: 'warn', text, fields: { term } });
  }

  /** Only the leadership of others; that of this process has its own lines. */
  private leaderChanged(leader: string | undefined, application?: string): void {
    const before = this.lastLeader;
    this.lastLeader = leader;
    if (leader !== undefined) this.lastKnownLeader = leader;
    if (leader === this.identity || (leader === undefined && before === this.identity)) return;
    if (leader !== undefined) this.answered();
    if (leader === undefined) {
      return this.say({ event: 'leader.unknown', level: 'log', text: 'sees no leader' });
    }
    this.say({
      event: 'leader.changed',
      level: 'log',
      text: `follows ${shortIdentity(leader)}`,
      fields: { leader, application },
    });
    if (application !== undefined) this.followsApplication(application);
  }

  private requestAnswered({ asks, by, successor }: LeaderRequest, refused: string): void {
    if (asks !== 'step-down') return;
    const asked = onOneLine(askedToStepDown({ by, successor }));
    const fields = { by, successor };
    if (refused === '') {
      this.say({ event: 'leadership.asked-to-step-down', level: 'log', text: asked, fields });
    } else {
      const text = `${asked}, and did not: ${onOneLine(refused)}`;
      this.say({ event: 'leadership.refused-to-step-down', level: 'warn', text, fields });
    }
  }

  private released(term: number): void {
    this.answered();
    const text = `released the lease (term ${term})`;
    this.say({ event: 'leadership.released', level: 'log', text, fields: { term } });
  }

  private settling(term: number, settleMs: number): void {
    this.say({
      event: 'leadership.settling',
      level: 'log',
      text: `acquired the lease (term ${term}); becomes leader in ${settleMs} ms, when no previous leader can be left (strict)`,
      fields: { term },
    });
  }

  /**
   * Every lease begins as missing, and one that was created by hand as unheld. It was deleted only if this process has
   * seen another leader. It never becomes emptied without an edit.
   */
  private uncleanAcquisition(term: number, was: UncleanKind): void {
    const isOthers = this.lastKnownLeader !== undefined && this.lastKnownLeader !== this.identity;
    const fields = { term };
    const unheld = `acquired the lease, which shows no earlier holder (term ${term})`;
    if (was === 'emptied' || isOthers) {
      const [event, how] = (
        {
          missing: [
            'lease.created-again',
            `created the lease again, as it had been deleted (term ${term})`,
          ],
          unheld: ['lease.without-holder', unheld],
          emptied: [
            'lease.emptied',
            `acquired the lease although its holder was cleared without a release (term ${term})`,
          ],
        } as const
      )[was];
      const text = `${how}; the previous leader may still consider itself leader until it notices. Set strict: true to wait for it`;
      this.say({ event, level: 'warn', text, fields });
    } else if (this.isLeaseLasting && was === 'missing') {
      const text = `created the lease (term ${term})`;
      this.say({ event: 'lease.created', level: 'log', text, fields });
    } else if (this.isLeaseLasting) {
      this.say({ event: 'lease.without-holder', level: 'log', text: unheld, fields });
    }
  }

  /** Once for each kind of failure. */
  eventFailed(error: LockRequestError): void {
    const text = `could not record a Kubernetes Event: ${messageOf(error)}`;
    this.say({ event: 'events.failed', level: 'warn', text, fields: { reason: error.reason } });
  }

  notClosed(what: string, cause: unknown): void {
    const text = `${what} did not close: ${messageOf(cause)}`;
    this.say({ event: 'lock.not-closed', level: 'warn', text });
  }

  /** What the election asked of the lock. */
  private requestFailed(error: ReportedError, of: 'watch' | undefined): void {
    const isOfLock = error instanceof LockRequestError;
    // No renewal has failed with the watch.
    if (isOfLock && of !== 'watch') this.lastFailure = messageOf(error);
    this.failed(error, isOfLock);
  }

  /** @param isOfLock it is over once the lock answers again; that of a handler or of the pod's mark is not */
  failed(error: ReportedError, isOfLock = false): void {
    const now = this.clock.now();
    const text = messageOf(error);
    const earlier = this.told.get(text);
    if (earlier !== undefined && now - earlier.at < REPEAT_AFTER_MS) {
      earlier.unspoken += 1;
      return;
    }
    for (const [message, { at }] of this.told) {
      if (now - at >= REPEAT_AFTER_MS) this.told.delete(message);
    }
    this.told.set(text, { at: now, unspoken: 0, isOfLock });
    const repeated = earlier?.unspoken ? ` (and ${earlier.unspoken} times before this)` : '';
    this.say({
      event: error instanceof LockRequestError ? 'request.failed' : 'work.failed',
      level: 'error',
      text: `${text}${repeated}`,
      fields: {
        code: error.code,
        reason: error instanceof LockRequestError ? error.reason : undefined,
      },
      stack: stackWorthTelling(error),
    });
  }

  protected whyLost(reason: RevocationReason, whyIneligible: string): string {
    switch (reason) {
      case 'renew-deadline': {
        const what = `no renewal succeeded for ${this.renewDeadlineMs} ms (renewDeadlineMs)`;
        if (this.lastFailure !== undefined) {
          return `${what}; the last request failed: ${this.lastFailure}`;
        }
        return (
          `${what}, though no request failed: the lock had not answered yet, this process was stopped, the machine slept, ` +
          'or the event loop was blocked. Work that blocks it can be moved to a worker thread.'
        );
      }
      case 'superseded':
        return 'another process holds the lease, or someone has edited it';
      case 'lease-deleted':
        return 'the lease was deleted, or deleted and created again';
      case 'stepped-down':
        return 'stepDown() was called';
      case 'handler-failed':
        return 'an @OnGranted() handler failed';
      case 'suspended':
        return 'suspend() was called; this process competes again after resume()';
      case 'ineligible':
        return `this replica was ineligible for ${this.ineligibleGraceMs} ms (ineligibleGraceMs), and another is fit to lead: ${whyIneligible}`;
      case 'shutdown':
        return 'the application is shutting down';
      default:
        return reason satisfies never;
    }
  }

  /** Two applications on one lease: each other application is named once, as its replicas lead in turns. */
  private followsApplication(application: string): void {
    if (this.application === undefined || application === this.application) return;
    if (this.otherApplications.has(application)) return;
    this.otherApplications.add(application);
    const [theirs, ours] = [JSON.stringify(application), JSON.stringify(this.application)];
    const text =
      `the leader belongs to application ${theirs}, and this is application ${ours}: they share one lease, and only one of them ` +
      `ever leads. If they are two applications, give this one a leaseName of its own; if they are one, give both the ` +
      `same name with the option application.`;
    this.say({
      event: 'leader.of-other-application',
      level: 'warn',
      text,
      fields: { application },
    });
  }

  /** The next failure of a request is news. This says nothing about a handler that failed. */
  private answered(): void {
    this.lastFailure = undefined;
    for (const [message, { unspoken, isOfLock }] of this.told) {
      if (!isOfLock) continue;
      this.told.delete(message);
      if (unspoken === 0) continue;
      const often = unspoken === 1 ? 'once' : `${unspoken} times`;
      const text = `the lock answers again; this error had occurred ${often} since it was logged: ${headOf(message)}`;
      this.say({ event: 'request.recovered', level: 'log', text });
    }
  }

  protected say<E extends LogEvent>(line: SaidLine<E>): void {
    this.lines.say(line);
  }
}

/** The stack of a handler points to the user's code; that of a failed request adds nothing to its message. */
function stackWorthTelling(error: ReportedError): string | undefined {
  if (!(error instanceof LeadershipHandlerError)) return undefined;
  return stackOf(error.cause);
}

/** Whoever may write the lease wrote a part of it, and must not write lines of their own. */
function onOneLine(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
  return line.length > LONGEST_FOREIGN ? `${line.slice(0, LONGEST_FOREIGN)}…` : line;
}

/** Enough to recognise the error; its remedy is no longer needed. */
function headOf(message: string): string {
  const [line = ''] = message.split('\n', 1);
  return line.length > LONGEST_HEAD ? `${line.slice(0, LONGEST_HEAD)}…` : line;
}
