import { setImmediate } from 'node:timers';
import {
  Global,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import {
  type ContextId,
  ContextIdFactory,
  type DiscoveryService,
  ModulesContainer,
} from '@nestjs/core';
import type { Clock } from '../core/clock.js';
import type { ElectorFactory } from '../elector/leader-elector.js';
import { atHome, SystemClock } from '../elector/system-clock.js';
import { kernelRandom } from '../locks/kernel-entropy.js';
import { ELECTION_ACTIVITIES, type ElectionActivity } from '../election/election-activity.js';
import { applicationLog } from './application-log.js';
import { ApplicationMembers } from './application-members.js';
import { ApplicationReadiness } from '../election/leadership-handlers.dispatcher.js';
import {
  ELECTION_CLOCK,
  ELECTION_RANDOM,
  ELECTOR_FACTORY,
  ROLE_ELECTION_CLASS,
} from './leader-election.tokens.js';
import type { RoleElection } from './role-election.js';
import { GuardedHandlers } from './guarded-handlers.js';
import { LeadershipHandlersExplorer } from './leadership-handlers.explorer.js';
import { INSTANCE_ARRIVALS } from './method-marks.js';
import { PodLabels } from './pod-labels.js';
import { RoleRegistry } from './role-registry.js';
import { ScheduleGates, ScheduleGatesModule } from './schedule-gates.js';
import { TransportRefusals } from './transport-refusals.js';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** Long enough for an application that waits for its database while it is created. */
const UNINITIALISED_AFTER_MS = 60_000;

/**
 * Warns of an application that was created and never initialised, as a hybrid one may be. Nest then runs no hooks, and
 * nothing else would say that no replica ever leads. A start that failed has its own error.
 *
 * Its hook is the first of all, so that it hears of every initialisation before any failure of it.
 */
@Injectable()
export class BeginningWatch implements OnModuleInit, OnApplicationShutdown {
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly modules: ModulesContainer) {
    for (const module of modules.values()) {
      if (module.metatype === BeginningWatchModule) module.distance = Number.POSITIVE_INFINITY;
    }
    this.timer = setTimeout(() => this.warn(), UNINITIALISED_AFTER_MS);
    this.timer.unref();
  }

  begins(): void {
    clearTimeout(this.timer);
  }

  onModuleInit(): void {
    this.begins();
  }

  onApplicationShutdown(): void {
    this.begins();
  }

  private warn(): void {
    if (!this.isMade()) return;
    applicationLog.notInitialised(UNINITIALISED_AFTER_MS);
  }

  /** False while a provider is still being created, or if one could not be. */
  private isMade(): boolean {
    // Any context has the one instance of what is shared.
    const context = ContextIdFactory.create();
    for (const { providers, controllers, injectables } of this.modules.values()) {
      for (const collection of [providers, controllers, injectables]) {
        for (const wrapper of collection.values()) {
          const isMadeOnce = !wrapper.isTransient && wrapper.isDependencyTreeStatic();
          if (!isMadeOnce || wrapper.metatype === null) continue;
          if (!hasBeenMade(wrapper, context)) return false;
        }
      }
    }
    return true;
  }
}

/** Nest 12 forgets what it could not create; Nest 11 forgets it too, and then looks for it until the stack is full. */
function hasBeenMade(wrapper: InstanceWrapper, context: ContextId): boolean {
  try {
    const { isResolved, donePromise } = wrapper.getInstanceByContextId(context);
    return isResolved === true && donePromise !== undefined;
  } catch {
    return false;
  }
}

/** See {@link BeginningWatch}. */
@Module({ providers: [BeginningWatch] })
class BeginningWatchModule {
  constructor(private readonly watch: BeginningWatch) {}

  /** HTTP applications ask for middleware, which may fail, before they run any hook. */
  configure(): void {
    this.watch.begins();
  }
}

/**
 * Begins after the last hook of the application, and ends before the first.
 *
 * Nest sends no event for either. What Nest 11 and 12 keep is the order: hooks run module by module by their distance
 * from the root, the farthest first at the start and the root first at the end, and each module is waited for. So the
 * module of this provider takes a place nearer than the root: its bootstrap hook comes when all others have ended (and
 * never if one of them throws), and its destroy hook is waited for before any other, so that leadership, handlers and
 * work in flight have ended before a connection pool is closed, wherever it is.
 */
