import { Injectable, Module } from '@nestjs/common';
import {
  getLeadershipToken,
  InjectLeadership,
  LeaderElectionModule,
  LeaderElectionOptionsError,
  LeaderOnly,
  LeadershipService,
  memoryLock,
  OnGranted,
  OnRevoked,
  type Term,
} from '../../lib/index.js';
import { Elections } from './support/elections.js';

@Injectable()
class Reports {
  readonly terms: string[] = [];

  constructor(
    @InjectLeadership('plans') readonly plans: LeadershipService,
    @InjectLeadership('reports') readonly reports: LeadershipService,
  ) {}

  @LeaderOnly('plans')
  plan(): string {
    return 'planned';
  }

  @LeaderOnly({ role: 'reports' })
  report(): string {
    return 'reported';
  }

  @LeaderOnly('plans')
  @LeaderOnly('reports')
  both(): string {
    return 'both';
  }

  @OnGranted('plans')
  @OnGranted('reports')
  granted({ role, number }: Term): void {
    this.terms.push(`${role} ${number}`);
  }

  @OnRevoked('plans')
  revoked({ role }: Term): void {
    this.terms.push(`no ${role}`);
  }
}

describe('an application with several roles', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  const modules = (isGlobal = true) => [
    elections.module({ role: 'plans', isGlobal }),
    elections.module({ role: 'reports', isGlobal }),
  ];

  describe('when everything names its role', () => {
    it('keeps the roles apart: services, gates and handlers', async () => {
      await elections.leadingRival('pod-b', 'reports');
      const app = await elections.start({ imports: modules(), providers: [Reports] });
      await elections.clock.settle();
      const reports = app.get(Reports);
      expect([reports.plans.role, reports.plans.isLeader()]).toEqual(['plans', true]);
      expect([reports.reports.role, reports.reports.isLeader()]).toEqual(['reports', false]);
      expect([reports.plan(), reports.report(), reports.both()]).toEqual([
        'planned',
        undefined,
        undefined,
      ]);
      expect(reports.terms).toEqual(['plans 1']);
      await elections.supersede('', 'reports');
      await elections.clock.advance(3_000);
      expect([reports.report(), reports.both()]).toEqual(['reported', 'both']);
      await elections.supersede('pod-b', 'plans');
      expect(reports.both()).toBeUndefined();
      expect(reports.terms).toEqual(['plans 1', 'reports 2', 'no plans']);
    });

    it('works in modules of their own, with isGlobal: false', async () => {
      const [plans, reports] = modules(false) as [never, never];
      @Injectable()
      class Planner {
        constructor(@InjectLeadership('plans') readonly leadership: LeadershipService) {}
      }
      @Module({ imports: [plans], providers: [Planner] })
      class PlansModule {}
      @Module({ imports: [plans, reports], providers: [Reports] })
      class ReportsModule {}
      const app = await elections.start({ imports: [PlansModule, ReportsModule] });
      await elections.clock.settle();
      expect(app.get(Planner).leadership.term).toBe(app.get(Reports).plans.term);
      expect(app.get(Reports).both()).toBe('both');
    });

    it('drains all roles and releases all leases at the end', async () => {
      const app = await elections.start({ imports: modules(), providers: [Reports] });
      await elections.clock.settle();
      await app.close();
      expect([elections.holder('plans'), elections.holder('reports')]).toEqual(['', '']);
      expect(elections.clock.pendingTimers).toBe(0);
    });
  });

  describe('when something names no role', () => {
    @Injectable()
    class ByClass {
      constructor(readonly leadership: LeadershipService) {}
    }
    @Injectable()
    class ByDecorator {
      @InjectLeadership()
      readonly leadership!: LeadershipService;
    }
    @Injectable()
    class Unnamed {
      @LeaderOnly()
      run(): void {}
      @OnGranted()
      start(): void {}
    }

    it('stops the start with all such places and the roles', async () => {
      const app = await elections.create({
        imports: modules(),
        providers: [
          ByClass,
          ByDecorator,
          Unnamed,
          { provide: 'made', useFactory: (l) => ({ l }), inject: [LeadershipService] },
          { provide: 'alias', useExisting: LeadershipService },
        ],
      });
      const error = (await app.init().catch((thrown: unknown) => thrown)) as Error;
      expect(error).toBeInstanceOf(LeaderElectionOptionsError);
      expect((error as LeaderElectionOptionsError).faults.map(({ field }) => field).sort()).toEqual(
        [
          '@LeaderOnly() on Unnamed.run',
          '@OnGranted() on Unnamed.start',
          'LeadershipService at ByDecorator.leadership',
          'LeadershipService at parameter 0 of ByClass',
          'LeadershipService at parameter 0 of alias',
          'LeadershipService at parameter 0 of made',
        ],
      );
      expect(error.message).toContain('"plans", "reports"');
    });

    it('refuses to guess when the service is looked up by class', async () => {
      const app = await elections.start({ imports: modules() });
      const service = app.get(LeadershipService);
      expect(() => service.isLeader()).toThrow(/"plans", "reports"/);
      expect(app.get<LeadershipService>(getLeadershipToken('plans') as never).role).toBe('plans');
    });
  });

  describe('when something names a role that is not registered', () => {
    it('stops the start and says what to do', async () => {
      @Injectable()
      class Wrong {
        @LeaderOnly('nope')
        run(): void {}
      }
      @Injectable()
      class WrongHandler {
        @OnGranted('nope')
        start(): void {}
      }
      class WrongInjection {
        constructor(@InjectLeadership('nope') readonly leadership: LeadershipService) {}
      }
      await expect(elections.create({ imports: modules(), providers: [Wrong] })).rejects.toThrow(
        /@LeaderOnly\("nope"\) needs LeaderElectionModule/,
      );
      await expect(
        elections.create({ imports: modules(), providers: [WrongInjection] }),
      ).rejects.toThrow(/LeaderElectionModule\.forRoot\(\{ role: "nope" \}\)/);
      await expect(
        elections.start({ imports: modules(), providers: [WrongHandler] }),
      ).rejects.toThrow(/@OnGranted\(\) on WrongHandler\.start = "nope".*"plans", "reports"/);
      await expect(
        elections.start({
          imports: modules(),
          providers: [{ provide: 'made', useFactory: () => new Wrong() }],
        }),
      ).rejects.toThrow(/@LeaderOnly\(\) on made\.run = "nope"/);
    });
  });

  describe('when two modules register one role', () => {
    it('stops the start with the role and the fix', async () => {
      await expect(
        elections.create({ imports: [elections.module(), elections.module()] }),
      ).rejects.toThrow(/role = "plan-scheduler".*import it once/);
    });

    it('takes one module imported in two places as one', async () => {
      const once = elections.module();
      @Module({ imports: [once] })
      class Feature {}
      const app = await elections.start({ imports: [Feature, once] });
      await elections.clock.settle();
      expect(app.leadership().isLeader()).toBe(true);
    });
  });

  describe('when two applications live in one process', () => {
    @Injectable()
    class Jobs {
      @LeaderOnly()
      run(): string {
        return 'ran';
      }
    }

    it('keeps their services, gates and handlers apart', async () => {
      const first = await elections.leading([Jobs]);
      const second = await elections.leading([Jobs]);
      const other = await elections.start({
        imports: [LeaderElectionModule.forRoot({ role: 'other', lock: memoryLock() })],
        providers: [Jobs],
      });
      await elections.clock.settle();
      const runs = () => [first, second, other].map((app) => app.get(Jobs).run());
      expect(runs()).toEqual(['ran', undefined, 'ran']);
      expect(first.leadership().identity).not.toBe(second.leadership().identity);
      await first.close();
      await elections.clock.advance(3_000);
      expect(runs()).toEqual([undefined, 'ran', 'ran']);
    });
  });
});
