import { Logger } from '@nestjs/common';
import {
  LeadershipHandlerError,
  LockRequestError,
  MembersUnknownError,
} from '../../lib/core/errors.js';
import { competingMember, type MemberObserver } from '../../lib/core/member.js';
import { createTerm } from '../../lib/core/term.js';
import { LOG_EVENTS, type LogEntry, type LogLevel } from '../../lib/election/log-entry.js';
import {
  type LockRemark,
  ProcessSurroundings,
  selectLock,
} from '../../lib/locks/lock-selection.js';
import { ApplicationMembers } from '../../lib/nest/application-members.js';
import {
  memberOrigin,
  type MembersRequester,
  SharedMembers,
} from '../../lib/nest/shared-members.js';
import { applicationLog } from '../../lib/nest/application-log.js';
import { RoleLogger } from '../../lib/nest/role-logger.js';
import { OnceLogger, OnceRoleLogger } from '../../lib/schedule/nest/once-logger.js';
import { ScheduleLogger } from '../../lib/schedule/nest/schedule-logger.js';
import type { OnceRecord } from '../../lib/schedule/once/once-record.js';
import { ManualClock } from './manual-clock.js';

export interface LoggedLine {
  readonly level: LogLevel;
  readonly entry: LogEntry;
}

const TERM = createTerm({
  role: 'plans',
  number: 3,
  fencingToken: 4711n,
  holderIdentity: 'pod-a',
  grantedAt: new Date(0),
  signal: new AbortController().signal,
});
const SOURCE = { role: 'plans', lock: 'Lease default/plans', holderIdentity: 'pod-a' };
/** When a job of this log was due. */
export const AT = new Date('2026-03-01T02:00:00.000Z');
const RUN = { job: 'close-day', scheduledTime: AT, term: TERM, attempt: 1 };
/** An attempt to come of that run. */
export const RETRY = {
  scheduledTime: AT.getTime(),
  attempt: 3,
  notBefore: 0,
  notAfter: null,
  isRerun: false,
  returned: [],
};
export const CANCELLATION = { at: AT.getTime() + 1_000, by: 'pod-b', reason: 'no paper' };
const RECORD: OnceRecord = {
  version: '2.1.0',
  state: 'failed',
  claim: '',
  attempt: 1,
  holderIdentity: 'pod-b',
  term: 3,
  fencingToken: '3',
  startedAt: AT.getTime(),
  endedAt: null,
  reason: null,
};

/** One example of each line that the library logs, written by its own loggers, in the order of LOG_EVENTS. */
export async function everyLogLine(): Promise<LoggedLine[]> {
  const remarks = await lockRemarks();
  const lines: LoggedLine[] = [];
  const writer = (level: LogLevel) => (entry: LogEntry) => void lines.push({ level, entry });
  Logger.overrideLogger({
    debug: writer('debug'),
    log: writer('log'),
    warn: writer('warn'),
    error: writer('error'),
  });
  sayElection(remarks);
  sayMembers();
  saySchedule();
  sayOnce();
  applicationLog.notInitialised(60_000);
  applicationLog.gateFailed('plans', 'Plans.close', new Error('no term'));
  applicationLog.observerFailed('close-day', 'failed for close-day: no span');
  Logger.overrideLogger(true);
  const order = Object.keys(LOG_EVENTS);
  return lines.toSorted(
    (one, other) => order.indexOf(one.entry.event) - order.indexOf(other.entry.event),
  );
}

function roleLogger(clock = new ManualClock()): RoleLogger {
  const election = {
    role: 'plans',
    identity: 'pod-a',
    application: 'plan-app',
    renewDeadlineMs: 10_000,
    ineligibleGraceMs: 5_000,
  };
  return new RoleLogger(election, 'Lease default/plans', clock, true);
}

/** Of a lock that was chosen, and of one that has limits. */
async function lockRemarks(): Promise<LockRemark[]> {
  const requester = { leaseName: 'plans', namespace: 'default', identity: 'pod-a' };
  const machine = { exists: () => false, text: () => '' };
  const production = new ProcessSurroundings({ NODE_ENV: 'production' }, '/app/main.js', machine);
  const selected = [
    await selectLock('auto', requester),
    await selectLock('memory', requester, production),
  ];
  return selected.map(({ remark }) => remark!);
}

