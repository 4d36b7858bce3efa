import { type DynamicModule, Module } from '@nestjs/common';
import { LeaderElectionOptionsError } from '../core/errors.js';
import type { Clock } from '../core/clock.js';
import { ELECTION_CLOCK } from '../nest/leader-election.tokens.js';
import { RoleRegistry } from '../nest/role-registry.js';
import { Dashboard } from './dashboard.js';
import { DASHBOARD, dashboardController } from './dashboard.controller.js';
import {
  checkedDashboardOptions,
  type DashboardOptions,
  type LeaderDashboardOptions,
} from './dashboard.options.js';

const OPTIONS = Symbol.for('LEADER_ELECTION: options of the dashboard');
const LIFECYCLE = Symbol.for('LEADER_ELECTION: life of the dashboard');

/**
 * A page in your application that shows who leads each role, since when and for how long, the members, the terms, the
 * jobs with their runs, and what has happened lately. It changes nothing unless `actions` are asked for. Whoever reaches the page sees all of it: give it
 * guards, or a port of its own.
 */
@Module({})
export class LeaderDashboardModule {
  /**
   * Serves the page of all roles of the application, on Express and on Fastify.
   *
   * @throws LeaderElectionOptionsError with every fault of the options
   * @example
   * LeaderDashboardModule.forRoot({ path: '/leader', guards: [AdminGuard], imports: [AuthModule] })
   */
  static forRoot(options: LeaderDashboardOptions = {}): DynamicModule {
    const checked = checkedDashboardOptions(options);
    return {
      module: LeaderDashboardModule,
      imports: [...checked.imports],
      controllers: [dashboardController(checked)],
      providers: [
        // By its path Nest tells two dashboards of one application apart, whichever way it identifies modules.
        { provide: OPTIONS, useValue: { path: checked.path, actions: checked.actions } },
        {
          provide: DASHBOARD,
          useFactory: dashboardOf,
          inject: [
            OPTIONS,
            { token: RoleRegistry, optional: true },
            { token: ELECTION_CLOCK, optional: true },
          ],
        },
        { provide: LIFECYCLE, useFactory: lifeOf, inject: [DASHBOARD] },
      ],
    };
  }
}

function dashboardOf(
  { actions }: Pick<DashboardOptions, 'actions'>,
  registry: RoleRegistry | undefined,
  clock: Clock,
): Dashboard {
  if (registry !== undefined) return new Dashboard(clock, () => registry.elections, actions);
  const rule = 'needs an election, and the application has none';
  const fix = "import LeaderElectionModule.forRoot({ role: 'plan-scheduler' })";
  throw new LeaderElectionOptionsError([
    { field: 'LeaderDashboardModule', value: undefined, rule, fix },
  ]);
}

/**
 * The streams end before the HTTP server is closed, which would wait for them, and after the work of the last term: until
 * then the page shows what happens.
 */
function lifeOf(dashboard: Dashboard) {
  return {
    onModuleInit: () => dashboard.begin(),
    onModuleDestroy: () => dashboard.close(),
  };
}
