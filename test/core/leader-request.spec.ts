import { describe, expect, it } from '@jest/globals';
import type { LeaderRequest, LeaseRecord } from '../../lib/core/lease-record.js';
import { heldBy, MachineRun, representation } from '../support/machine-run.js';

function asked(change: Partial<LeaderRequest> = {}): LeaderRequest {
  return { id: 'r1', asks: 'step-down', transitions: 1, holderIdentity: 'me', ...change };
}

/** A leader of term 1 that hears of this request by its watch. */
function leaderAsked(request: LeaderRequest, revision = 11): MachineRun {
  const run = MachineRun.leading();
  return hears(run, request, revision);
}

function hears(run: MachineRun, request: LeaderRequest, revision: number): MachineRun {
  const { record } = run.state.observation!.lease!;
  return run.watch(representation({ ...record, request }, revision));
}

describe('when a person asks a leader to step down', () => {
  it('gives the term up at once, and writes the answer with its next renewal', () => {
    const run = leaderAsked(asked());
    expect(run.isLeader()).toBe(false);
    expect(run.of('revoke')).toMatchObject([{ term: 1, reason: 'stepped-down' }]);
    expect(run.of('request-answered')).toMatchObject([{ request: { id: 'r1' }, refused: '' }]);
    expect(run.written).toMatchObject({
      holderIdentity: 'me',
      answer: { id: 'r1', transitions: 1, by: 'me', refused: '' },
    });
    expect(run.written.request).toBeUndefined();
  });

  it('releases the lease with the answer, and does not compete for twice the retry period', () => {
    const run = leaderAsked(asked()).applied(12).say({ kind: 'drained', term: 1 });
    expect(run.written).toMatchObject({ holderIdentity: '', answer: { id: 'r1' } });
    run.applied(13);
    expect(run.state.contendNotBefore).toBe(4_000);
  });

  it.each<[string, Partial<LeaderRequest>]>([
    ['another term', { transitions: 2 }],
    ['another holder', { holderIdentity: 'other' }],
  ])('takes a request to %s for void, and its next write removes it', (_, change) => {
    const run = leaderAsked(asked(change)).at(2_000).tick();
    expect(run.isLeader()).toBe(true);
    expect(run.of('request-answered')).toEqual([]);
    expect(run.written.request).toBeUndefined();
    expect(run.written.answer).toBeUndefined();
  });

  it('grants no term that it was asked to give up before it knew that it had it', () => {
    const run = new MachineRun().start().reads(null);
    const { written } = run;
    run.watch(representation({ ...written, request: asked() }, 11));
    run.applied(10);
    expect(run.of('grant')).toEqual([]);
    expect(run.of('request-answered')).toMatchObject([{ request: { id: 'r1' }, refused: '' }]);
    expect(run.written).toMatchObject({ holderIdentity: '', answer: { id: 'r1' } });
  });

  it('grants a term before it looks up who is to follow in it', () => {
    const run = new MachineRun().start().reads(null);
    const request = asked({ successor: 'pod-b' });
    run.watch(representation({ ...run.written, request }, 11)).applied(10);
    expect(run.of('grant')).toHaveLength(1);
    expect(run.of('choose-successor')).toEqual([]);
    run.at(2_000).tick();
    expect(run.of('choose-successor')).toHaveLength(1);
  });

  it('hears it once, however often it is shown', () => {
    const run = leaderAsked(asked());
    hears(run, asked(), 12);
    expect(run.of('request-answered')).toHaveLength(1);
  });

  it('hears it once, though a late read shows it after another one', () => {
    const run = leaderAsked(asked());
    hears(run, asked({ id: 'r2' }), 12);
    const { record } = run.state.observation!.lease!;
    run.reads(representation({ ...record, request: asked() }, 11));
    expect(run.of('request-answered').map(({ request }) => request.id)).toEqual(['r1', 'r2']);
  });

  it('hears it again under the same id in a later term', () => {
    const run = leaderAsked(asked()).applied(12).say({ kind: 'drained', term: 1 }).applied(13);
    run.at(4_000).tick().reads(run.state.observation!.lease).applied(14);
    expect(run.in('leading').term).toBe(2);
    expect(run.isLeader()).toBe(true);
    hears(run, asked({ transitions: 2 }), 15);
    expect(run.isLeader()).toBe(false);
    const heard = run.of('request-answered').map(({ request }) => request);
    expect(heard.map(({ id, transitions }) => [id, transitions])).toEqual([
      ['r1', 1],
      ['r1', 2],
    ]);
  });

  it('answers one that comes while it hands over already', () => {
    const run = MachineRun.leading().withdraw('stepped-down');
    hears(run, asked(), 11);
    expect(run.of('revoke')).toHaveLength(1);
    expect(run.of('request-answered')).toMatchObject([{ refused: '' }]);
  });

  it('answers one that comes after its work has taken too long, with the release that follows', () => {
    const run = MachineRun.leading({ drainTimeoutMs: 500 }).withdraw('stepped-down', 60_000);
    run.at(500).tick();
    expect(run.state.tenure).toBeNull();
    hears(run, asked(), 11);
    run.say({ kind: 'drained', term: 1 }).wake();
    expect(run.written).toMatchObject({ holderIdentity: '', answer: { id: 'r1', refused: '' } });
  });

  it('changes no timing, so a standby counts from what it has seen before', () => {
    const run = MachineRun.standingBy();
    const { since } = run.state.observation!;
    const request = asked({ transitions: 4, holderIdentity: 'other' });
    run.at(9_000).watch(representation(heldBy('other', { request }), 11));
    expect(run.state.observation!.since).toBe(since);
    expect(run.of('request-answered')).toEqual([]);
  });
});

