import { Inject, Injectable, Module, type OnModuleInit } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { Clock } from '../core/clock.js';
import { LeaderElectionOptionsError, type OptionFault } from '../core/errors.js';
import { messageOf } from '../core/thrown-value.js';
import { within } from '../elector/work-in-flight.js';
import {
  entryPointAt,
  isEntryPoint,
  markAsCron,
  timerKindOf,
  type TimerKind,
} from './entry-point.js';
import { EVERY_REPLICA_MARKS, isClassOfEveryReplica } from './every-replica.decorator.js';
import { type Gate, GATES } from './gated-method.js';
import { GATE_SKIPPED, runGated, runShadowed, shadowOf } from './gated-work.js';
import { ELECTION_CLOCK } from './leader-election.tokens.js';
import { classMethod, classMethods, prototypeOf } from './method-marks.js';
import { applicationLog } from './application-log.js';
import type { ListedTimer } from './role-logger.js';
import type { RoleElection } from './role-election.js';
import { RoleRegistry } from './role-registry.js';

/** What @nestjs/schedule calls when a timer fires. It catches and logs what the method throws. */
type Tick = (...args: unknown[]) => unknown;

/** The two methods through which the explorer of @nestjs/schedule 6 and 12 takes every timer that it finds. */
const LOOKUP = 'lookupSchedulers';
const WRAP = 'wrapFunctionInTryCatchBlocks';

/** What the SchedulerRegistry of @nestjs/schedule 6 and 12 lists, and where its orchestrator keeps what is decorated. */
const REGISTRY_LISTS = ['getCronJobs', 'getIntervals', 'getTimeouts'] as const;
const ORCHESTRATOR_LISTS = ['cronJobs', 'intervals', 'timeouts'] as const;

type LookUp = (this: unknown, instance: object, key: string) => unknown;
type Wrap = (this: unknown, method: unknown, instance: object) => Tick;

/**
 * Puts gates in front of the timers of @nestjs/schedule: of all of them, for the role with `gateSchedules: true`, and of
 * those with `@LeaderOnly()`.
 *
 * A gate stands before everything that is called when the timer fires, so that a skipped tick is no run for an APM that
 * wraps the method or follows the explorer, as @nestjs/observe does. The explorer of this application is changed and
 * nothing that applications share, neither classes nor instances, as two of them in one process may gate differently.
 */
@Injectable()
export class ScheduleGates implements OnModuleInit {
  private readonly timers: ListedTimer[] = [];
  private claimedJobs: () => ListedTimer[] = () => [];
  private readonly enabled = new Set<TimerKind>();
  /** Makes of a job of ours what the explorer makes of a timer; undefined without @nestjs/schedule in the application. */
  private wrapAsTick: ((job: Tick, owner: object) => Tick) | undefined;

  constructor(
    private readonly modules: ModulesContainer,
    private readonly registry: RoleRegistry,
    @Inject(ELECTION_CLOCK) private readonly clock: Clock,
  ) {
    // Before the hook in which the explorer reads the methods.
    for (const module of modules.values()) {
      if (module.metatype === ScheduleGatesModule) module.distance = Number.POSITIVE_INFINITY;
    }
  }

  onModuleInit(): void {
    for (const { providers } of this.modules.values()) {
      for (const { instance } of providers.values()) {
        const lookUp = classMethod(prototypeOf(instance), LOOKUP);
        const wrap = classMethod(prototypeOf(instance), WRAP);
        if (lookUp === undefined || wrap === undefined) continue;
        this.follow(instance as object, lookUp as LookUp, wrap as Wrap);
        const given: unknown = providers.get('SCHEDULE_MODULE_OPTIONS')?.instance;
        enabledKinds(given).forEach((kind) => this.enabled.add(kind));
      }
    }
  }

  private follow(explorer: object, lookUp: LookUp, wrap: Wrap): void {
    // We log what a job throws.
    const quiet = Object.create(explorer, { logger: { value: { error: () => {} } } }) as object;
    this.wrapAsTick = (job, owner) => Reflect.apply(wrap, quiet, [job, owner]);
    let key: string | undefined;
    override(explorer, LOOKUP, function (this: unknown, instance: object, name: string) {
      key = name;
      try {
        return Reflect.apply(lookUp, this, [instance, name]);
      } finally {
        key = undefined;
      }
    });
    const gate = (tick: Tick, method: unknown, instance: object): Tick =>
      this.gate(tick, instance, key ?? (method as { readonly name: string }).name);
    override(explorer, WRAP, function (this: unknown, method: unknown, instance: object) {
      return gate(Reflect.apply(wrap, this, [method, instance]), method, instance);
    });
  }

