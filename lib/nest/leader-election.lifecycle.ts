import {
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { LeadershipHandlersExplorer } from './leadership-handlers.explorer.js';
import { RoleRegistry } from './role-registry.js';
import { TransportRefusals } from './transport-refusals.js';

/**
 * When things happen, for all roles of the application.
 * 1. `onModuleInit`: handlers are found and checked.
 * 2. `onApplicationBootstrap`, after the last hook of the application: the election starts. A start that fails before
 *    has started nothing. Whoever awaits `waitForLeadership()` in a bootstrap hook starts it then.
 * 3. One turn of the event loop later, when `init()` has returned: handlers may run.
 * 4. `onModuleDestroy`, before the first hook of the application: leadership ends, work in flight is waited for, the
 *    lease is still renewed.
 * 5. `onApplicationShutdown`, after the hooks of all modules that are not global: the lease is released.
 *
 * Works the same for HTTP applications that listen or not, application contexts and microservices, on Nest 11 and 12.
 * "Last" and "first" are the business of `ElectionEdge`.
 */
@Injectable()
export class LeaderElectionLifecycle
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
    for (const election of this.registry.elections) election.applicationBootstraps();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.registry.elections.map((election) => election.release()));
  }
}
