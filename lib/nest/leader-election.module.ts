import { Module, type DynamicModule } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { LeaderElectionOptionsError } from '../core/errors.js';
import { ROLE_REGISTRATION } from './leader-election.constants.js';
import { rawAsyncOptions, RawOptionsModule } from './leader-election.module-definition.js';
import {
  optionsOf,
  type LeaderElectionModuleAsyncOptions,
  type LeaderElectionModuleOptions,
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
  constructor(modules: ModulesContainer) {
    if ([...modules.values()].some(({ providers }) => providers.has(ROLE_REGISTRATION))) return;
    throw new LeaderElectionOptionsError([
      {
        field: 'role',
        value: undefined,
        rule: 'is required, and LeaderElectionModule was imported without any',
        fix: "import LeaderElectionModule.forRoot({ role: 'plan-scheduler' })",
      },
    ]);
  }

  static forRoot(options: LeaderElectionModuleOptions): DynamicModule {
    const given: unknown = options ?? {};
    const copy = typeof given === 'object' && !Array.isArray(given) ? optionsOf(given!) : given;
    const { role, isGlobal } = copy as Partial<LeaderElectionModuleOptions>;
    const raw = {
      ...RawOptionsModule.forRoot(copy as LeaderElectionModuleOptions),
      module: LeaderElectionModule,
    };
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