  private gate(tick: Tick, instance: object, key: string): Tick {
    const prototype = prototypeOf(instance);
    const name = timerName(prototype, key);
    const marks = gatesInEffect(prototype, key);
    const elections = marks.map(({ role }) => this.registry.find(role));
    const known = elections.filter((election) => election !== undefined);
    if (marks.length > 0) {
      this.timers.push({ name, rule: 'marked', roles: known.map(({ role }) => role) });
      // The gate on the method counts the work, and throws if it is to throw.
      return marks.some(({ onFollower }) => onFollower === 'throw')
        ? tick
        : known.reduce((inner, election) => this.checked(inner, name, election), tick);
    }
    const [election] = this.gating;
    if (election === undefined) return tick;
    if (isOfEveryReplica(prototype, key)) {
      this.timers.push({ name, rule: 'every-replica', roles: [] });
      return tick;
    }
    this.timers.push({ name, rule: 'gate', roles: [election.role] });
    const leadership = this.registry.service(election);
    const counted: Tick = (...args) => {
      const shadow = shadowOf(leadership);
      const run = (): unknown => tick(...args);
      return shadow === undefined
        ? runGated(leadership, name, run)
        : runShadowed(leadership, shadow, name, run);
    };
    return this.checked(counted, name, election);
  }

  private checked(tick: Tick, name: string, election: RoleElection): Tick {
    const leadership = this.registry.service(election);
    const isOpen = (): boolean => {
      try {
        // In shadow mode the gate behind this one counts.
        if (leadership.isLeader() || shadowOf(leadership) !== undefined) return true;
        leadership[GATE_SKIPPED]?.(name);
      } catch (error) {
        // A test's replacement of the service may throw; behind a timer that would end the process.
        applicationLog.gateFailed(election.role, name, error);
      }
      return false;
    };
    return (...args) => (isOpen() ? tick(...args) : Promise.resolve());
  }

  /**
   * Runs a job that is no timer of @nestjs/schedule as its explorer runs one, so that an APM that follows the explorer, as
   * @nestjs/observe does, records the run under the name of the job. Returns and throws what the job does, when it does,
   * and runs it once, whatever the APM does: one that has not called the job after some seconds is not waited for, and one
   * that is still at it when the job has ended is not either.
   */
  async runAsTick(name: string, owner: object, run: () => unknown): Promise<unknown> {
    const { wrapAsTick } = this;
    if (wrapAsTick === undefined) return run();
    let outcome: Promise<unknown> | undefined;
    let begun = (): void => {};
    const hasBegun = new Promise<void>((resolve) => (begun = resolve));
    const job = (): Promise<unknown> => {
      begun();
      return (outcome ??= (async () => run())());
    };
    markAsCron(job, name);
    const followed = this.followed(name, () => wrapAsTick(job, owner)());
    if (outcome === undefined) {
      await within(this.clock, FOLLOWER_LIMIT_MS, Promise.race([hasBegun, followed]), () => {
        applicationLog.observerFailed(
          name,
          `has not called ${name} within ${FOLLOWER_LIMIT_MS} ms, so it is called without`,
        );
      });
    }
    return outcome ?? job();
  }

  private async followed(name: string, call: () => unknown): Promise<void> {
    try {
      await call();
    } catch (error) {
      applicationLog.observerFailed(name, `failed for ${name}: ${messageOf(error)}`);
    }
  }

  private get gating(): RoleElection[] {
    return this.registry.elections.filter(({ options }) => options.gateSchedules);
  }

  /** What is wrong with the options of the roles. */
  optionFaults(): OptionFault[] {
    const roles = this.gating.map(({ role }) => JSON.stringify(role));
    if (roles.length < 2) return [];
    return [
      {
        field: 'gateSchedules',
        value: true,
        rule: `may be true for one role of an application, and is for ${roles.join(', ')}`,
        fix: 'leave it to one of them, and put @LeaderOnly(role) on the timers of the others',
      },
    ];
  }