@Injectable()
class ElectionEdge implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private isClosing = false;

  constructor(
    modules: ModulesContainer,
    private readonly registry: RoleRegistry,
    private readonly readiness: ApplicationReadiness,
    private readonly scheduleGates: ScheduleGates,
  ) {
    for (const module of modules.values()) {
      if (module.metatype === LeaderElectionEdgeModule) module.distance = Number.MIN_SAFE_INTEGER;
    }
  }

  onModuleInit(): void {
    this.scheduleGates.verify();
  }

  onApplicationBootstrap(): void {
    if (this.isClosing) return;
    this.scheduleGates.announce();
    for (const election of this.registry.elections) election.onBootstrapEnded();
    // After init() has returned. Not the global setImmediate, which a test runner's fake timers stop.
    setImmediate(() => this.readiness.reach());
  }

  async onModuleDestroy(): Promise<void> {
    this.isClosing = true;
    await Promise.all(this.registry.elections.map((election) => election.drain()));
  }
}

/** See {@link ElectionEdge}. Not global: Nest would take it for the farthest. */
@Module({ providers: [ElectionEdge] })
class LeaderElectionEdgeModule {}

/**
 * The order of events, for all roles of the application:
 * 1. `onModuleInit`: timers are gated before @nestjs/schedule reads them; handlers are found and checked.
 * 2. `onApplicationBootstrap`, after the last hook of the application: the election starts. A start that fails before
 *    has started nothing. A bootstrap hook that awaits `waitForLeadership()` starts it earlier.
 * 3. One turn of the event loop later, when `init()` has returned: handlers may run.
 * 4. `onModuleDestroy`, before the first hook of the application: leadership ends, work in flight is waited for, the
 *    lease is still renewed.
 * 5. `onApplicationShutdown`, after the hooks of all modules that are not global: the lease is released.
 *
 * Works the same for HTTP applications that listen or not, application contexts and microservices, on Nest 11 and 12.
 * `ElectionEdge` provides "last" and "first".
 */
@Injectable()
class LeaderElectionLifecycle
  implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown
{
  constructor(
    private readonly registry: RoleRegistry,
    private readonly explorer: LeadershipHandlersExplorer,
    private readonly refusals: TransportRefusals,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.refusals.load();
    this.explorer.explore();
    this.registry.seal();
  }

  onApplicationBootstrap(): void {
    for (const election of this.registry.elections) election.onBootstrapStarted();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.registry.elections.map((election) => election.release()));
  }
}

/** An application that only imports the module, as a script or a test may, needs no election. */
const startParts = () => import('./role-election.js');

/**
 * What all roles of one application share; exists once per application, however many roles there are.
 *
 * It is global even for a role with `isGlobal: false`, because Nest runs the shutdown hooks of global modules last: the
 * leases must outlive the application's own hooks.
 */
@Global()
@Module({
  imports: [BeginningWatchModule, ScheduleGatesModule, LeaderElectionEdgeModule],
  providers: [
    { provide: ELECTION_CLOCK, useFactory: () => atHome(() => new SystemClock()) },
    { provide: ELECTION_RANDOM, useValue: kernelRandom },
    {
      provide: ROLE_ELECTION_CLASS,
      useFactory: async (): Promise<typeof RoleElection> => (await startParts()).RoleElection,
    },
    {
      provide: ELECTOR_FACTORY,
      useFactory: async (): Promise<ElectorFactory> => (await startParts()).makeElector,
    },
    {
      provide: ApplicationMembers,
      useFactory: (clock: Clock, random: () => number) => new ApplicationMembers(clock, random),
      inject: [ELECTION_CLOCK, ELECTION_RANDOM],
    },
    {
      provide: PodLabels,
      useFactory: (clock: Clock) => new PodLabels(clock),
      inject: [ELECTION_CLOCK],
    },
    ApplicationReadiness,
    RoleRegistry,
    { provide: INSTANCE_ARRIVALS, useExisting: RoleRegistry },
    {
      provide: ELECTION_ACTIVITIES,
      useFactory: (registry: RoleRegistry) => (): ElectionActivity[] =>
        registry.elections.map(({ activity }) => activity),
      inject: [RoleRegistry],
    },
    LeadershipHandlersExplorer,
    LeaderElectionLifecycle,
    GuardedHandlers,
    TransportRefusals,
  ],
  exports: [
    ELECTION_CLOCK,
    ELECTION_RANDOM,
    ELECTOR_FACTORY,
    ROLE_ELECTION_CLASS,
    ApplicationMembers,
    PodLabels,
    ApplicationReadiness,
    RoleRegistry,
    INSTANCE_ARRIVALS,
    ELECTION_ACTIVITIES,
    ScheduleGatesModule,
  ],
})
export class LeaderElectionCoreModule {}
