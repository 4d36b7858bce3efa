import { setImmediate } from 'node:timers';
import {
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { ApplicationReadiness } from './application-readiness.js';
import { RoleRegistry } from './role-registry.js';

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
export class ElectionEdge implements OnApplicationBootstrap, OnModuleDestroy {
  private isClosing = false;

  constructor(
    modules: ModulesContainer,
    private readonly registry: RoleRegistry,
    private readonly readiness: ApplicationReadiness,
  ) {
    for (const module of modules.values()) {
      if (module.metatype === LeaderElectionEdgeModule) module.distance = Number.MIN_SAFE_INTEGER;
    }
  }

  onApplicationBootstrap(): void {
    if (this.isClosing) return;
    for (const election of this.registry.elections) election.applicationBootstrapped();
    // When init() has returned. Not the global one, which a test runner's fake timers stop.
    setImmediate(() => this.readiness.reach());
  }

  async onModuleDestroy(): Promise<void> {
    this.isClosing = true;
    await Promise.all(this.registry.elections.map((election) => election.drain()));
  }
}

/** See {@link ElectionEdge}. Not global: Nest would take it for the farthest. */
@Module({ providers: [ElectionEdge] })
export class LeaderElectionEdgeModule {}