  /**
   * What is wrong with the `@EveryReplica()` of a class and of its methods.
   * @param isOfGuard whether a guard is what the mark leaves that method out of, or with no key the class
   */
  markFaults(
    prototype: object | null,
    owner: string,
    isOfGuard: (key: string | symbol | undefined) => boolean,
  ): OptionFault[] {
    const timers = classMethods(prototype).filter(({ method }) => timerKindOf(method));
    const marked: { readonly key: string | symbol | undefined; readonly field: string }[] =
      EVERY_REPLICA_MARKS.all(prototype).map(({ key }) => ({
        key,
        field: `@EveryReplica() on ${owner}.${String(key)}`,
      }));
    if (isClassOfEveryReplica(prototype)) {
      marked.push({ key: undefined, field: `@EveryReplica() on ${owner}` });
    }
    const places = marked.filter(({ key }) => !isOfGuard(key));
    if (this.gating.length === 0) {
      const rule = 'leaves a timer out of gateSchedules, which no role of this application has';
      const fix = 'add gateSchedules: true to LeaderElectionModule.forRoot, or remove it';
      return places.map(({ field }) => ({ field, value: undefined, rule, fix }));
    }
    return places.flatMap(({ key, field }) => {
      const isOnTimer =
        key === undefined ? timers.length > 0 : timers.some((each) => each.key === key);
      if (!isOnTimer) {
        const rule = `works on methods with @Cron, @Interval or @Timeout, and this ${key === undefined ? 'class has none' : 'is none'}`;
        return [{ field, value: undefined, rule, fix: 'remove it: nothing gates this' }];
      }
      const gate = contradiction(
        prototype,
        key === undefined ? timers : [{ key }],
        key === undefined,
      );
      if (gate === undefined) return [];
      const where = gate.ofClass === undefined ? 'of the same method' : `on class ${gate.ofClass}`;
      const rule = `contradicts the @LeaderOnly() ${where}`;
      const fix =
        gate.ofClass === undefined
          ? 'remove one of the two'
          : 'put @LeaderOnly() on the methods that it is for';
      return [{ field, value: undefined, rule, fix }];
    });
  }

  /**
   * Called once the explorer has read all methods.
   * @throws LeaderElectionOptionsError for timers that would run ungated although a role gates them
   */
  verify(): void {
    if (this.gating.length === 0) return;
    const gated = new Set(this.timers.map(({ name }) => name));
    const missed = this.expectedTimers().filter((name) => !gated.has(name));
    if (missed.length === 0) return;
    throw new LeaderElectionOptionsError([
      {
        field: 'gateSchedules',
        value: true,
        rule: `cannot gate ${missed.join(', ')}: this version of @nestjs/schedule registers timers in a way that is not known`,
        fix: 'use @nestjs/schedule 6 or 12, or put @LeaderOnly() on these methods and leave gateSchedules out',
      },
    ]);
  }

  /** `jobs` answers with jobs that are no timers of @nestjs/schedule, and run on a leader too. */
  listWith(jobs: () => ListedTimer[]): void {
    this.claimedJobs = jobs;
  }

  /** Lists the timers and jobs of the application so far in the log of the role that gates them. */
  announce(): void {
    const claimed = this.claimedJobs();
    const names = new Set(claimed.map(({ name }) => name));
    for (const election of this.gating) {
      const added = this.addedJobs().filter((name) => !names.has(name));
      election.gatesTimers([...this.timers, ...claimed], added);
    }
  }

  /** The names in SchedulerRegistry that no decorator of @nestjs/schedule has put there. */
  private addedJobs(): string[] {
    const instances = [...this.modules.values()].flatMap(({ providers }) =>
      [...providers.values()].map(({ instance }): unknown => instance),
    );
    const registry = instances.find((instance) => REGISTRY_LISTS.every(isMethodOf(instance)));
    if (registry === undefined) return [];
    const decorated = instances
      .filter((instance) => isMethodOf(instance)('mountCron'))
      .flatMap((orchestrator) =>
        ORCHESTRATOR_LISTS.flatMap((key) =>
          Object.keys((orchestrator as Readonly<Record<string, object | undefined>>)[key] ?? {}),
        ),
      );
    const listed = REGISTRY_LISTS.flatMap((key) => namesIn(registry as object, key));
    return listed.filter((name) => !decorated.includes(name));
  }

