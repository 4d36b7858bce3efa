import { type ResolvedElectionOptions, resolveElectionOptions } from '../core/election-options.js';
import { createTerm, type RevocationReason, type Term } from '../core/term.js';
import type { ElectionObserver } from '../elector/leader-elector.js';
import { adopt } from '../nest/gate-leadership.js';
import { GATES } from '../nest/gated-method.js';
import { ElectionProgress } from '../election/election-status.js';
import { LeadershipStreams } from '../nest/leadership-streams.js';
import { LeadershipService } from '../nest/leadership.service.js';
import { leadershipNow, type RoleElection } from '../nest/role-election.js';
import type { LeaderCronContext } from '../schedule/runner/job-definition.js';
import { ControlledElector } from './controlled.elector.js';
import { ManualClock } from '../contracts/manual-clock.js';

/**
 * A term for a handler that is called directly. What is not given is: role `'test'`, number 1, the number as fencing
 * token, holder `'test-process'`, granted now, and a signal that is never aborted.
 */
export function testTerm(values: Partial<Term> = {}): Term {
  const number = values.number ?? 1;
  return createTerm({
    role: 'test',
    number,
    fencingToken: BigInt(number),
    holderIdentity: 'test-process',
    grantedAt: new Date(),
    signal: new AbortController().signal,
    ...values,
  });
}

/** What differs in a context that a test makes. */
export interface LeaderCronContextOptions {
  /**
   * The nominal time of the tick.
   * @default the present time
   * @example
   * scheduledTime: new Date('2027-01-01T02:30:00Z')
   */
  readonly scheduledTime?: Date;
  /**
   * Whether someone asked for the run.
   * @default false
   * @example
   * isTriggered: true
   */
  readonly isTriggered?: boolean;
  /**
   * Nominal times of ticks that were missed before this one.
   * @default none
   * @example
   * missed: [new Date('2027-01-01T01:30:00Z')]
   */
  readonly missed?: readonly Date[];
  /**
   * Which run of the tick it is.
   * @default 1
   * @example
   * attempt: 2
   */
  readonly attempt?: number;
  /**
   * The term that the run belongs to.
   * @default a first term that lasts
   * @example
   * term: testTerm({ number: 7 })
   */
  readonly term?: Term;
  /**
   * What ends the run.
   * @default the signal of the term
   * @example
   * signal: AbortSignal.abort()
   */
  readonly signal?: AbortSignal;
}

/** What a `@LeaderCron()` handler is called with, to call it directly. */
export function leaderCronContext({
  scheduledTime = new Date(),
  isTriggered = false,
  missed = [],
  attempt = 1,
  term = testTerm(),
  signal = term.signal,
}: LeaderCronContextOptions = {}): LeaderCronContext {
  return {
    scheduledTime,
    isTriggered,
    attempt,
    missed: { count: missed.length, times: missed, isCapped: false },
    term,
    signal,
  };
}

/** Who leads, as a stand-in has it. */
export interface LeadershipStandInOptions {
  /**
   * Whether this process leads.
   * @default true
   * @example
   * isLeader: false
   */
  readonly isLeader?: boolean;
  /**
   * The role that the service is about.
   * @default 'test'
   * @example
   * role: 'plan-scheduler'
   */
  readonly role?: string;
  /**
   * The leader, if this process is not.
   * @default no leader is known
   * @example
   * isLeader: false, leader: 'plan-1'
   */
  readonly leader?: string;
}

/**
 * A `LeadershipService` without an application: to pass to a constructor under plain `new`. It is leader or not;
 * `stepDown()`, `suspend()` and the rest affect only this object.
 */
export function leadershipStandIn({
  isLeader = true,
  role = 'test',
  leader,
}: LeadershipStandInOptions = {}): LeadershipService {
  return new LeadershipService(standInElection(role, isLeader, leader) as RoleElection);
}

/** What a `LeadershipService` asks of its election. */
type StandInElection = Pick<
  RoleElection,
  | 'elector'
  | 'health'
  | 'isStopping'
  | 'leader'
  | 'leaderAddress'
  | 'leadershipAwaited'
  | 'memberViews'
  | 'role'
  | 'setEligible'
  | 'shadow'
  | 'skipped'
  | 'start'
  | 'status'
  | 'streams'
> & { readonly options: ResolvedElectionOptions };

/** An election that no lease and no application take part in. */
function standInElection(
  role: string,
  isLeader: boolean,
  leader: string | undefined,
): StandInElection {
  const options = resolveElectionOptions({ role }, 'test-process');
  let lastReason: RevocationReason | undefined;
  const observer: ElectionObserver = {
    onGranted: (term) => streams.granted(term),
    onRevoked: (term, reason) => {
      lastReason = reason;
      streams.revoked(term, reason);
    },
    onNotice: ({ kind }) => {
      if (kind === 'leader-changed') streams.changed();
    },
  };
  const clock = new ManualClock();
  const elector = new ControlledElector(options, { clock, observer }, isLeader);
  const progress = new ElectionProgress(clock);
  const streams = new LeadershipStreams(
    () => leadershipNow(role, elector.leader, elector.term, lastReason),
    () => undefined,
  );
  elector.setLeader(leader);
  elector.start();
  return {
    role,
    options,
    elector,
    streams,
    isStopping: false,
    memberViews: undefined,
    get leader() {
      return elector.leader;
    },
    get leaderAddress() {
      return elector.leaderAddress;
    },
    get status() {
      const { leader: known } = elector;
      return progress.statusOf({ options, lock: 'a test', leader: known, elector });
    },
    health() {
      return { status: 'up', ...this.status };
    },
    start: () => {},
    leadershipAwaited: () => {},
    setEligible: (isEligible) => elector.setEligible(isEligible),
    shadow: undefined,
    skipped: () => {},
  };
}

/**
 * The object itself, with its `@LeaderOnly()` methods open, for a class that is tested under plain `new`.
 * @throws Error if its class has no such method
 */
export function asLeader<T extends object>(object: T): T {
  return standIn(object, { isLeader: true });
}

/**
 * The object itself, with its `@LeaderOnly()` methods doing what they do on a follower.
 * @param leader who leads instead; unless given, no leader is known
 * @throws Error if its class has no such method
 */
export function asFollower<T extends object>(object: T, leader?: string): T {
  return standIn(object, { isLeader: false, ...(leader !== undefined && { leader }) });
}

function standIn<T extends object>(object: T, options: LeadershipStandInOptions): T {
  const prototype = Object.getPrototypeOf(object) as object | null;
  const roles = new Set(
    GATES.reachable(prototype).flatMap(({ marks }) => marks.map(({ role }) => role)),
  );
  if (roles.size === 0) {
    const name = object.constructor?.name ?? 'The object';
    throw new Error(
      `${name} has no method with @LeaderOnly(), so leadership makes no difference to it.`,
    );
  }
  for (const role of roles) {
    adopt(object, role, leadershipStandIn({ ...options, ...(role !== undefined && { role }) }));
  }
  return object;
}
