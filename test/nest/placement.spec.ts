import type { LeadershipService, PlacementFunction } from '../../lib/index.js';
import { Elections, ROLE } from './support/elections.js';
import { RecordedLog } from './support/recorded-log.js';

type Options = NonNullable<Parameters<Elections['module']>[0]>;

describe('placement', () => {
  let elections: Elections;
  let log: RecordedLog;
  beforeEach(() => {
    elections = new Elections();
    log = new RecordedLog();
  });
  afterEach(() => elections.end());

  async function started(identity: string, options: Options = {}, roles = [ROLE]) {
    const app = await elections.create({
      imports: roles.map((role) => elections.module({ identity, members: true, ...options, role })),
    });
    app.useLogger(log);
    await app.init();
    await elections.clock.advance(1_000);
    return app;
  }

  const leaders = (services: readonly LeadershipService[]): string[] =>
    services.filter((service) => service.isLeader()).map(({ identity }) => identity);

  describe('when the leader of three replicas closes', () => {
    it.each<[string, Options, string]>([
      ['the youngest', {}, 'third'],
      ['whom the function names, be it the second', { placement: () => 'second' }, 'second'],
      ['whom the function names, be it the third', { placement: () => 'third' }, 'third'],
    ])('%s leads next', async (_who, options, next) => {
      const first = await started('first', options);
      const others = [await started('second', options), await started('third', options)];
      expect(first.leadership().isLeader()).toBe(true);
      await first.close();
      await elections.clock.settle();
      expect(leaders(others.map((app) => app.leadership()))).toEqual([next]);
    });
  });

  describe('when a replica is younger than the leader', () => {
    it('leads no sooner for that', async () => {
      const first = await started('first');
      await started('second');
      await elections.clock.advance(120_000);
      expect(first.leadership().term?.number).toBe(1);
    });
  });

  describe('when the placement function is wrong', () => {
    it.each<[string, PlacementFunction, RegExp]>([
      [
        'throws',
        () => {
          throw new Error('no idea');
        },
        /threw: no idea; releases name no successor/,
      ],
      ['names a stranger', () => 'stranger', /returned something else/],
      ['returns a promise', (async () => 'second') as never, /returned something else/],
      [
        'returns one that rejects',
        (async () => {
          throw new Error('late');
        }) as never,
        /returned something else/,
      ],
    ])(
      '%s: nobody is named, and another replica leads all the same',
      async (_what, placement, said) => {
        const first = await started('first', { placement });
        const second = await started('second', { placement });
        await first.close();
        await elections.clock.advance(1_000);
        expect(second.leadership().isLeader()).toBe(true);
        const warnings = log.entries.filter(({ msg }) => said.test(msg));
        expect(warnings.filter(({ identity }) => identity === 'first')).toHaveLength(1);
      },
    );

    it('is called no more once it was slow three times in a row', async () => {
      let calls = 0;
      let sleptMs = 0;
      const now = elections.clock.now.bind(elections.clock);
      elections.clock.now = () => now() + sleptMs;
      const slow: PlacementFunction = () => {
        calls++;
        sleptMs += 150;
        return 'second';
      };
      for (const identity of ['first', 'second', 'third', 'fourth', 'fifth', 'sixth']) {
        await started(identity, { placement: slow });
      }
      expect(calls).toBe(3);
    });
  });

  describe('when a rollout changes the placement, so that replicas place roles in two ways for a while', () => {
    const roles = ['one', 'two', 'three', 'four'];

    it.each<[string, Options, Options]>([
      ['newest to spread', { placement: 'newest' }, { placement: 'spread' }],
      ['spread to newest', { placement: 'spread' }, { placement: 'newest' }],
      ['spread to a function', { placement: 'spread' }, { placement: () => 'old-1' }],
      ['a function to another one', { placement: () => 'old-1' }, { placement: () => 'new-1' }],
    ])(
      '%s: each role has one leader, moves at most once per replica, and then stays',
      async (_change, before, after) => {
        const apps = [
          await started('old-1', before, roles),
          await started('old-2', before, roles),
          await started('new-1', after, roles),
          await started('new-2', after, roles),
        ];
        const services = (role: string) => apps.map((app) => app.leadership(role));
        let grants = 0;
        for (const role of roles) {
          for (const { granted$ } of services(role)) granted$.subscribe(() => (grants += 1));
        }
        const leadersOfEach = () => roles.map((role) => leaders(services(role)).length);
        for (let tenth = 0; tenth < 1_200; tenth += 1) {
          await elections.clock.advance(100);
          expect(Math.max(...leadersOfEach())).toBeLessThanOrEqual(1);
        }
        expect(grants).toBeLessThanOrEqual(roles.length * apps.length);
        const settled = grants;
        await elections.clock.advance(300_000);
        expect(grants).toBe(settled);
        expect(leadersOfEach()).toEqual(roles.map(() => 1));
      },
      60_000,
    );
  });

  describe('when roles are spread', () => {
    const roles = ['one', 'two', 'three'];

    it('moves each role once, so that every replica leads its share, and then none', async () => {
      const apps = [await started('a', { placement: 'spread' }, roles)];
      const granted: string[] = [];
      const follow = (app: (typeof apps)[number]): void => {
        for (const role of roles) {
          app
            .leadership(role)
            .granted$.subscribe(({ role: of, holderIdentity }) =>
              granted.push(`${of} ${holderIdentity}`),
            );
        }
      };
      for (const identity of ['b', 'c']) {
        const app = await started(identity, { placement: 'spread' }, roles);
        follow(app);
        apps.push(app);
      }
      follow(apps[0]!);
      await elections.clock.advance(30_000);
      const led = apps.map((app) => roles.filter((role) => app.leadership(role).isLeader()).length);
      expect(led).toEqual([1, 1, 1]);
      expect(granted).toHaveLength(2);
      await elections.clock.advance(300_000);
      expect(granted).toHaveLength(2);
    });
  });

  describe('when the leader is unfit and another member is fit', () => {
    it('hands over to it, with the reason ineligible', async () => {
      const first = (await started('first')).leadership();
      const second = (await started('second')).leadership();
      const reasons: string[] = [];
      first.revoked$.subscribe(({ reason }) => reasons.push(reason));
      first.setEligible(false, 'database unreachable');
      await elections.clock.advance(5_100);
      expect(reasons).toEqual(['ineligible']);
      expect(second.isLeader()).toBe(true);
      expect(log.texts('warn').join('\n')).toMatch(
        /lost leadership \(term 1, ineligible\): this replica was ineligible for 5000 ms \(ineligibleGraceMs\), and another is fit to lead: database unreachable/,
      );
    });
  });

  describe('when the database is gone for all for an hour', () => {
    it('moves leadership once, and has a leader for 99 % of the time', async () => {
      const services = [
        (await started('first')).leadership(),
        (await started('second')).leadership(),
      ];
      let handovers = 0;
      for (const service of services) {
        service.revoked$.subscribe(() => handovers++);
        service.setEligible(false, 'database unreachable');
      }
      let led = 0;
      for (let second = 0; second < 3_600; second += 5) {
        await elections.clock.advance(5_000);
        led += leaders(services).length;
      }
      expect(handovers).toBe(1);
      expect(led / 720).toBeGreaterThan(0.99);
      expect(led).toBeLessThanOrEqual(720);
    }, 60_000);
  });

  describe('when a replica has handed over as it was unfit', () => {
    it('is no target for ten cool-downs, and is one again after that', async () => {
      const options = { placementCooldownMs: 1_000 };
      const first = (await started('first', options)).leadership();
      const second = (await started('second', options)).leadership();
      first.setEligible(false, 'database unreachable');
      await elections.clock.advance(5_000);
      expect(second.isLeader()).toBe(true);
      first.setEligible(true);
      second.setEligible(false, 'database unreachable');
      await elections.clock.advance(9_900);
      expect(second.isLeader()).toBe(true);
      await elections.clock.advance(200);
      expect(first.isLeader()).toBe(true);
    });

    it('is not named by the next release, though it is the youngest', async () => {
      const apps = [await started('a'), await started('b'), await started('c'), await started('d')];
      const [, b, c, d] = apps.map((app) => app.leadership());
      await apps[0]!.close();
      await elections.clock.settle();
      expect(d!.isLeader()).toBe(true);
      d!.setEligible(false, 'database unreachable');
      await elections.clock.advance(5_000);
      expect(c!.isLeader()).toBe(true);
      d!.setEligible(true);
      await elections.clock.advance(10_000);
      await apps[2]!.close();
      await elections.clock.settle();
      expect(b!.isLeader()).toBe(true);
    });
  });

  describe('when the readiness of two replicas flaps in turns, more slowly than the grace, for an hour', () => {
    it('moves leadership a few times, and not with each flap', async () => {
      const services = [
        (await started('first')).leadership(),
        (await started('second')).leadership(),
      ];
      let handovers = 0;
      for (const service of services) service.revoked$.subscribe(() => handovers++);
      for (let flap = 0; flap < 240; flap++) {
        services.forEach((service, index) => service.setEligible(flap % 2 === index));
        await elections.clock.advance(15_000);
      }
      expect(handovers).toBeGreaterThan(0);
      expect(handovers).toBeLessThanOrEqual(8);
    }, 60_000);
  });

  describe('when the options do not fit', () => {
    it.each<[string, Options, RegExp]>([
      ['a name that is none', { members: true, placement: 'oldest' as never }, /placement/],
      ['no members', { placement: 'spread' }, /needs the members/],
    ])('stops the start: %s', async (_what, options, said) => {
      await expect(elections.start({ imports: [elections.module(options)] })).rejects.toThrow(said);
    });
  });
});
