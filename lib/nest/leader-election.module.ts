import { ConfigurableModuleBuilder, type DynamicModule, Module } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { LeaderElectionOptionsError, type OptionFault } from '../core/errors.js';
import {
  type LeaderElectionFactoryOptions,
  type LeaderElectionModuleAsyncOptions,
  type LeaderElectionModuleOptions,
  optionsOf,
} from './leader-election.options.js';
import { registerRole } from './leader-election.providers.js';
import { RAW_OPTIONS, ROLE_REGISTRATION } from './leader-election.tokens.js';

/** Provides the raw options under {@link RAW_OPTIONS}, and nothing else: no defaults, no checks. */
const { ConfigurableModuleClass: RawOptionsModule } =
  new ConfigurableModuleBuilder<LeaderElectionFactoryOptions>({
    optionsInjectionToken: RAW_OPTIONS,
  })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createLeaderElectionOptions')
    .build();

const ASYNC_FIELDS = [
  'role',
  'isGlobal',
  'imports',
  'inject',
  'useFactory',
  'useClass',
  'useExisting',
  'provideInjectionTokensFrom',
];

/** Faults in the arguments of `forRootAsync` itself are reported when the application starts, like all others. */
function rawAsyncOptions(options: Partial<LeaderElectionModuleAsyncOptions>): DynamicModule {
  const faults =
    typeof options === 'object' && !Array.isArray(options)
      ? asyncFormFaults(options)
      : [
          {
            field: 'forRootAsync',
            value: options,
            rule: 'must be given an object',
            fix: 'pass { role, useFactory }',
          },
        ];
  if (faults.length === 0) {
    return RawOptionsModule.forRootAsync(
      options as Parameters<typeof RawOptionsModule.forRootAsync>[0],
    );
  }
  const fail = (): never => {
    throw new LeaderElectionOptionsError(faults);
  };
  return { module: RawOptionsModule, providers: [{ provide: RAW_OPTIONS, useFactory: fail }] };
}

function asyncFormFaults(options: Partial<LeaderElectionModuleAsyncOptions>): OptionFault[] {
  const sources = [options.useFactory, options.useClass, options.useExisting];
  const given = sources.filter((source) => source !== undefined).length;
  const faults: OptionFault[] = Object.entries(options)
    .filter(([field]) => !ASYNC_FIELDS.includes(field))
    .map(([field, value]) => ({
      field,
      value,
      rule: 'is not an option of forRootAsync',
      fix: 'return it from the factory, or remove it',
    }));
  if (given !== 1) {
    faults.push({
      field: 'forRootAsync',
      value: `${given} of useFactory, useClass, useExisting`,
      rule: 'needs exactly one of useFactory, useClass and useExisting',
      fix: 'pass for example useFactory: () => ({ leaseName: "plan-scheduler" })',
    });
  }
  return faults;
}

/**
 * Registers one role: one lease that the replicas of the application compete for. Import it once per role.
 *
 * Options are checked when the application starts; a bad one stops the start with a `LeaderElectionOptionsError` that
 * lists every fault. An unreachable API server does not stop it, except for `@LeaderOnce()` work with
 * `waitForOthers: true`, after `waitTimeoutMs`.
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

  /**
   * Registers a role with these options.
   *
   * @throws LeaderElectionOptionsError when the application starts, with every fault of the options
   * @example
   * @Module({ imports: [LeaderElectionModule.forRoot({ role: 'plan-scheduler' })], providers: [PlanScheduler] })
   * export class AppModule {}
   */
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

  /**
   * Registers a role whose options come from a factory, a class or another provider. `role` itself is given here, as
   * the injection tokens are made from it before the factory runs.
   *
   * @throws LeaderElectionOptionsError when the application starts, with every fault of the options
   * @example
   * LeaderElectionModule.forRootAsync({
   *   role: 'plan-scheduler',
   *   inject: [ConfigService],
   *   useFactory: (config: ConfigService) => ({ namespace: config.get('NAMESPACE') }),
   * })
   */
  static forRootAsync(options: LeaderElectionModuleAsyncOptions): DynamicModule {
    const given: Partial<LeaderElectionModuleAsyncOptions> = options ?? {};
    const { role, isGlobal } = given;
    const raw = { ...rawAsyncOptions(given), module: LeaderElectionModule };
    return registerRole(raw, { role, isGlobal, isAsync: true });
  }
}
