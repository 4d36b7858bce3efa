import type {
  InjectionToken,
  ModuleMetadata,
  OptionalFactoryDependency,
  Type,
} from '@nestjs/common';
import {
  ELECTION_OPTION_NAMES,
  readElectionOptions,
  type ElectionOptions,
  type ResolvedElectionOptions,
} from '../core/election-options.js';
import { OptionReader } from '../core/option-reader.js';
import { isLockChoice, LOCK_NAMES, type LockChoice } from './lock-selection.js';

/** The options of `LeaderElectionModule.forRoot()`: those of the election, and how it is part of the application. */
export interface LeaderElectionModuleOptions extends ElectionOptions {
  /**
   * Where the lease is kept: a name, what `leaseLock()`, `fileLock()` or `memoryLock()` returned, or a ResourceLock of
   * your own. `'auto'` is a Lease in a pod and the memory lock under a test runner. Anywhere else it is the file lock,
   * which the log then says; with `NODE_ENV=production` the application does not start there.
   * @default 'auto'
   */
  readonly lock?: LockChoice;
  /**
   * Compete for the lease as soon as the application has started. With `false` this process competes only after
   * `leadership.start()`.
   * @default true
   */
  readonly autoStart?: boolean;
  /**
   * Make the service injectable in every module; with `false`, only in those that import this one. Decorators work
   * wherever `LeadershipService` can be injected.
   * @default true
   */
  readonly isGlobal?: boolean;
}

/** What a factory of `forRootAsync` returns. `role`, if repeated, must be the one given outside. */
export type LeaderElectionFactoryOptions = Omit<
  LeaderElectionModuleOptions,
  'role' | 'isGlobal'
> & {
  /**
   * The same as the one given to `forRootAsync`.
   * @default that one
   */
  readonly role?: string;
};

/** Implemented by the classes given to `useClass` and `useExisting`. */
export interface LeaderElectionOptionsFactory {
  /** Called once, when the application starts. What it throws stops the start. */
  createLeaderElectionOptions():
    LeaderElectionFactoryOptions | Promise<LeaderElectionFactoryOptions>;
}

/** The options of `LeaderElectionModule.forRootAsync()`, with exactly one of `useFactory`, `useClass` and `useExisting`. */
export interface LeaderElectionModuleAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** Needed before the factory runs, for the injection tokens. */
  readonly role: string;
  /**
   * As in {@link LeaderElectionModuleOptions.isGlobal}.
   * @default true
   */
  readonly isGlobal?: boolean;
  /**
   * What `useFactory` is called with.
   * @default nothing
   */
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  /**
   * Makes the options from what `inject` lists. What it throws stops the start.
   * @default none
   */
  readonly useFactory?: (
    // eslint-disable-next-line typescript/no-explicit-any -- whatever `inject` lists
    ...dependencies: any[]
  ) => LeaderElectionFactoryOptions | Promise<LeaderElectionFactoryOptions>;
  /**
   * A class that makes the options; Nest makes an instance of it for this module.
   * @default none
   */
  readonly useClass?: Type<LeaderElectionOptionsFactory>;
  /**
   * The token of a provider that makes the options.
   * @default none
   */
  readonly useExisting?: InjectionToken<LeaderElectionOptionsFactory>;
}

/** What is given outside of a factory; all options for `forRoot`. */
export interface RoleRegistration {
  readonly role: unknown;
  readonly isGlobal: unknown;
  readonly isAsync: boolean;
}

export interface ResolvedModuleOptions extends ResolvedElectionOptions {
  readonly lock: LockChoice;
  readonly autoStart: boolean;
}

const OPTION_NAMES = [...ELECTION_OPTION_NAMES, 'lock', 'autoStart'];

/** @throws LeaderElectionOptionsError with every fault found */
export function resolveModuleOptions(
  raw: unknown,
  registration: RoleRegistration,
  defaultIdentity: string,
  defaultApplication: string | undefined,
): ResolvedModuleOptions {
  const reader = readerOf(raw, registration);
  const options: ResolvedModuleOptions = {
    ...readElectionOptions(reader, defaultIdentity, defaultApplication),
    lock: readLock(reader),
    autoStart: reader.boolean('autoStart', true),
  };
  reader.boolean('isGlobal', true);
  checkRegistration(raw, registration, reader);
  reader.check();
  return options;
}

function readerOf(raw: unknown, { role, isGlobal, isAsync }: RoleRegistration): OptionReader {
  const names = [...OPTION_NAMES, 'isGlobal'];
  if (!isAsync && !lacksRole(raw)) return new OptionReader(raw, names);
  const isObject = typeof raw === 'object' && raw !== null && !Array.isArray(raw);
  const reader = new OptionReader({ ...(isObject && optionsOf(raw)), role, isGlobal }, names);
  if (!isObject) {
    if (isAsync) {
      const rule = 'the factory must return an object';
      reader.fault('options', raw, rule, 'return { leaseName, … } or {}');
    } else reader.fault('options', raw, 'must be an object', 'pass { role, leaseName }');
  }
  return reader;
}

/** A copy, including the getters and defaults that an instance has from its class. */
export function optionsOf(given: object): Record<string, unknown> {
  const options: Record<string, unknown> = { ...given };
  for (const name of [...OPTION_NAMES, 'isGlobal']) {
    if (name in given) options[name] = (given as Record<string, unknown>)[name];
  }
  return options;
}

/** True for options with which a test replaces those given to `forRoot`. */
function lacksRole(raw: unknown): boolean {
  return typeof raw === 'object' && raw !== null && !('role' in raw);
}

function readLock(reader: OptionReader): LockChoice {
  const lock = reader.get('lock');
  if (lock === undefined) return 'auto';
  if (isLockChoice(lock)) return lock;
  const names = LOCK_NAMES.map((name) => `"${name}"`).join(', ');
  reader.fault(
    'lock',
    lock,
    `must be one of ${names}, the result of leaseLock(), fileLock() or memoryLock(), or a ResourceLock`,
    'name one of these, or leave it out',
  );
  return 'auto';
}

function checkRegistration(
  raw: unknown,
  { role, isAsync }: RoleRegistration,
  reader: OptionReader,
): void {
  if (typeof raw !== 'object' || raw === null) return;
  if ('role' in raw && raw.role !== undefined && raw.role !== role) {
    const rule = `must be the role given to ${isAsync ? 'forRootAsync' : 'forRoot'} (${JSON.stringify(role)}), or absent`;
    const fix = `remove it from ${isAsync ? 'what the factory returns' : 'the options that replace them'}`;
    reader.fault('role', raw.role, rule, fix);
  }
  if (isAsync && 'isGlobal' in raw) {
    const rule = 'is needed before the factory runs';
    reader.fault('isGlobal', raw.isGlobal, rule, 'give it to forRootAsync, beside role');
  }
}
