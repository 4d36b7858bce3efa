import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Injectable } from '@nestjs/common';
import { LeaderOnly } from '../../lib/index.js';
import { ElectionChannels } from '../../lib/election/election-channels.js';
import { testTerm } from '../../lib/testing/index.js';
import { Elections, ROLE } from './support/elections.js';

const NAMES = ['granted', 'revoked', 'skipped'].map((name) => `nestjs-leader-election:${name}`);

@Injectable()
class Plans {
  runs = 0;

  @LeaderOnly()
  close(): void {
    this.runs += 1;
  }
}

describe('the channels of node:diagnostics_channel', () => {
  let elections: Elections;
  let heard: { readonly name: unknown; readonly message: unknown }[];
  const listen = (message: unknown, name: string | symbol): void =>
    void heard.push({ name, message });
  beforeEach(() => {
    elections = new Elections();
    heard = [];
    for (const name of NAMES) subscribe(name, listen);
  });
  afterEach(async () => {
    for (const name of NAMES) unsubscribe(name, listen);
    await elections.end();
  });
  const messages = (name: string) =>
    heard
      .filter((each) => each.name === `nestjs-leader-election:${name}`)
      .map((each) => each.message);

  describe('when a term begins and ends', () => {
    it('say so, whose it is, and why it ended', async () => {
      const application = await elections.leading([], { application: 'plans' });
      const { identity, term } = application.leadership();
      const message = {
        application: 'plans',
        role: ROLE,
        lock: expect.stringContaining(ROLE) as string,
        holderIdentity: identity,
        term: term!.number,
        fencingToken: String(term!.fencingToken),
      };
      expect(heard).toEqual([{ name: NAMES[0], message }]);
      await elections.supersede('pod-b');
      await elections.clock.advance(2_000);
      expect(messages('revoked')).toEqual([{ ...message, reason: 'superseded' }]);
      expect(heard.map((each) => Object.isFrozen(each.message))).toEqual([true, true]);
    });
  });

  describe('when a gated call is skipped on a follower', () => {
    it('say which, and who leads', async () => {
      await elections.leadingRival('pod-b');
      const application = await elections.leading([Plans]);
      application.get(Plans).close();
      application.leadership().runIfLeader(() => undefined);
      application.leadership().guard(() => undefined)();
      const skipped = {
        role: ROLE,
        holderIdentity: application.leadership().identity,
        leader: 'pod-b',
      };
      expect(messages('skipped')).toMatchObject([
        { ...skipped, method: 'Plans.close' },
        { ...skipped, method: 'runIfLeader()' },
        { ...skipped, method: 'runIfLeader()' },
      ]);
    });

    it('say nothing of a call on the leader', async () => {
      const application = await elections.leading([Plans]);
      application.get(Plans).close();
      application.leadership().runIfLeader(() => undefined);
      expect(application.get(Plans).runs).toBe(1);
      expect(messages('skipped')).toEqual([]);
    });
  });

  describe('when two applications of one process compete', () => {
    it('say whose each term is', async () => {
      const first = await elections.leading();
      const second = await elections.leading();
      first.leadership().stepDown();
      await elections.clock.advance(1_000);
      expect(second.leadership().isLeader()).toBe(true);
      const identities = [first, second].map((each) => each.leadership().identity);
      expect(messages('granted')).toMatchObject(
        identities.map((holderIdentity) => ({ holderIdentity })),
      );
    });
  });

  describe('when nobody listens', () => {
    beforeEach(() => {
      for (const name of NAMES) unsubscribe(name, listen);
    });

    it('build nothing', () => {
      const asked: string[] = [];
      const spied = <T extends object>(value: T): T =>
        new Proxy(value, {
          get: (target, key, receiver) => {
            asked.push(String(key));
            return Reflect.get(target, key, receiver) as unknown;
          },
        });
      const source = spied({ role: ROLE, lock: 'lock', holderIdentity: 'pod-a' });
      const channels = new ElectionChannels(source, () => void asked.push('leader'));
      channels.granted(spied(testTerm()));
      channels.revoked(spied(testTerm()), 'shutdown');
      channels.skipped('Plans.close');
      expect(asked).toEqual([]);
    });
  });
});