describe('when the request names who is to follow', () => {
  const request = asked({ successor: 'pod-b' });

  it('looks the member up before it does anything', () => {
    const run = leaderAsked(request);
    expect(run.isLeader()).toBe(true);
    expect(run.of('choose-successor')).toMatchObject([{ request: { successor: 'pod-b' } }]);
  });

  it('names it in the release', () => {
    const run = leaderAsked(request);
    run.say({ kind: 'successor-looked-up', request, choice: { uid: 'uid-b' } });
    expect(run.isLeader()).toBe(false);
    run.applied(12).say({ kind: 'drained', term: 1 });
    expect(run.written.successor).toEqual({ transitions: 1, uid: 'uid-b' });
  });

  it('refuses at once, and still leads, if no such member can follow', () => {
    const run = leaderAsked(request);
    run.say({ kind: 'successor-looked-up', request, choice: { refused: 'no such member' } });
    expect(run.isLeader()).toBe(true);
    expect(run.written.answer).toMatchObject({ id: 'r1', refused: 'no such member' });
  });

  it('does nothing if the term has ended in the meantime', () => {
    const run = leaderAsked(request).at(10_000).tick();
    run.say({ kind: 'successor-looked-up', request, choice: { uid: 'uid-b' } });
    expect(run.of('request-answered')).toEqual([]);
    expect(run.of('revoke')).toMatchObject([{ reason: 'renew-deadline' }]);
  });
});

describe('when the request is to read the schedule', () => {
  it('tells so, still leads, and answers', () => {
    const run = leaderAsked(asked({ asks: 'read-schedule' }));
    expect(run.of('schedule-changed')).toHaveLength(1);
    expect(run.isLeader()).toBe(true);
    expect(run.written.answer).toMatchObject({ id: 'r1', refused: '' });
  });
});

describe('when a record has an answer', () => {
  const answer = { id: 'r1', transitions: 4, by: 'other', atMicros: 1, refused: '' };
  const released: Partial<LeaseRecord> = { holderIdentity: '', releasedTransitions: 4, answer };

  it('is kept by the next holder', () => {
    const run = MachineRun.standingBy().watch(representation(heldBy('', released), 11));
    expect(run.written).toMatchObject({ leaseTransitions: 5, answer });
  });

  it('is removed by the holder after that', () => {
    const stale = { ...released, answer: { ...answer, transitions: 3 } };
    const run = MachineRun.standingBy().watch(representation(heldBy('', stale), 11));
    expect(run.written.leaseTransitions).toBe(5);
    expect(run.written.answer).toBeUndefined();
  });
});
