import { wallMs } from '../core/clock.js';
import type { MemberView } from '../core/member.js';
import type { MemberRow, RoleView } from './dashboard-view.js';
import { leaseWords, rawLease } from './lease-words.js';
import { lastSeen, type WatchedElection } from './watched-election.js';

/** What the page shows, and what it goes by: equal while nothing but time has passed. */
export interface BuiltView<View> {
  readonly view: View;
  readonly facts: string;
}

/** The election of a role as this process sees it now. Costs no request. */
export function roleView(election: WatchedElection): BuiltView<RoleView> {
  const { clock, elector, options, role, source } = election;
  const { observed } = elector;
  const at = wallMs(clock);
  const status = election.status;
  const { status: health, reason = null } = election.health({});
  const { failures, leaderlessMs } = status;
  const validity = validityOf(election);
  const view: RoleView = {
    role,
    lock: source.lock,
    identity: options.identity,
    at,
    leader: leaderOf(election),
    leaderlessSince: leaderlessMs === undefined ? null : Math.round(at - leaderlessMs),
    validity,
    timing: {
      leaseDurationMs: options.leaseDurationMs,
      renewDeadlineMs: options.renewDeadlineMs,
      retryPeriodMs: options.retryPeriodMs,
    },
    health: { status: health, reason },
    isEligible: status.isEligible,
    members: election.memberViews?.map((member) => memberRow(member)) ?? null,
    lease: {
      words:
        observed === undefined
          ? [`${source.lock} has not been read yet by this process.`]
          : leaseWords(observed.lease, source.lock),
      raw: observed?.lease == null ? null : rawLease(observed.lease),
      failure: failures === undefined ? null : failures.message,
      readAt: lastSeen(election, at) ?? null,
    },
  };
  // An instant that is counted back from now differs by a millisecond from one reading to the next.
  const facts = JSON.stringify({
    ...view,
    at: 0,
    leaderlessSince: view.leaderlessSince === null,
    validity: validity?.ofMs,
    lease: { ...view.lease, readAt: observed?.since },
  });
  return { view, facts };
}

function leaderOf(election: WatchedElection): RoleView['leader'] {
  const { elector, leader, leaderAddress: address = null, options } = election;
  const { term } = elector;
  const { identity } = options;
  if (term !== undefined) {
    const since = term.grantedAt.getTime();
    return { identity, isThisReplica: true, term: term.number, since, address };
  }
  const record = elector.observed?.lease?.record;
  if (leader === undefined || record === undefined) return null;
  const since =
    record.acquireTimeMicros === null ? null : Math.round(record.acquireTimeMicros / 1_000);
  return {
    identity: leader,
    isThisReplica: false,
    term: record.leaseTransitions,
    since,
    address,
  };
}

/**
 * How long the leader leads on without a further renewal. It counts from the sending of its last renewal, and others from
 * when they have seen that.
 */
function validityOf({ clock, elector, leader, options }: WatchedElection): RoleView['validity'] {
  const { renewDeadlineMs: ofMs } = options;
  if (elector.term !== undefined) return { remainingMs: Math.round(elector.remainingMs()), ofMs };
  const { observed } = elector;
  if (leader === undefined || observed === undefined) return null;
  const remainingMs = ofMs - (clock.now() - observed.since);
  return { remainingMs: Math.round(Math.max(0, remainingMs)), ofMs };
}

function memberRow(member: MemberView): MemberRow {
  return {
    name: member.name,
    isReady: member.isReady,
    isTerminating: member.isTerminating,
    isLeader: member.isLeader,
    isThisReplica: member.isSelf,
    revision: member.templateHash ?? null,
    node: member.node ?? null,
  };
}