  /** The timers that @nestjs/schedule starts; none if it is not in the application. */
  private expectedTimers(): string[] {
    const names = new Set<string>();
    const modules = [...this.modules.values()];
    const kinds = this.enabled.size > 0 ? this.enabled : kindsOfUnknownExplorer(modules);
    for (const { providers, controllers } of modules) {
      for (const wrapper of [...providers.values(), ...controllers.values()]) {
        const instance: unknown = wrapper.instance;
        const prototype = prototypeOf(instance);
        if (prototype === null || !wrapper.isDependencyTreeStatic()) continue;
        for (const { key } of classMethods(prototype)) {
          // The explorer reads names only.
          if (typeof key === 'symbol') continue;
          const kind = timerKindOf(methodAt(instance as object, key));
          if (kind !== undefined && kinds.has(kind)) names.add(timerName(prototype, key));
        }
      }
    }
    return [...names];
  }
}

/** See {@link ScheduleGates}. */
@Module({ providers: [ScheduleGates], exports: [ScheduleGates] })
export class ScheduleGatesModule {}

/** How long a run that has been claimed waits for an APM to call it. */
const FOLLOWER_LIMIT_MS = 5_000;

const ALL_KINDS: readonly TimerKind[] = ['cron', 'interval', 'timeout'];

/** `ScheduleModule.forRoot({ intervals: false })` starts no intervals. */
function enabledKinds(given: unknown): TimerKind[] {
  const options = (given ?? {}) as Readonly<Record<string, unknown>>;
  return ALL_KINDS.filter((kind) => {
    const value = options[`${kind === 'cron' ? 'cronJob' : kind}s`];
    return value === undefined || Boolean(value);
  });
}

/** All of them if @nestjs/schedule is there and has an explorer of another kind. */
function kindsOfUnknownExplorer(
  modules: readonly { readonly providers: ReadonlyMap<unknown, unknown> }[],
): ReadonlySet<TimerKind> {
  const isThere = modules.some(({ providers }) => providers.has('SCHEDULE_MODULE_OPTIONS'));
  return new Set(isThere ? ALL_KINDS : []);
}

/** None if a test has put something in its place that cannot be asked. */
function namesIn(registry: object, list: (typeof REGISTRY_LISTS)[number]): string[] {
  try {
    const found = (registry as Record<typeof list, () => unknown>)[list]();
    const names: unknown = found instanceof Map ? [...found.keys()] : found;
    return Array.isArray(names) ? names.map(String) : [];
  } catch {
    return [];
  }
}

function isMethodOf(instance: unknown): (key: string) => boolean {
  const prototype = prototypeOf(instance);
  return (key) => classMethod(prototype, key) !== undefined;
}

function override(target: object, key: string, value: (...args: never[]) => unknown): void {
  Reflect.defineProperty(target, key, { value, configurable: true, writable: true });
}

/** Those of `@LeaderOnly()` on the method, or on its class if that gates the method. */
function gatesInEffect(prototype: object | null, key: string | symbol): readonly Gate[] {
  return GATES.of(prototype, key).filter(
    ({ ifHandler }) => !ifHandler || isEntryPoint(entryPointAt(prototype, key)),
  );
}

/** A gate in front of one of the timers that an `@EveryReplica()` is for; that of a class leaves out gated methods. */
function contradiction(
  prototype: object | null,
  timers: readonly { readonly key: string | symbol }[],
  isOnClass: boolean,
): Gate | undefined {
  return timers
    .flatMap(({ key }) => gatesInEffect(prototype, key))
    .find(({ ofClass }) => !isOnClass || ofClass !== undefined);
}

function isOfEveryReplica(prototype: object | null, key: string): boolean {
  return EVERY_REPLICA_MARKS.of(prototype, key).length > 0 || isClassOfEveryReplica(prototype);
}

/** As @nestjs/schedule reads it; a wrapper of the instance may hide the decorators of a method, or refuse to be read. */
function methodAt(instance: object, key: string | symbol): unknown {
  try {
    return (instance as Record<string | symbol, unknown>)[key];
  } catch {
    return undefined;
  }
}

function timerName(prototype: object | null, key: string | symbol): string {
  return `${prototype?.constructor?.name ?? 'Object'}.${String(key)}`;
}
