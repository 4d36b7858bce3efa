import { Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { LeaderElectionOptionsError, type OptionFault } from '../core/errors.js';
import { entryPointAt, isEntryPoint } from './entry-point.js';
import { type Gate, GATES } from './gated-method.js';
import { isClassOfEveryReplica } from './every-replica.decorator.js';
import { GuardedHandlers } from './guarded-handlers.js';
import { ROLE_REGISTRATION } from './leader-election.tokens.js';
import { classWithoutEntryPoints } from './leader-only.decorator.js';
import type { HandlerKind, LeadershipHandler } from '../election/leadership-handlers.dispatcher.js';
import { HANDLER_MARKS, type HandlerMark } from './leadership-handler.decorators.js';
import {
  classOf,
  hasMarkedMethods,
  INSTANCE_ARRIVALS,
  instanceOf,
  type InstanceWrapper,
  isShared,
  prototypeOf,
  scopeFault,
} from './method-marks.js';
import { adopt } from './gate-leadership.js';
import { isServiceOf, LeadershipService } from './leadership.service.js';
import { RoleRegistry } from './role-registry.js';
import { ScheduleGates } from './schedule-gates.js';

interface FoundMethod {
  readonly key: string | symbol;
  readonly isGated: boolean;
  readonly name: string;
}
type HandlerLists = Record<HandlerKind, LeadershipHandler[]>;

/**
 * Goes once through all parts of the application, when it starts: finds the decorated handlers, gives their leadership
 * to instances that Nest could not inject into, and reports all faults at once.
 */
@Injectable()
export class LeadershipHandlersExplorer {
  private readonly faults: OptionFault[] = [];
  private readonly found = new Map<string, HandlerLists>();
  private readonly explored = new Set<object>();
  private readonly gatedRoles = new Set<string>();
  private readonly knownPrototypes = new Set<object>();

  constructor(
    private readonly modules: ModulesContainer,
    private readonly registry: RoleRegistry,
    private readonly scheduleGates: ScheduleGates,
    private readonly guards: GuardedHandlers,
  ) {}

  /** @throws LeaderElectionOptionsError */
  explore(): void {
    this.faults.push(...this.registry.missingElections(), ...this.registry.overrideFaults());
    if (this.faults.length > 0) throw new LeaderElectionOptionsError(this.faults);
    for (const { role } of this.registry.elections) {
      this.found.set(role, { OnGranted: [], OnRevoked: [], OnNewLeader: [] });
    }
    for (const module of this.modules.values()) {
      if (module.providers.has(ROLE_REGISTRATION)) continue;
      for (const collection of [module.providers, module.controllers, module.injectables]) {
        for (const wrapper of collection.values()) this.exploreOne(wrapper);
      }
    }
    this.faults.push(...this.scheduleGates.optionFaults(), ...this.shadowFaults());
    this.faults.push(...this.registry.strangers(this.knownPrototypes));
    if (this.faults.length > 0) throw new LeaderElectionOptionsError(this.faults);
    for (const election of this.registry.elections) {
      const handlers = this.found.get(election.role)!;
      election.dispatcher.use(handlers);
      const service = this.registry.service(election);
      if (!isServiceOf(service, election)) election.replacedBy(service, handlers);
    }
  }

  private exploreOne(wrapper: InstanceWrapper): void {
    this.checkInjections(wrapper);
    const instance = instanceOf(wrapper);
    const prototype = prototypeOf(instance) ?? classOf(wrapper);
    for (const known of [prototype, classOf(wrapper)]) {
      if (known !== null) this.knownPrototypes.add(known);
    }
    if (wrapper.inject && !isShared(wrapper)) this.followFactory(wrapper);
    if (instance !== undefined) {
      // An alias (useExisting) shares the instance of the provider that it names.
      if (this.explored.has(instance)) return;
      this.explored.add(instance);
    }
    const isMarked =
      hasMarkedMethods(prototype) ||
      isClassOfEveryReplica(prototype) ||
      this.guards.areUsedOn(prototype);
    if (!isMarked) return;
    const nameOf = (key: string | symbol) => `${String(wrapper.name)}.${String(key)}`;
    for (const { key, marks } of GATES.reachable(prototype)) {
      for (const gate of marks) this.exploreGate(gate, nameOf(key), instance);
    }
    this.checkGates(prototype, String(wrapper.name));
    this.checkGuards(prototype, String(wrapper.name));
    const isOfGuard = this.guards.leftOutBy(prototype);
    this.faults.push(...this.scheduleGates.markFaults(prototype, String(wrapper.name), isOfGuard));
    for (const { key, marks } of HANDLER_MARKS.all(prototype)) {
      const isGated = GATES.of(prototype, key).length > 0;
      for (const mark of marks) {
        this.exploreHandler(mark, { key, isGated, name: nameOf(key) }, wrapper, instance);
      }
    }
  }

  /** What a factory will make for a request, or for each consumer, is not known in advance. */
  private followFactory(wrapper: InstanceWrapper): void {
    const name = String(wrapper.name);
    for (const made of wrapper.getStaticTransientInstances()) this.takeIn(made?.instance, name);
    const make = wrapper.metatype as (...dependencies: unknown[]) => unknown;
    wrapper.metatype = async (...dependencies: unknown[]) => {
      const made = await make(...dependencies);
      this.takeIn(made, name);
      const faults = this.faults.splice(0);
      if (faults.length > 0) throw new LeaderElectionOptionsError(faults);
      return made;
    };
  }

  /** @throws LeaderElectionOptionsError for an object that should have been there at the start */
  private takeIn(made: unknown, name: string): void {
    if (typeof made !== 'object' || made === null) return;
    const prototype = prototypeOf(made);
    if (prototype !== null && INSTANCE_ARRIVALS in prototype) this.registry.arrived(made);
    for (const { key, marks } of GATES.reachable(prototype)) {
      for (const gate of marks) this.exploreGate(gate, `${name}.${String(key)}`, made);
    }
  }

  private exploreGate(gate: Gate, name: string, instance: object | undefined): void {
    const election = this.registry.find(gate.role);
    if (election === undefined) {
      return this.roleFault(`@LeaderOnly() on ${name}`, gate.role);
    }
    this.gatedRoles.add(election.role);
    if (instance !== undefined) adopt(instance, gate.role, this.registry.service(election));
  }

  /** Counts that stay at zero look as if nothing would be skipped. */
  private shadowFaults(): OptionFault[] {
    return this.registry.elections
      .filter(({ role, options }) => {
        return options.mode === 'shadow' && !options.gateSchedules && !this.gatedRoles.has(role);
      })
      .map(({ role }) => ({
        field: `mode of role ${JSON.stringify(role)}`,
        value: 'shadow',
        rule: 'needs gates whose effect it can show, and this role has neither gateSchedules: true nor @LeaderOnly()',
        fix: 'add gateSchedules: true, or leave mode out',
      }));
  }

  private checkGates(prototype: object | null, owner: string): void {
    const gated = GATES.all(prototype).map((method) => ({
      ...method,
      entryPoint: entryPointAt(prototype, method.key),
    }));
    const isInEffect = ({ marks, entryPoint }: (typeof gated)[number]) =>
      marks.some(({ ifHandler }) => !ifHandler) || isEntryPoint(entryPoint);
    if (gated.length > 0 && !gated.some(isInEffect)) {
      this.faults.push(...classWithoutEntryPoints(owner).faults);
    }
    for (const { key, marks, entryPoint } of gated) {
      const isChosen = marks.some(({ onFollower }) => onFollower !== undefined);
      if (entryPoint.consumes === undefined || isChosen) continue;
      this.consumerFault(`@LeaderOnly() on ${owner}.${String(key)}`, entryPoint.consumes);
    }
  }

  private checkGuards(prototype: object | null, owner: string): void {
    const isGated = this.registry.elections.some(({ options }) => options.gateSchedules);
    this.faults.push(...this.guards.faults(prototype, owner, isGated));
    for (const role of this.guards.rolesOf(prototype)) {
      const election = this.registry.find(role);
      if (election !== undefined) this.gatedRoles.add(election.role);
    }
  }

  /** A message or event is not sent again because a follower did nothing. */
  private consumerFault(place: string, decorator: string): void {
    this.fault(
      place,
      undefined,
      `consumes what ${decorator} gives it, and on a follower a skipped message counts as done, so it must choose onFollower`,
      'best let followers consume nothing: without @LeaderOnly(), resume the worker in @OnGranted() and pause it in @OnRevoked(). ' +
        "Otherwise write @LeaderOnly({ onFollower: 'throw' }) if what fails is sent again, or 'skip' if it may be lost",
    );
  }

  private exploreHandler(
    { kind, role }: HandlerMark,
    { key, isGated, name }: FoundMethod,
    wrapper: InstanceWrapper,
    instance: object | undefined,
  ): void {
    const place = `@${kind}() on ${name}`;
    const election = this.registry.find(role);
    if (election === undefined) return this.roleFault(place, role);
    if (instance === undefined) {
      this.faults.push(scopeFault(place, 'handler', wrapper));
      return;
    }
    if (kind === 'OnRevoked' && isGated) {
      const rule =
        'never runs: leadership has ended by then, and @LeaderOnly() on the same method skips it';
      return this.fault(place, undefined, rule, 'remove @LeaderOnly() from it');
    }
    this.found.get(election.role)![kind].push({
      name,
      call: (...args) =>
        (instance as Record<string | symbol, (...args: unknown[]) => unknown>)[key]!(...args),
    });
  }

  /** With several roles, a service injected by class could be any of them. */
  private checkInjections(wrapper: InstanceWrapper): void {
    if (this.registry.roles.length < 2) return;
    const parameters = wrapper.getCtorMetadata() ?? [];
    const properties = wrapper.getPropertiesMetadata() ?? [];
    parameters.forEach((dependency, index) => {
      if (dependency?.token === LeadershipService) {
        this.roleFault(
          `LeadershipService at parameter ${index} of ${String(wrapper.name)}`,
          undefined,
        );
      }
    });
    for (const { key, wrapper: dependency } of properties) {
      // Gates are symbols, and are reported with the method they are on.
      if (dependency?.token === LeadershipService && typeof key === 'string') {
        this.roleFault(`LeadershipService at ${String(wrapper.name)}.${key}`, undefined);
      }
    }
  }

  private roleFault(place: string, role: string | undefined): void {
    this.faults.push(this.registry.roleFault(place, role));
  }

  private fault(field: string, value: unknown, rule: string, fix: string): void {
    this.faults.push({ field, value, rule, fix });
  }
}
