import { describe, expect, it } from '@jest/globals';
import type { Hello, Part, RoleView } from '../../../lib/dashboard/dashboard-view.js';
import { DashboardState } from '../../../lib/dashboard/page/dashboard-state.js';
import { job } from './support/job.js';

const LEADER = { identity: 'pod-1', isThisReplica: true, term: 1, since: 0, address: null };

function role(changes: Partial<RoleView> = {}): Part {
  const value: RoleView = {
    role: 'plans',
    lock: 'Lease default/plans',
    identity: 'pod-1',
    at: 0,
    leader: LEADER,
    leaderlessSince: null,
    validity: null,
    timing: { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 },
    health: { status: 'up', reason: null },
    isEligible: true,
    members: null,
    lease: { words: [], raw: null, failure: null, readAt: null },
    ...changes,
  };
  return { key: `role/${value.role}`, value };
}

function connected({ now = 0, ahead = 0 } = {}) {
  const clock = { now };
  let flushes = 0;
  const state = new DashboardState(
    () => (flushes += 1),
    () => clock.now,
  );
  const hello: Hello = {
    protocol: 1,
    application: 'plan-service',
    replica: 'pod-1',
    version: '0.1.0',
    now: now + ahead,
    hasActions: false,
  };
  const greet = () => state.take('hello', JSON.stringify(hello));
  const say = (part: Part) => state.take('part', JSON.stringify(part));
  greet();
  return { state, clock, greet, say, flushes: () => flushes };
}

describe('when a part changes', () => {
  it('is heard once by who asked for it, and by no one else', () => {
    const { state, say } = connected();
    const heard: string[] = [];
    state.hear('role/plans', () => heard.push('plans'));
    state.hear('role/mail', () => heard.push('mail'));
    state.flush();
    say(role({ isEligible: false }));
    say(role());
    state.flush();
    expect(heard).toEqual(['plans']);
  });

  it('asks for one frame however much changes', () => {
    const { state, say, flushes } = connected();
    state.flush();
    const before = flushes();
    for (let index = 0; index < 100; index += 1) {
      say({ key: `job/plans/job-${index}`, value: job({ job: `job-${index}` }) });
    }
    expect(flushes()).toBe(before + 1);
  });

  it('is heard as a job of its role, whose name may have any characters', () => {
    const { state, say } = connected();
    let heard = 0;
    state.hear('jobs/plans/of a role', () => (heard += 1));
    say({
      key: 'job/plans%2Fof%20a%20role/a%2Fb',
      value: job({ role: 'plans/of a role', job: 'a/b' }),
    });
    state.flush();
    expect(heard).toBe(1);
    expect(state.job('plans/of a role', 'a/b')).toBeDefined();
    expect(state.jobs('plans/of a role')).toHaveLength(1);
    expect(state.jobs('plans')).toHaveLength(0);
  });

  it('is not heard by who has gone', () => {
    const { state, say } = connected();
    let heard = 0;
    const end = state.hear('roles', () => (heard += 1));
    end();
    say(role());
    state.flush();
    expect(heard).toBe(0);
  });
});

describe('when the stream begins again', () => {
  it('keeps what it shows until all was said, and drops what was not said again', () => {
    const { state, say, greet } = connected();
    say(role());
    say(role({ role: 'mail' }));
    state.take('ready', '{}');
    greet();
    say(role());
    expect(state.roles().map((each) => each.role)).toEqual(['mail', 'plans']);
    state.take('ready', '{}');
    expect(state.roles().map((each) => each.role)).toEqual(['plans']);
  });

  it('says a change of leader that came meanwhile', () => {
    const { state, say, greet } = connected();
    say(role());
    state.lose('The server cannot be reached.');
    greet();
    say(role({ leader: { ...LEADER, identity: 'pod-2' } }));
    expect(state.announcement).toBe('plans: pod-2 is leader.');
  });
});

describe('when leadership is lost', () => {
  it('says so once, and nothing while the leader stays', () => {
    const { state, say } = connected();
    say(role());
    say(role({ at: 5 }));
    expect(state.announcement).toBe('');
    say(role({ leader: null }));
    expect(state.announcement).toBe('plans: no replica is leader.');
  });
});

describe('when clocks differ', () => {
  it('shows time by the clock of the server', () => {
    const { state, clock } = connected({ now: 1_000, ahead: -400 });
    clock.now = 3_000;
    expect(state.now()).toBe(2_600);
  });

  it('corrects a greeting that was long on its way by a part that was faster', () => {
    const { state, say, clock } = connected({ now: 1_000, ahead: -400 });
    clock.now = 2_000;
    say(role({ at: 1_950 }));
    expect(state.now()).toBe(1_950);
    say(role({ at: 100 }));
    expect(state.now()).toBe(1_950);
  });
});

describe('when the stream is lost', () => {
  it('lets time stand still, as nothing is known of it', () => {
    const { state, clock } = connected({ now: 1_000 });
    state.lose('The server cannot be reached.');
    clock.now = 9_000;
    state.lose('The server cannot be reached.');
    expect(state.now()).toBe(1_000);
    expect(state.connection).toMatchObject({ kind: 'lost', since: 1_000 });
  });
});

describe('when two processes have one name', () => {
  it('knows, so that both can be told apart', () => {
    const { state, say } = connected();
    const [one, other] = ['host_00000001-0', 'host_00000002-0'];
    say(role({ identity: one, leader: null }));
    expect(state.hasTwin(one)).toBe(false);
    say(role({ identity: one, leader: { ...LEADER, identity: other } }));
    expect([state.hasTwin(one), state.hasTwin(other), state.hasTwin('host')]).toEqual([
      true,
      true,
      true,
    ]);
  });
});
