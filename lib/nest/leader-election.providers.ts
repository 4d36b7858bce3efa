import type { DynamicModule, FactoryProvider, Provider } from '@nestjs/common';
import type { Clock } from '../elector/clock.js';
import { localIdentity } from '../locks/local-identity.js';
import { selectLock, type SelectedLock } from '../locks/lock-selection.js';
import { ApplicationReadiness } from './application-readiness.js';
import { LeaderElectionCoreModule } from './leader-election-core.module.js';
import {
  ELECTION_CLOCK,
  ELECTION_RANDOM,
  RAW_OPTIONS,
  RESOLVED_OPTIONS,
  ROLE_ELECTION,
  ROLE_REGISTRATION,
  roleToken,
  SELECTED_LOCK,
} from './leader-election.constants.js';
import {
  resolveModuleOptions,
  type ResolvedModuleOptions,
  type RoleRegistration,
} from './leader-election.options.js';
import { LeadershipService } from './leadership.service.js';
import { RoleElection } from './role-election.js';
import { RoleRegistry } from './role-registry.js';

/** Makes a module with raw options the module of one role: raw options → checked options → lock → election → service. */
export function registerRole(raw: DynamicModule, registration: RoleRegistration): DynamicModule {
  const token = roleToken(String(registration.role));
  return {
    ...raw,
    global: registration.isGlobal !== false,
    imports: [...(raw.imports ?? []), LeaderElectionCoreModule],
    providers: [
      ...(raw.providers ?? []),
      { provide: ROLE_REGISTRATION, useValue: registration },
      ...ELECTION_PROVIDERS,
      { provide: token, useFactory: serviceOf, inject: [ROLE_ELECTION] },
      SERVICE_OF_THE_ONLY_ROLE,
    ],
    exports: [token, LeadershipService],
  };
}

const serviceOf = (election: RoleElection): LeadershipService => new LeadershipService(election);

const RESOLVED_OPTIONS_PROVIDER: FactoryProvider = {
  provide: RESOLVED_OPTIONS,
  useFactory: (raw: unknown, registration: RoleRegistration): ResolvedModuleOptions =>
    resolveModuleOptions(raw, registration, localIdentity()),
  inject: [RAW_OPTIONS, ROLE_REGISTRATION],
};

const SELECTED_LOCK_PROVIDER: FactoryProvider = {
  provide: SELECTED_LOCK,
  useFactory: (options: ResolvedModuleOptions): Promise<SelectedLock> =>
    selectLock(options.lock, options),
  inject: [RESOLVED_OPTIONS],
};

const ROLE_ELECTION_PROVIDER: FactoryProvider = {
  provide: ROLE_ELECTION,
  useFactory: (
    options: ResolvedModuleOptions,
    selected: SelectedLock,
    clock: Clock,
    random: () => number,
    readiness: ApplicationReadiness,
    registry: RoleRegistry,
  ): RoleElection => {
    const election = new RoleElection(options, selected, { clock, random, readiness });
    registry.add(election);
    return election;
  },
  inject: [
    RESOLVED_OPTIONS,
    SELECTED_LOCK,
    ELECTION_CLOCK,
    ELECTION_RANDOM,
    ApplicationReadiness,
    RoleRegistry,
  ],
};

const ELECTION_PROVIDERS: Provider[] = [
  RESOLVED_OPTIONS_PROVIDER,
  SELECTED_LOCK_PROVIDER,
  ROLE_ELECTION_PROVIDER,
];

/**
 * Every role's module exports the class token. With one role it is that role's service; with several, whichever module
 * Nest finds first would win in silence, so all of them give a service that refuses by name.
 */
const SERVICE_OF_THE_ONLY_ROLE: FactoryProvider = {
  provide: LeadershipService,
  useFactory: (election: RoleElection, registry: RoleRegistry): LeadershipService =>
    registry.roles.length > 1 ? registry.ambiguousService() : serviceOf(election),
  inject: [ROLE_ELECTION, RoleRegistry],
};
