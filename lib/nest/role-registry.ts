import { Inject, Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { LeaderElectionOptionsError, type OptionFault } from '../core/errors.js';
import { ROLE_ELECTION_CLASS, ROLE_REGISTRATION, roleToken } from './leader-election.tokens.js';
import { type InstanceArrivals, prototypeOf } from './method-marks.js';
import type { RoleRegistration } from './leader-election.options.js';
import { LeadershipService } from './leadership.service.js';
import type { RoleElection } from './role-election.js';
import { overrideFault } from './service-override.js';

type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;

/** The roles of one application, known from the module graph before any provider is created. */
@Injectable()
export class RoleRegistry implements InstanceArrivals {
  readonly roles: readonly string[];
  private readonly byRole = new Map<string, RoleElection>();
  private readonly registrations: ReadonlyMap<string, NestModule>;
  /** Services without a role. */
  private readonly refusing = new Set<unknown>();
  private sealed = false;
  private readonly early: Set<object> | undefined = new Set();

  /** Nest makes nothing that looks for an election, and so may want one at once, while elections are still being loaded. */
  constructor(modules: ModulesContainer, @Inject(ROLE_ELECTION_CLASS) _loaded: unknown) {
    this.registrations = registeredRoles(modules);
    this.roles = [...this.registrations.keys()];
  }

  /** In the order of their modules, whichever of them was ready first. */
  get elections(): RoleElection[] {
    return this.roles.flatMap((role) => this.byRole.get(role) ?? []);
  }

  add(election: RoleElection): void {
    if (this.sealed) throw lateRegistration(election.role);
    this.byRole.set(election.role, election);
  }

  arrived(instance: object): void {
    if (!this.sealed) {
      // In Nest's preview mode no constructor has run.
      this.early?.add(instance);
      return;
    }
    throw new LeaderElectionOptionsError([
      {
        field: handlersOf(instance),
        value: undefined,
        rule: 'are found when the application starts, and this instance was made later (a lazily loaded module, moduleRef.create(), or a factory of another scope than the default one)',
        fix: 'import its module from the root module, in the default scope, or let it subscribe to LeadershipService.leadership$, which replays the present state',
      },
    ]);
  }

  /** Instances with handlers that Nest has made but does not list, such as middleware: nothing would call them. */
  strangers(known: ReadonlySet<object>): OptionFault[] {
    const strange = [...(this.early ?? [])].filter(
      (instance) => !known.has(prototypeOf(instance)!),
    );
    this.early?.clear();
    return [...new Set(strange.map(handlersOf))].map((field) => ({
      field,
      value: undefined,
      rule: 'are found on providers and controllers, and this class is neither (middleware, or made by moduleRef.create())',
      fix: 'move them to a provider',
    }));
  }

  seal(): void {
    this.sealed = true;
  }

  /** `role` undefined: the only one. Undefined if there is no such role, or if there are several and none is named. */
  find(role: string | undefined): RoleElection | undefined {
    if (role !== undefined) return this.byRole.get(role);
    return this.roles.length === 1 ? this.byRole.get(this.roles[0]!) : undefined;
  }

  /**
   * The one service of a role, or what a test has put in its place under either of its tokens. Known once all providers
   * exist.
   */
  service({ role }: RoleElection): LeadershipService {
    const { providers } = this.registrations.get(role)!;
    const token = this.roles.length === 1 ? LeadershipService : roleToken(role);
    return providers.get(token)!.instance as LeadershipService;
  }

  /** What a test gave by `overrideProvider(LeadershipService).useValue()`, if there is one role. */
  overriddenService(): LeadershipService | undefined {
    const [registration] = this.registrations.values();
    if (this.roles.length !== 1 || registration === undefined) return undefined;
    const wrapper = registration.providers.get(LeadershipService);
    return wrapper?.isNotMetatype && wrapper.metatype === null
      ? (wrapper.instance as LeadershipService)
      : undefined;
  }

  /** Roles whose election Nest has not created: it would create one per request. */
  missingElections(): OptionFault[] {
    return this.roles
      .filter((role) => !this.byRole.has(role))
      .map((role) => ({
        field: `options of role ${JSON.stringify(role)}`,
        value: undefined,
        rule: 'come from a request-scoped provider, so that there is no election when the application starts',
        fix: 'let the factory inject providers of the default scope only',
      }));
  }

  /** Faults of what a test has put in place of services. */
  overrideFaults(): OptionFault[] {
    return this.elections.flatMap((election) => {
      const service: unknown = this.service(election);
      return [overrideFault(election.role, service), this.ambiguousOverride(election)].filter(
        (fault) => fault !== undefined,
      );
    });
  }

  private ambiguousOverride({ role }: RoleElection): OptionFault | undefined {
    if (this.roles.length === 1) return undefined;
    const service: unknown = this.registrations
      .get(role)!
      .providers.get(LeadershipService)!.instance;
    if (this.refusing.has(service)) return undefined;
    return {
      field: 'override of LeadershipService',
      value: undefined,
      rule: `must name a role, as there are several: ${this.listed()}`,
      fix: `write overrideProvider(getLeadershipToken(${JSON.stringify(role)}))`,
    };
  }

  /** Why this role, or none, does not name an election of this application; `field` says where it is written. */
  roleFault(field: string, role: string | undefined): OptionFault {
    if (this.roles.length === 0) {
      const rule = 'needs a role, and the application has none';
      return { field, value: role, rule, fix: 'import LeaderElectionModule.forRoot({ role: … })' };
    }
    if (role === undefined) {
      const rule = `must name a role, as there are several: ${this.listed()}`;
      const fix = `name it, for example ${JSON.stringify(this.roles[0])}`;
      return { field, value: undefined, rule, fix };
    }
    const rule = `must name a role of this application: ${this.listed()}`;
    const fix = 'use one of them, or import LeaderElectionModule for this role';
    return { field, value: role, rule, fix };
  }

  /** `"a", "b"`, for messages. */
  listed(): string {
    return this.roles.map((role) => JSON.stringify(role)).join(', ');
  }

  /** The `LeadershipService` without a role where there are several: every use of it throws. */
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
    const service = new LeadershipService(new Proxy({} as RoleElection, { get: refuse }));
    this.refusing.add(service);
    return service;
  }
}

function registeredRoles(modules: ModulesContainer): Map<string, NestModule> {
  const registrations = new Map<string, NestModule>();
  const twice = new Set<string>();
  for (const module of modules.values()) {
    const registration = module.providers.get(ROLE_REGISTRATION)?.instance as
      RoleRegistration | undefined;
    if (typeof registration?.role !== 'string') continue;
    if (registrations.has(registration.role)) twice.add(registration.role);
    registrations.set(registration.role, module);
  }
  if (twice.size === 0) return registrations;
  throw new LeaderElectionOptionsError(
    [...twice].map((role) => ({
      field: 'role',
      value: role,
      rule: 'is registered by more than one LeaderElectionModule of this application',
      fix: 'import it once, keep what forRoot() returned in a constant to import it in several modules, or rename one role',
    })),
  );
}

function handlersOf(instance: object): string {
  return `handlers of ${prototypeOf(instance)?.constructor?.name ?? 'Object'}`;
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
