import { readFileSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LockRequestError, MembersUnknownError } from '../../lib/core/errors.js';
import { competingMember, type MemberObserver } from '../../lib/core/member.js';
import { createTerm } from '../../lib/core/term.js';
import { ApplicationMembers } from '../../lib/nest/application-members.js';
import { RoleLogger } from '../../lib/nest/role-logger.js';
import { RolePlacement } from '../../lib/nest/role-placement.js';
import { RecordedLog } from '../nest/support/recorded-log.js';
import { ManualClock } from '../support/manual-clock.js';

const PAGE = readFileSync('docs/lifecycle.md', 'utf8').split('## What the log says')[1]!;
const BLOCKS = [...PAGE.matchAll(/^```text\n([^]*?)\n```$/gm)].map(([, text]) => text!);
const PREFIX = 'Role "plan-scheduler", Lease default/plan-scheduler, as pod-a: ';

/**
 * A replica starts, follows, becomes leader, steps down, loses and finds the API server again, is unfit in each way, and
 * has a placement function that throws.
 */
function logOfOneReplica(): string[] {
  const options = { role: 'plan-scheduler', identity: 'pod-a', application: undefined };
  const lease = 'Lease default/plan-scheduler';
  const clock = new ManualClock();
  const log = new RoleLogger(
    { ...options, renewDeadlineMs: 10_000, ineligibleGraceMs: 5_000 },
    lease,
    clock,
    true,
  );
  const term = createTerm({
    role: 'plan-scheduler',
    number: 3,
    fencingToken: 4711n,
    holderIdentity: 'pod-a',
    grantedAt: new Date(0),
    signal: new AbortController().signal,
  });
  const error = new LockRequestError('connection refused', { reason: 'unreachable' });
  log.started();
  log.tell({ kind: 'leader-changed', leader: 'pod-b', application: undefined });
  log.tell({ kind: 'leader-changed', leader: undefined, application: undefined });
  log.granted(term);
  log.revoked(term, 'stepped-down', '');
  log.tell({ kind: 'released', term: 3 });
  for (let times = 0; times <= 12; times += 1) log.tell({ kind: 'failed', error });
  log.tell({ kind: 'renewed', term: 4 });
  log.eligibilityChanged('database unreachable', false);
  log.ineligibleAcquisition(4, 'database unreachable');
  log.eligibilityChanged('database unreachable', true);
  log.eligibilityChanged(undefined, true);
  placeWrongly((text) => log.placementFailed(text));
  return recorded.texts('log', 'warn');
}

function placeWrongly(warn: (text: string) => void): void {
  const other = competingMember('pod-b', new Date(0), false);
  const nothing = (): void => {};
  const placement = new RolePlacement({
    role: 'plan-scheduler',
    placement: () => {
      throw new Error('no idea');
    },
    placementCooldownMs: 30_000,
    clock: new ManualClock(),
    elector: {
      isLeader: () => true,
      namedInVain: [],
      resting: [],
      wasNamed: false,
      nominate: nothing,
      stepDown: () => false,
    },
    eligibility: { await: nothing, judge: nothing, setMayHandOver: nothing },
    members: () => [{ ...other, isLeader: false, leads: [] }],
    roles: () => ['plan-scheduler'],
    warn,
  });
  placement.granted();
  placement.close();
}

/** Three pods are there, one is replaced, and then the API server is gone. */
function logOfMembers(): string[] {
  let observer: MemberObserver | undefined;
  const source = { start: (its: MemberObserver) => (observer = its), close: async () => {} };
  const members = new ApplicationMembers(new ManualClock(), Math.random, () => ({
    key: [],
    make: () => source,
  }));
  const nothing = (): void => {};
  const shared = members.of({
    options: {
      role: 'plan-scheduler',
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
  });
  shared!.start();
  const tell = (...names: string[]) =>
    observer!.members(names.map((name) => competingMember(name, new Date(0), false)));
  tell('plan-1', 'plan-2', 'plan-3');
  tell('plan-1', 'plan-3', 'plan-4');
  observer!.unknown(new MembersUnknownError('list pods of namespace default: connection refused'));
  return recorded.texts('log', 'warn');
}

let recorded: RecordedLog;

describe('when docs/lifecycle.md shows a line of the log', () => {
  beforeEach(() => {
    recorded = new RecordedLog();
    Logger.overrideLogger(recorded);
  });
  afterEach(() => Logger.overrideLogger(true));

  it('shows it as the library writes it', () => {
    const shown = [...PAGE.matchAll(/^\| `([^`]+)`/gm)].map(([, line]) => PREFIX + line!);
    const written = logOfOneReplica();
    expect(shown).toEqual(written);
    expect(written).toContain(BLOCKS[0]);
  });

  it('shows what it says of members as the library writes it', () => {
    expect(BLOCKS[1]!.split('\n')).toEqual(logOfMembers());
  });
});
