import { jest } from '@jest/globals';
import { config as rxjsConfig, type Observable } from 'rxjs';
import {
  ElectionStoppedError,
  LeaderElectionOptionsError,
  type Leadership,
  LeadershipService,
  NotLeaderError,
  OnRevoked,
  type Revocation,
  type Term,
} from '../../lib/index.js';
import { drainAndRelease } from '../support/stop-election.js';
import { Elections, ROLE } from './support/elections.js';

describe('LeadershipService', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  describe('when this process leads', () => {
    it('tells the term, itself as leader and the time that is certain', async () => {
      const app = await elections.leading([], { identity: 'pod-a' });
      const leadership = app.leadership();
      expect(leadership.role).toBe(ROLE);
      expect(leadership.identity).toBe('pod-a');
      expect(leadership.isLeader()).toBe(true);
      expect(leadership.leader).toBe('pod-a');
      expect(leadership.term).toMatchObject({ role: ROLE, number: 1, holderIdentity: 'pod-a' });
      expect(leadership.term!.fencingToken).toBe(1n);
      expect(leadership.remainingMs()).toBe(10_000);
      expect(leadership.assertLeader()).toBe(leadership.term);
    });

    it('ceases by the clock alone, when no timer gets to fire', async () => {
      const app = await elections.leading();
      const leadership = app.leadership();
      elections.clock.stall(9_999);
      expect(leadership.isLeader()).toBe(true);
      elections.clock.stall(1);
      expect(leadership.isLeader()).toBe(false);
      expect(leadership.term).toBeUndefined();
      expect(leadership.leader).toBeUndefined();
      expect(leadership.remainingMs()).toBe(0);
      expect(() => leadership.assertLeader()).toThrow(NotLeaderError);
    });

    it('is injected by class and found by class and token', async () => {
      class Consumer {
        constructor(readonly leadership: LeadershipService) {}
      }
      const app = await elections.leading([
        { provide: Consumer, useFactory: (l) => new Consumer(l), inject: [LeadershipService] },
      ]);
      expect(app.get(Consumer).leadership.isLeader()).toBe(true);
      expect(app.get(LeadershipService).isLeader()).toBe(true);
      expect(app.leadership(ROLE).isLeader()).toBe(true);
    });

    it('runs guarded work with its arguments and passes results through as they are', async () => {
      const leadership = (await elections.leading()).leadership();
      expect(leadership.runIfLeader((term) => term.number)).toBe(1);
      await expect(leadership.runIfLeader(async () => 'done')).resolves.toBe('done');
      expect(leadership.guard((a: number, b: number) => a + b)(2, 3)).toBe(5);
      expect(() =>
        leadership.runIfLeader(() => {
          throw new RangeError('mine');
        }),
      ).toThrow(RangeError);
    });
  });

  describe('when another process leads', () => {
    it('knows the leader and runs nothing', async () => {
      await elections.leadingRival('pod-b');
      const leadership = (await elections.leading()).leadership();
      const work = jest.fn();
      expect(leadership.isLeader()).toBe(false);
      expect(leadership.leader).toBe('pod-b');
      expect(leadership.runIfLeader(work)).toBeUndefined();
      expect(leadership.guard(work)()).toBeUndefined();
      expect(work).not.toHaveBeenCalled();
      expect(() => leadership.assertLeader()).toThrow(
        expect.objectContaining({ code: 'ERR_NOT_LEADER', role: ROLE, leader: 'pod-b' }),
      );
    });

    it('takes over when that one releases, and tells every step', async () => {
      const rival = await elections.leadingRival('pod-b');
      const app = await elections.leading([], { identity: 'pod-a' });
      const states: Leadership[] = [];
      const leaders: (string | undefined)[] = [];
      app.leadership().leadership$.subscribe((state) => states.push(state));
      app.leadership().leader$.subscribe((leader) => leaders.push(leader));
      void drainAndRelease(rival);
      await elections.clock.advance(3_000);
      const { term } = app.leadership();
      expect(states).toEqual([
        { role: ROLE, isLeader: false, leader: 'pod-b' },
        { role: ROLE, isLeader: false },
        { role: ROLE, isLeader: true, leader: 'pod-a', term },
      ]);
      expect(leaders).toEqual(['pod-b', undefined, 'pod-a']);
    });
  });

  describe('when leadership is lost', () => {
    it('replays the state with its reason to whoever subscribes later', async () => {
      const leadership = (await elections.leading()).leadership();
      const revoked: Revocation[] = [];
      const { term } = leadership;
      leadership.revoked$.subscribe((revocation) => revoked.push(revocation));
      await elections.supersede('pod-b');
      expect(revoked).toEqual([{ term, reason: 'superseded' }]);
      let state: Leadership | undefined;
      leadership.leadership$.subscribe((replayed) => (state = replayed));
      expect(state).toEqual({
        role: ROLE,
        isLeader: false,
        leader: 'pod-b',
        reason: 'superseded',
      });
    });

    it('tells streams of the grant while leading and of the end when it is over', async () => {
      const app = await elections.create({ imports: [elections.module()] });
      const leadership = app.leadership();
      const seen: [string, boolean][] = [];
      leadership.granted$.subscribe(() => seen.push(['granted', leadership.isLeader()]));
      leadership.revoked$.subscribe(() => seen.push(['revoked', leadership.isLeader()]));
      await app.init();
      await elections.clock.settle();
      await elections.supersede('pod-b');
      expect(seen).toEqual([
        ['granted', true],
        ['revoked', false],
      ]);
    });
  });

  describe('when the same process leads again and nobody else has led', () => {
    it('tells the new term in leadership$', async () => {
      const leadership = (await elections.leading()).leadership();
      const told: (number | undefined)[] = [];
      leadership.leadership$.subscribe(({ term }) => told.push(term?.number));
      elections.clock.stall(11_000);
      await elections.clock.advance(10_000);
      expect(leadership.isLeader()).toBe(true);
      expect(told.at(0)).toBe(1);
      expect(told).toContain(undefined);
      expect(told.at(-1)).toBe(leadership.term!.number);
      expect(leadership.term!.number).toBeGreaterThan(1);
    });
  });

  describe('when a subscriber throws', () => {
    it('goes on leading, and tells the other subscribers', async () => {
      const unhandled: unknown[] = [];
      rxjsConfig.onUnhandledError = (error) => unhandled.push(error);
      try {
        const app = await elections.create({ imports: [elections.module()] });
        const leadership = app.leadership();
        const terms: Term[] = [];
        const bad = () => {
          throw new Error('subscriber');
        };
        leadership.granted$.subscribe(bad);
        const follower = leadership.leadership$.subscribe(bad);
        leadership.granted$.subscribe((term) => terms.push(term));
        await app.init();
        await elections.clock.advance(30_000);
        follower.unsubscribe();
        await new Promise((resolve) => setTimeout(resolve, 5));
        expect(leadership.isLeader()).toBe(true);
        expect(terms).toEqual([leadership.term]);
        expect(unhandled.length).toBeGreaterThanOrEqual(2);
      } finally {
        rxjsConfig.onUnhandledError = null;
      }
    });

    it('still waits for @OnRevoked before it releases where rxjs throws at once', async () => {
      const unhandled: unknown[] = [];
      let end!: () => void;
      const ended = new Promise<void>((resolve) => (end = resolve));
      class Slow {
        @OnRevoked()
        stop(): Promise<void> {
          return ended;
        }
      }
      const app = await elections.leading([Slow], { identity: 'pod-a' });
      app.leadership().revoked$.subscribe(() => {
        throw new Error('subscriber');
      });
      rxjsConfig.onUnhandledError = (error) => unhandled.push(error);
      rxjsConfig.useDeprecatedSynchronousErrorHandling = true;
      try {
        app.leadership().stepDown({ cooldownMs: 60_000 });
      } finally {
        rxjsConfig.useDeprecatedSynchronousErrorHandling = false;
      }
      await elections.clock.advance(5_000);
      expect(elections.holder()).toBe('pod-a');
      end();
      await elections.clock.settle();
      expect(elections.holder()).toBe('');
      expect(unhandled).toEqual([new Error('subscriber')]);
      rxjsConfig.onUnhandledError = null;
    });
  });

  describe('when leadership is waited for', () => {
    it('resolves with the term, at once if it has begun', async () => {
      const rival = await elections.leadingRival('pod-b');
      const leadership = (await elections.leading()).leadership();
      const waiting = leadership.waitForLeadership();
      void drainAndRelease(rival);
      await elections.clock.advance(3_000);
      const term = await waiting;
      expect(term).toBe(leadership.term);
      await expect(leadership.waitForLeadership()).resolves.toBe(term);
    });

    it('rejects with the reason of the signal and forgets the wait', async () => {
      await elections.leadingRival('pod-b');
      const leadership = (await elections.leading()).leadership();
      const abort = new AbortController();
      const removed = jest.spyOn(abort.signal, 'removeEventListener');
      const waiting = leadership.waitForLeadership({ signal: abort.signal });
      const reason = new Error('no longer');
      abort.abort(reason);
      await expect(waiting).rejects.toBe(reason);
      await expect(leadership.waitForLeadership({ signal: abort.signal })).rejects.toBe(reason);
      expect(removed).not.toHaveBeenCalled();
    });

    it('leaves no listener on the signal once it leads', async () => {
      const app = await elections.create({ imports: [elections.module()] });
      const { signal } = new AbortController();
      const removed = jest.spyOn(signal, 'removeEventListener');
      const waiting = app.leadership().waitForLeadership({ signal });
      await app.init();
      await elections.clock.settle();
      await waiting;
      expect(removed).toHaveBeenCalledTimes(1);
    });

    it('rejects when the application shuts down, before and after', async () => {
      await elections.leadingRival('pod-b');
      const app = await elections.leading();
      const leadership = app.leadership();
      const [ended] = await Promise.allSettled([leadership.waitForLeadership(), app.close()]);
      expect(ended).toEqual({ status: 'rejected', reason: expect.any(ElectionStoppedError) });
      await expect(leadership.waitForLeadership()).rejects.toMatchObject({
        code: 'ERR_ELECTION_STOPPED',
      });
    });

    it('starts the election for a bootstrap hook that awaits it', async () => {
      const app = await elections.start({
        imports: [elections.module()],
        providers: [
          {
            provide: 'starter',
            useFactory: (leadership: LeadershipService) => ({
              term: undefined as Term | undefined,
              async onApplicationBootstrap() {
                this.term = await leadership.waitForLeadership();
              },
            }),
            inject: [LeadershipService],
          },
        ],
      });
      expect(app.get('starter').term).toMatchObject({ number: 1 });
    });
  });

  describe('when it steps down', () => {
    it('has ended when the call returns, and lets another process win', async () => {
      const app = await elections.leading();
      const leadership = app.leadership();
      const rival = elections.rival('pod-b');
      rival.start();
      await elections.clock.settle();
      const { signal } = leadership.term!;
      expect(leadership.stepDown()).toBe(true);
      expect(leadership.isLeader()).toBe(false);
      expect(signal.aborted).toBe(true);
      expect(leadership.stepDown()).toBe(false);
      await elections.clock.advance(30_000);
      expect(rival.isLeader()).toBe(true);
      expect(leadership.leader).toBe('pod-b');
    });

    it('stands again after the cool-down, by default twice the retry period', async () => {
      const leadership = (await elections.leading()).leadership();
      leadership.stepDown();
      await elections.clock.advance(3_999);
      expect(leadership.isLeader()).toBe(false);
      await elections.clock.advance(1_000);
      expect(leadership.isLeader()).toBe(true);
      leadership.stepDown({ cooldownMs: 60_000 });
      await elections.clock.advance(59_000);
      expect(leadership.isLeader()).toBe(false);
      await elections.clock.advance(2_000);
      expect(leadership.isLeader()).toBe(true);
    });

    it.each([-1, NaN, Infinity, '5'])('refuses a cool-down of %p', async (cooldownMs) => {
      const leadership = (await elections.leading()).leadership();
      expect(() => leadership.stepDown({ cooldownMs: cooldownMs as number })).toThrow(
        LeaderElectionOptionsError,
      );
      expect(leadership.isLeader()).toBe(true);
    });
  });

  describe('when candidacy is suspended', () => {
    it('follows only, until it is resumed', async () => {
      const leadership = (await elections.leading()).leadership();
      leadership.suspend();
      expect(leadership.isLeader()).toBe(false);
      await elections.clock.advance(60_000);
      expect(leadership.isLeader()).toBe(false);
      let state: Leadership | undefined;
      leadership.leadership$.subscribe((current) => (state = current));
      expect(state!.reason).toBe('suspended');
      leadership.resume();
      await elections.clock.advance(3_000);
      expect(leadership.isLeader()).toBe(true);
    });
  });

  describe('when autoStart is false', () => {
    it('stands from start() on, and start() again changes nothing', async () => {
      const leadership = (await elections.leading([], { autoStart: false })).leadership();
      await elections.clock.advance(60_000);
      expect(elections.holder()).toBeUndefined();
      leadership.start();
      leadership.start();
      await elections.clock.settle();
      expect(leadership.term!.number).toBe(1);
    });
  });

  describe('when the application shuts down', () => {
    it('completes all streams, with the final state for those who come later', async () => {
      const app = await elections.leading();
      const leadership = app.leadership();
      const completed: string[] = [];
      for (const name of ['leadership$', 'granted$', 'revoked$', 'leader$', 'errors$'] as const) {
        const stream: Observable<unknown> = leadership[name];
        stream.subscribe({ complete: () => completed.push(name) });
      }
      await app.close();
      expect(completed.sort()).toEqual([
        'errors$',
        'granted$',
        'leader$',
        'leadership$',
        'revoked$',
      ]);
      const late: unknown[] = [];
      leadership.leadership$.subscribe({
        next: (state) => late.push(state.reason),
        complete: () => late.push('complete'),
      });
      expect(late).toEqual(['shutdown', 'complete']);
    });
  });
});
