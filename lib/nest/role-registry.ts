import { Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { LeaderElectionOptionsError } from '../core/errors/leader-election-options.error.js';
import { ROLE_REGISTRATION } from './leader-election.constants.js';
import type { RoleRegistration } from './leader-election.options.js';
import { LeadershipService } from './leadership.service.js';
import type { RoleElection } from './role-election.js';

/** The roles of one application: known from the module graph before any provider is made. */
@Injectable()
export class RoleRegistry {
  readonly roles: readonly string[];
  private readonly byRole = new Map<string, RoleElection>();
  private sealed = false;

  constructor(modules: ModulesContainer) {
    this.roles = registeredRoles(modules);
  }

  get elections(): RoleElection[] {
    return [...this.byRole.values()];
  }

  add(election: RoleElection): void {
    if (this.sealed) throw lateRegistration(election.role);
    this.byRole.set(election.role, election);
  }

  seal(): void {
    this.sealed = true;
  }

  /** `role` undefined: the only one. Undefined if there is no such role, or if it would take a name to tell. */
  find(role: string | undefined): RoleElection | undefined {
    if (role !== undefined) return this.byRole.get(role);
    return this.roles.length === 1 ? this.byRole.get(this.roles[0]!) : undefined;
  }

  /** `"a", "b"`, for messages. */
  listed(): string {
    return this.roles.map((role) => JSON.stringify(role)).join(', ');
  }

  /** What `LeadershipService` without a role is when there are several: every use of it throws. */
  ambiguousService(): LeadershipService {
    const refuse = (): never => {
      throw new LeaderElectionOptionsError([
        {
          field: 'LeadershipService',
          value: undefined,
          rule: `must name a role, as there are several: ${this.listed()}`,
          fix: `inject it with @InjectLeadership(${JSON.stringify(this.roles[0])})`,
        },
      ]);
    };
    return new LeadershipService(new Proxy({} as RoleElection, { get: refuse }));
  }
}

function registeredRoles(modules: ModulesContainer): string[] {
  const roles: string[] = [];
  for (const module of modules.values()) {
    const registration = module.providers.get(ROLE_REGISTRATION)?.instance as
      RoleRegistration | undefined;
    if (typeof registration?.role === 'string') roles.push(registration.role);
  }
  const twice = roles.filter((role, index) => roles.indexOf(role) !== index);
  if (twice.length === 0) return roles;
  throw new LeaderElectionOptionsError(
    [...new Set(twice)].map((role) => ({
      field: 'role',
      value: role,
      rule: 'is registered by more than one LeaderElectionModule of this application',
      fix: 'import it once, keep what forRoot() returned in a constant to import it in several modules, or rename one role',
    })),
  );
}

function lateRegistration(role: string): LeaderElectionOptionsError {
  return new LeaderElectionOptionsError([
    {
      field: 'role',
      value: role,
      rule: 'was registered after the application had started; Nest runs no hooks of lazily loaded modules',
      fix: 'import the module from the root module, with autoStart: false if it is to start later',
    },
  ]);
}