function sayElection(remarks: readonly LockRemark[]): void {
  const log = roleLogger();
  const refused = new LockRequestError('replace leases default/plans: connection refused', {
    reason: 'unreachable',
  });
  for (const remark of remarks) log.remarkOnLock(remark);
  log.started();
  log.standsAside();
  log.waitsEarly();
  log.shadows();
  log.gatesTimers([{ name: 'Plans.close', rule: 'gate', roles: [] }], []);
  log.gatesTimers([], []);
  log.skippedEarly('Plans.warmCache');
  log.tell({ kind: 'leader-changed', leader: 'pod-b', application: 'mail-app' });
  log.wouldHaveSkipped('Plans.close', 1, 'pod-b');
  log.tell({ kind: 'leader-changed', leader: undefined, application: undefined });
  log.tell({ kind: 'unclean-acquisition', term: 3, was: 'unheld' });
  log.tell({ kind: 'unclean-acquisition', term: 3, was: 'emptied' });
  log.tell({ kind: 'unclean-acquisition', term: 3, was: 'missing' });
  roleLogger().tell({ kind: 'unclean-acquisition', term: 1, was: 'missing' });
  roleLogger().tell({ kind: 'unclean-acquisition', term: 1, was: 'unheld' });
  log.tell({
    kind: 'uncoordinated-acquisition',
    term: 3,
    coordination: { strategy: 'OldestEmulationVersion' },
  });
  log.tell({ kind: 'settling', term: 3, settleMs: 15_000 });
  log.granted(TERM);
  log.handlersUnheard(['Plans.start']);
  for (let times = 0; times <= 12; times += 1) log.tell({ kind: 'failed', error: refused });
  log.tell({ kind: 'renewed', term: 3 });
  log.failed(new LeadershipHandlerError('plans', 'Plans.start', '@OnGranted()', 'no database'));
  log.eligibilityChanged('database unreachable', true);
  log.eligibilityChanged('database unreachable', false);
  log.eligibilityChanged(undefined, false);
  log.ineligibleAcquisition(4, 'database unreachable');
  log.tell({
    kind: 'request-answered',
    request: { asks: 'step-down', by: 'kubectl' } as never,
    refused: '',
  });
  log.tell({
    kind: 'request-answered',
    request: { asks: 'step-down', by: 'kubectl', successor: 'pod-x' } as never,
    refused: 'there is no member pod-x',
  });
  log.revoked(TERM, 'stepped-down', '');
  log.revoked(TERM, 'superseded', '');
  log.tell({ kind: 'released', term: 3 });
  log.tell({ kind: 'named-in-vain', uid: 'b4f1', leader: 'pod-b' } as never);
  log.placementFailed('the placement function threw: no idea; releases name no successor');
  log.containerUnknown('its id is not in /proc/self/cgroup');
  log.watchdogFailed(new Error('out of memory'));
  log.eventFailed(
    new LockRequestError('replace leases default/plans: connection refused', {
      reason: 'unreachable',
    }),
  );
  log.notClosed('the lock', new Error('stuck'));
  log.shadowed(new Map([['Plans.close', 12]]));
}

function sayMembers(): void {
  let observer: MemberObserver | undefined;
  const source = { start: (its: MemberObserver) => (observer = its), close: async () => {} };
  const members = new ApplicationMembers(new ManualClock(), Math.random, () => ({
    key: [],
    make: () => source,
  }));
  const nothing = (): void => {};
  const requester: MembersRequester = {
    options: {
      role: 'plans',
      identity: 'plan-1_x',
      namespace: 'default',
      members: { labelSelector: undefined },
    },
    lock: {} as never,
    leader: undefined,
    membersChanged: nothing,
    leadersChanged: nothing,
    membersUnknown: nothing,
    containerEnded: nothing,
  };
  members.of(requester, { memberOrigin, SharedMembers }).start();
  const tell = (...names: string[]) =>
    observer!.members(names.map((name) => competingMember(name, new Date(0), false)));
  tell('plan-1', 'plan-2');
  tell('plan-1', 'plan-3');
  observer!.unknown(new MembersUnknownError('list pods of namespace default: connection refused'));
}

function saySchedule(): void {
  const log = new ScheduleLogger(SOURCE);
  const ended = { retryAt: null, endedAt: 0, durationMs: 0, succeeded: true, failure: null };
  const failed = { ...ended, succeeded: false, failure: 'no paper' };
  log.onStarted(RUN);
  log.onEnded(RUN, ended);
  log.onEnded(RUN, failed);
  log.onRerun({ ...RUN, attempt: 2 });
  log.onDropped('close-day', RETRY, 'too-late', TERM);
  const missed = { job: 'close-day', times: [AT], count: 1, isCapped: false } as const;
  log.onMissed({ ...missed, reason: 'not-started' }, TERM);
  log.onMissed({ ...missed, reason: 'interrupted' }, TERM);
  log.onSkipped(RUN, 'taken');
  log.onUnresolved(RUN);
  log.onCancelled(RUN, CANCELLATION);
  log.onEnded(RUN, {
    ...failed,
    failure: 'cancelled by pod-b: no paper',
    cancellation: CANCELLATION,
  });
  log.onOverdue(RUN, 'cancelled');
  log.onUnrecorded(RUN);
  log.onReturned(RUN, { isReturned: true, cause: 'leadership ended' });
  log.onReturned(RUN, { isReturned: false, cause: 'leadership ended' });
  const switched = { at: AT, by: 'pod-b', reason: 'month end' };
  log.onSwitched('close-day', { ...switched, isSuspended: true });
  log.onSwitched('close-day', { ...switched, isSuspended: false });
  log.onCallbackFailed('close-day', 'no mail server');
  log.onAhead('close-day', AT);
  log.onForgotten('close-day');
  log.onError(
    new LockRequestError('get leases default/plans-schedule: connection refused', {
      reason: 'unreachable',
    }),
  );
}

function sayOnce(): void {
  const role = new OnceRoleLogger(SOURCE, new ManualClock());
  const log = new OnceLogger(SOURCE, 'migrate');
  role.competes('migrate', 'Lease default/plans-once-migrate');
  log.onStarted(RECORD);
  log.onEnded(RECORD, { state: 'succeeded', reason: null, durationMs: 0 } as never);
  log.onEnded(RECORD, { state: 'failed', reason: 'no disk', durationMs: 0 } as never);
  log.onEnded(RECORD, {
    state: 'interrupted',
    reason: 'the term ended: superseded',
    durationMs: 0,
  } as never);
  log.onUnrecorded(RECORD);
  log.onReturned(RECORD);
  log.onSuperseded(RECORD, '2.0.0');
  log.notReady(new Error('work "migrate" has failed'));
  role.startFails(['migrate']);
  role.failed(new Error('get leases default/plans-once: connection refused'));
}
