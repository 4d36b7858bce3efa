import { Module, type DynamicModule } from '@nestjs/common';
import { rawAsyncOptions, RawOptionsModule } from './leader-election.module-definition.js';
import type {
  LeaderElectionModuleAsyncOptions,
  LeaderElectionModuleOptions,
} from './leader-election.options.js';
import { registerRole } from './leader-election.providers.js';

/**
 * Registers one role: one lease that the replicas of the application compete for. Import it once per role.
 *
 * Options are checked when the application starts; a bad one stops the start with a `LeaderElectionOptionsError` that
 * lists every fault. An API server that cannot be reached does not stop it.
 */
@Module({})
export class LeaderElectionModule {
  static forRoot(options: LeaderElectionModuleOptions): DynamicModule {
    const given: Partial<LeaderElectionModuleOptions> = options ?? {};
    const { role, isGlobal } = given;
    const raw = { ...RawOptionsModule.forRoot({ ...given }), module: LeaderElectionModule };
    return registerRole(raw, { role, isGlobal, isAsync: false });
  }

  /** As `forRoot`, with options from a factory, a class or a provider. `role` is outside of them, as tokens are made from it. */
  static forRootAsync(options: LeaderElectionModuleAsyncOptions): DynamicModule {
    const given: Partial<LeaderElectionModuleAsyncOptions> = options ?? {};
    const { role, isGlobal } = given;
    const raw = { ...rawAsyncOptions(given), module: LeaderElectionModule };
    return registerRole(raw, { role, isGlobal, isAsync: true });
  }
}
