import type { DynamicModule, FactoryProvider } from '@nestjs/common';
import type { Clock } from '../core/clock.js';
import { messageOf } from '../core/thrown-value.js';
import { applicationName, localIdentity } from '../election/own-names.js';
import type { ElectorFactory } from '../elector/leader-elector.js';
import { atHome } from '../elector/system-clock.js';
import { ApplicationMembers } from './application-members.js';
import { ApplicationReadiness } from '../election/leadership-handlers.dispatcher.js';
import { LeaderElectionCoreModule } from './leader-election.lifecycle.js';
import {
  ELECTION_CLOCK,
  ELECTION_RANDOM,
  ELECTOR_FACTORY,
  getLeaderElectionOptionsToken,
  RAW_OPTIONS,
  RESOLVED_OPTIONS,
  ROLE_ELECTION,
  ROLE_ELECTION_CLASS,
  ROLE_REGISTRATION,
  roleToken,
  SELECTED_LOCK,
} from './leader-election.tokens.js';
import {
  type ResolvedModuleOptions,
  resolveModuleOptions,
  type RoleRegistration,
} from './leader-election.options.js';
import { LeadershipService } from './leadership.service.js';
import { type SelectedLock, selectLock } from '../locks/lock-selection.js';
import { PodLabels } from './pod-labels.js';
import type { OptionalParts, RoleElection } from './role-election.js';
import { RoleRegistry } from './role-registry.js';

/** Makes a module with raw options the module of one role: raw options → checked options → lock → election → service. */
export function registerRole(raw: DynamicModule, registration: RoleRegistration): DynamicModule {
  // Whatever was given: if it is no name, the options say so.
  const role = messageOf(registration.role);
  const token = roleToken(role);
  const options = getLeaderElectionOptionsToken(role);
  return {
    ...raw,
    global: registration.isGlobal !== false,
    imports: [...(raw.imports ?? []), LeaderElectionCoreModule],
    providers: [
      ...(raw.providers ?? []),
      { provide: ROLE_REGISTRATION, useValue: registration },
      { provide: options, useFactory: (given: unknown) => given, inject: [RAW_OPTIONS] },
      {
        provide: RESOLVED_OPTIONS,
        useFactory: resolveOptions,
        inject: [options, ROLE_REGISTRATION],
      },
      SELECTED_LOCK_PROVIDER,
      ROLE_ELECTION_PROVIDER,
      { provide: token, useFactory: serviceOf, inject: [ROLE_ELECTION, RoleRegistry] },
      {
        provide: LeadershipService,
        useFactory: serviceOfTheOnlyRole,
        inject: [token, RoleRegistry],
      },
    ],
    exports: [token, LeadershipService],
  };
}

function resolveOptions(raw: unknown, registration: RoleRegistration): ResolvedModuleOptions {
  return resolveModuleOptions(raw, registration, localIdentity(), applicationName());
}

/** A test that overrides `LeadershipService` means the service of the only role, whatever token it is injected by. */
function serviceOf(election: RoleElection, registry: RoleRegistry): LeadershipService {
  return registry.overriddenService() ?? new LeadershipService(election);
}

/**
 * Every role's module exports the class token. With one role it is that role's service; with several, whichever module
 * Nest finds first would win silently, so all of them give a service that throws and names the roles.
 */
function serviceOfTheOnlyRole(
  service: LeadershipService,
  registry: RoleRegistry,
): LeadershipService {
  return registry.roles.length > 1 ? registry.ambiguousService() : service;
}

const SELECTED_LOCK_PROVIDER: FactoryProvider = {
  provide: SELECTED_LOCK,
  useFactory: (options: ResolvedModuleOptions): Promise<SelectedLock> =>
    atHome(() => selectLock(options.lock, options)),
  inject: [RESOLVED_OPTIONS],
};

/** What most roles do not use is loaded with those that do. */
async function partsFor(options: ResolvedModuleOptions): Promise<OptionalParts | undefined> {
  const { members, eligibility, watchdog } = options;
  const isNeeded = members !== undefined || eligibility.length > 0 || watchdog;
  return isNeeded ? import('./optional-parts.js') : undefined;
}

const ROLE_ELECTION_PROVIDER: FactoryProvider = {
  provide: ROLE_ELECTION,
  useFactory: async (
    options: ResolvedModuleOptions,
    selected: SelectedLock,
    clock: Clock,
    random: () => number,
    makeElector: ElectorFactory,
    readiness: ApplicationReadiness,
    registry: RoleRegistry,
    members: ApplicationMembers,
    podLabels: PodLabels,
    Election: typeof RoleElection,
  ): Promise<RoleElection> => {
    const parts = await atHome(() => partsFor(options));
    const election = new Election(options, selected, {
      clock,
      random,
      makeElector,
      readiness,
      members,
      podLabels,
      parts,
    });
    registry.add(election);
    return election;
  },
  inject: [
    RESOLVED_OPTIONS,
    SELECTED_LOCK,
    ELECTION_CLOCK,
    ELECTION_RANDOM,
    ELECTOR_FACTORY,
    ApplicationReadiness,
    RoleRegistry,
    ApplicationMembers,
    PodLabels,
    ROLE_ELECTION_CLASS,
  ],
};
