import { AsyncLocalStorage } from 'node:async_hooks';
import { jest } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { LeaderOnly } from '../../lib/index.js';
import {
  type ActivityListener,
  ELECTION_ACTIVITY,
  type ElectionActivity,
  type ElectionActivityEvent,
} from '../../lib/election/election-activity.js';
import { Elections } from './support/elections.js';

@Injectable()
class Plans {
  runs = 0;

  @LeaderOnly()
  close(): number {
    this.runs += 1;
    return this.runs;
  }

  @LeaderOnly()
  async fail(): Promise<void> {
    await Promise.resolve();
    throw new Error('no plans');
  }

  @LeaderOnly({ onFollower: 'throw' })
  insist(): void {}
}

type Application = Awaited<ReturnType<Elections['create']>>;

describe('the activity of an election', () => {
  let elections: Elections;
  let heard: ElectionActivityEvent[];
  beforeEach(() => {
    elections = new Elections();
    heard = [];
  });
  afterEach(() => elections.end());

  const activityOf = (application: Application): ElectionActivity =>
    application.leadership()[ELECTION_ACTIVITY];

  const kinds = (): string[] =>
    heard.map((event) => {
      if (event.kind === 'request-started') return `ask ${event.purpose}`;
      if (event.kind === 'request-ended') return `${event.purpose} ${event.outcome}`;
      return event.kind === 'gate' ? event.decision : event.kind;
    });

  const watched = async (
    listener: ActivityListener = { hear: (event) => void heard.push(event) },
  ): Promise<Application> => {
    const application = await elections.create({
      imports: [elections.module()],
      providers: [Plans],
    });
    activityOf(application).subscribe(listener);
    await application.init();
    await elections.clock.settle();
    return application;
  };

  describe('when a process becomes leader, renews and steps down', () => {
    it('tells each step in order, and whose it is', async () => {
      const application = await watched();
      expect(kinds()).toEqual(
        expect.arrayContaining(['started', 'ask acquire', 'acquire applied', 'granted']),
      );
      expect(kinds().indexOf('granted')).toBeGreaterThan(kinds().indexOf('acquire applied'));
      expect(activityOf(application).source.holderIdentity).toBe(application.leadership().identity);
      heard.length = 0;
      await elections.clock.advance(2_000);
      expect(kinds()).toEqual(['ask renew', 'renew applied', 'renewed']);
      heard.length = 0;
      application.leadership().stepDown();
      await elections.clock.advance(100);
      expect(kinds().slice(0, 2)).toEqual(['revoked', 'leader-changed']);
      expect(kinds()).toEqual(
        expect.arrayContaining(['drained', 'ask release', 'release applied', 'released']),
      );
      expect(heard.find(({ kind }) => kind === 'revoked')).toMatchObject({
        reason: 'stepped-down',
        heldMs: 2_000,
      });
    });

    it('tells how long the role had no leader', async () => {
      const rival = await elections.leadingRival('pod-b');
      await watched();
      expect(kinds()).not.toContain('granted');
      rival.suspend();
      await elections.clock.advance(5_000);
      const granted = heard.find((event) => event.kind === 'granted');
      expect(granted).toMatchObject({ term: { number: 2 } });
      expect(granted!.waitedMs).toBeGreaterThanOrEqual(granted!.leaderlessMs ?? 0);
    });

    it('tells the end when the application has closed', async () => {
      const application = await watched();
      const closing = application.close();
      await elections.clock.advance(1_000);
      await closing;
      expect(kinds().at(-1)).toBe('stopped');
    });
  });

  describe('when a listener ignores calls', () => {
    it('hears the election, and gates do not ask for it', async () => {
      const hear = (event: ElectionActivityEvent): void => void heard.push(event);
      const application = await watched({ ignoresCalls: true, hear });
      expect(kinds()).toContain('granted');
      heard.length = 0;
      application.get(Plans).close();
      application.leadership().runIfLeader(() => 1);
      expect(heard).toEqual([]);
      expect(activityOf(application).observed).toBeUndefined();
    });

    it('keeps no call from another listener', async () => {
      const application = await watched({ ignoresCalls: true });
      activityOf(application).subscribe({ hear: (event) => void heard.push(event) });
      application.get(Plans).close();
      expect(kinds()).toEqual(['run', 'call-ended']);
    });
  });

  describe('when a gate decides', () => {
    it('tells a call on the leader, and its end', async () => {
      const application = await watched();
      heard.length = 0;
      application.get(Plans).close();
      application.leadership().runIfLeader(() => 1);
      expect(kinds()).toEqual(['run', 'call-ended', 'run', 'call-ended']);
      expect(heard[1]).toMatchObject({ call: { method: 'Plans.close', term: { number: 1 } } });
    });

    it('tells what a call threw, and leaves its rejection to the caller', async () => {
      const application = await watched();
      heard.length = 0;
      await expect(application.get(Plans).fail()).rejects.toThrow('no plans');
      expect(heard.at(-1)).toMatchObject({
        kind: 'call-ended',
        thrown: { error: expect.any(Error) },
      });
    });

    it('tells what a follower skips and rejects', async () => {
      await elections.leadingRival('pod-b');
      const application = await watched();
      heard.length = 0;
      const plans = application.get(Plans);
      plans.close();
      application.leadership().guard(() => 1)();
      expect(() => plans.insist()).toThrow('leader');
      expect(() => application.leadership().assertLeader()).toThrow('leader');
      expect(kinds()).toEqual(['skipped', 'skipped', 'rejected', 'rejected']);
    });
  });

  describe('when a listener is around the calls', () => {
    const storage = new AsyncLocalStorage<string>();

    it('sets the async context of a call, within those of later listeners', async () => {
      const application = await watched({
        around: (call, proceed) => storage.run(call.method, proceed),
      });
      const seen = await application
        .leadership()
        .runIfLeader(async () => Promise.resolve().then(() => storage.getStore()));
      expect(seen).toBe('runIfLeader()');
    });

    it.each<[string, ActivityListener['around']]>([
      ['never calls it', () => {}],
      ['calls it twice', (_, proceed) => [proceed(), proceed()]],
      ['throws before', () => raise()],
      ['throws after', (_, proceed) => [proceed(), raise()]],
    ])('calls the method once where one %s', async (_, around) => {
      const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
      const application = await watched({ around });
      expect(application.get(Plans).close()).toBe(1);
      expect(application.get(Plans).close()).toBe(2);
      expect(warned.mock.calls.length).toBeLessThanOrEqual(1);
      warned.mockRestore();
    });
  });

  describe('when a listener throws', () => {
    it('leads, calls the other listeners, and warns once', async () => {
      const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
      const application = await watched({ hear: () => raise() });
      activityOf(application).subscribe({ hear: (event) => void heard.push(event) });
      await elections.clock.advance(4_000);
      expect(application.leadership().isLeader()).toBe(true);
      expect(kinds()).toContain('renewed');
      expect(warned).toHaveBeenCalledTimes(1);
      expect(warned.mock.calls[0]![0]).toContain('Error: broken');
      warned.mockRestore();
    });
  });

  describe('when the last listener has gone', () => {
    it('builds and tells nothing more', async () => {
      const application = await elections.leading([Plans]);
      const activity = activityOf(application);
      const end = activity.subscribe({ hear: (event) => void heard.push(event) });
      end();
      application.get(Plans).close();
      await elections.clock.advance(2_000);
      expect(heard).toEqual([]);
      expect(activity.observed).toBeUndefined();
    });
  });
});

function raise(): never {
  throw new Error('broken');
}
