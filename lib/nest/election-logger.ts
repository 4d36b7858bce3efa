import { Logger } from '@nestjs/common';
import { LeadershipHandlerError } from './errors/leadership-handler.error.js';
import type { RevocationReason, Term } from '../core/term.js';
import { messageOf, stackOf } from '../core/thrown-value.js';
import type { Clock } from '../elector/clock.js';
import type { LockNotice } from '../locks/lock-selection.js';
import type { ResolvedModuleOptions } from './leader-election.options.js';
import type { LeadershipError } from './leadership-error.js';

/** The same message is logged at most once in this time. */
const REPEAT_AFTER_MS = 60_000;

/** Ends of a term that somebody asked for. */
const ON_PURPOSE: readonly RevocationReason[] = ['stepped-down', 'suspended', 'shutdown'];

type LoggedElection = Pick<ResolvedModuleOptions, 'role' | 'identity' | 'application'>;

type Level = 'log' | 'warn' | 'debug';

/** One line per transition; renewals at debug only; repeated errors counted instead of repeated. */
export class ElectionLogger {
  private readonly logger = new Logger('LeaderElection');
  private readonly told = new Map<string, { at: number; unspoken: number }>();
  private readonly identity: string;
  private lastLeader: string | undefined;
  private readonly prefix: string;
  private readonly application: string | undefined;
  private readonly otherApplications = new Set<string>();

  constructor(
    { role, identity, application }: LoggedElection,
    lease: string,
    private readonly clock: Clock,
  ) {
    this.identity = identity;
    this.application = application;
    this.prefix = `Role "${role}", ${lease}, as ${identity}`;
  }

  notice({ level, text }: LockNotice): void {
    this.write(level, text);
  }

  started(): void {
    this.write('log', 'stands for election');
  }

  granted({ number, fencingToken }: Term): void {
    this.succeeded();
    this.write('log', `leads: granted term ${number} (fencing token ${fencingToken})`);
  }

  revoked({ number }: Term, reason: RevocationReason): void {
    const level = ON_PURPOSE.includes(reason) ? 'log' : 'warn';
    this.write(level, `no longer leads: term ${number} revoked (${reason})`);
  }

  /** Another's leadership only; the beginning and the end of one's own have their lines already. */
  leaderChanged(leader: string | undefined, application?: string): void {
    const before = this.lastLeader;
    this.lastLeader = leader;
    if (leader === this.identity || (leader === undefined && before === this.identity)) return;
    this.write('log', leader === undefined ? 'sees no leader' : `follows ${leader}`);
    if (leader !== undefined && application !== undefined) this.followsApplication(application);
  }

  renewed(term: number): void {
    this.succeeded();
    this.write('debug', `renewed term ${term}`);
  }

  released(term: number): void {
    this.succeeded();
    this.write('log', `released the lease of term ${term}`);
  }

  settling(term: number, settleMs: number): void {
    this.write(
      'log',
      `holds the lease; strict: term ${term} is granted in ${settleMs} ms, when no earlier leader can be left`,
    );
  }

  /** Missing is how every lease begins. Emptied is always somebody's doing. */
  uncleanAcquisition(term: number, was: 'missing' | 'emptied'): void {
    const consequence =
      'an earlier leader may believe in itself until it notices (strict: true waits for that)';
    if (was === 'missing') {
      this.write(
        'log',
        `creates the lease with term ${term}; if somebody has deleted it, ${consequence}`,
      );
    } else {
      this.write(
        'warn',
        `takes the lease with term ${term} though its holder was removed without a release: ${consequence}`,
      );
    }
  }

  lockNotClosed(cause: unknown): void {
    this.write('warn', `the lock did not close: ${messageOf(cause)}`);
  }

  failed(error: LeadershipError): void {
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
    this.told.set(text, { at: now, unspoken: 0 });
    const repeated = earlier?.unspoken ? ` (and ${earlier.unspoken} times before this)` : '';
    this.safely(() =>
      this.logger.error(`${this.prefix}: ${text}${repeated}`, stackWorthTelling(error)),
    );
  }

  /** Two applications on one lease: each other one is told once, as its replicas lead in turns. */
  private followsApplication(application: string): void {
    if (this.application === undefined || application === this.application) return;
    if (this.otherApplications.has(application)) return;
    this.otherApplications.add(application);
    const [theirs, ours] = [JSON.stringify(application), JSON.stringify(this.application)];
    this.write(
      'warn',
      `the leader belongs to application ${theirs}, and this is application ${ours}: they share one lease, and only one of them ` +
        `ever leads. If they are two applications, give this one a leaseName of its own; if they are one, give both the ` +
        `same name with the option application.`,
    );
  }

  /** Whatever failed works again: the next failure is news. */
  private succeeded(): void {
    for (const [message, { unspoken }] of this.told) {
      if (unspoken > 0) this.write('log', `works again; ${unspoken} more times before: ${message}`);
    }
    this.told.clear();
  }

  private write(level: Level, text: string): void {
    this.safely(() => this.logger[level](`${this.prefix}: ${text}`));
  }

  /** The application's logger is foreign code in the middle of the election, which must not pay for its faults. */
  private safely(log: () => void): void {
    try {
      log();
    } catch (error) {
      process.emitWarning(`The application's logger threw: ${messageOf(error)}`, 'LeaderElection');
    }
  }
}

/** A handler's stack is the user's; that of a failed request says nothing its message does not. */
function stackWorthTelling(error: LeadershipError): string | undefined {
  if (!(error instanceof LeadershipHandlerError)) return undefined;
  return stackOf(error.cause);
}
