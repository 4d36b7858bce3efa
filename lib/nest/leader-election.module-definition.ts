import { ConfigurableModuleBuilder, type DynamicModule } from '@nestjs/common';
import { LeaderElectionOptionsError, type OptionFault } from '../core/errors.js';
import { RAW_OPTIONS } from './leader-election.constants.js';
import type {
  LeaderElectionFactoryOptions,
  LeaderElectionModuleAsyncOptions,
} from './leader-election.options.js';

/** Provides the raw options under {@link RAW_OPTIONS}, and nothing else: no defaults, no checks. */
export const { ConfigurableModuleClass: RawOptionsModule } =
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

/** Faults in the form of `forRootAsync` itself come up when the application starts, like all others. */
export function rawAsyncOptions(options: Partial<LeaderElectionModuleAsyncOptions>): DynamicModule {
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
