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
import { OptionReader, textFault } from '../core/option-reader.js';
import type { EligibilityCheck } from './eligibility-checks.js';
import type { Placement } from './role-placement.js';
import { type LockChoice, readLockChoice } from '../locks/lock-selection.js';

/** The options of `LeaderElectionModule.forRoot()`: those of the election, and how it is part of the application. */
export interface LeaderElectionModuleOptions extends ElectionOptions {
  /**
   * Where the lease is kept: a name, what `leaseLock()`, `configMapLock()`, `fileLock()` or `memoryLock()` returned, or a
   * ResourceLock of your own. `'auto'` is a Lease in a pod and the memory lock under a test runner. Anywhere else it is
   * the file lock, which the log then says; with `NODE_ENV=production` the application does not start there.
   * @default 'auto'
   * @see docs/options.md#which-lock
   * @example
   * lock: fileLock({ directory: '/var/lib/plans' })
   */
  readonly lock?: LockChoice;
  /**
   * Create the Lease (and those that `@LeaderCron` and `@LeaderOnce` need) where it does not exist; `false`: never, so that the Role
   * needs no `create`. The Lease is then part of the manifest, and errors say what to apply. The same goes for the ConfigMap of
   * `configMapLock()`, and for no other lock.
   * @default true
   * @see docs/kubernetes.md#locked-down
   * @example
   * createLease: false
   */
  readonly createLease?: boolean;
  /**
   * Mark the pod that leads: the label `nestjs-leader-election/<role>: leader`, by which a Service can select it, and a
   * pod deletion cost, so that a scale-down takes other pods first. Needs `patch` on pods, a pod, and a lock that uses the
   * pod's own credentials: a Lease or a ConfigMap, without `kubeConfig` or with `'in-cluster'`. Otherwise it does nothing.
   * An `identity` of your own should begin with the pod's name and `_`, or the label of a leader that was killed stays on
   * its pod.
   * @default false
   * @see docs/kubernetes.md#leader-label
   * @example
   * podLabel: true
   */
  readonly podLabel?: boolean;
  /**
   * Compete for the lease as soon as the application has started. With `false` this process competes only after
   * `leadership.start()`.
   * @default true
   * @example
   * autoStart: false
   */
  readonly autoStart?: boolean;
  /**
   * Know the other replicas: `leadership.members` and `members$`. On a Lease or a ConfigMap they are the pods that the selector
   * matches, which needs the verbs get, list and watch on pods, and POD_NAME in the environment; on the file and memory
   * locks the processes that compete, whatever the selector. A process that starts waits up to 5 s for them before it
   * competes; whenever they are unknown, the election works as without it.
   * `true`: the pods with the labels of this pod, without those that controllers add to single pods and revisions.
   * `{ labelSelector }`: a selector as `kubectl get pods --selector` takes it.
   * @default false
   * @see docs/kubernetes.md#members
   * @example
   * members: true
   */
  readonly members?: MembersOption;
  /**
   * Take over at once when the API server says that the container of the leader has ended, instead of waiting for the
   * lease to run out. Needs `members`, and on a Lease no further rights; on the file and memory locks it does nothing.
   * Believes what the kubelet reports: docs/kubernetes.md says what that assumes.
   * @default false
   * @see docs/kubernetes.md#takeover-after-a-containers-death
   * @example
   * members: true, podWatch: true
   */
  readonly podWatch?: boolean;
  /**
   * Make the service injectable in every module; with `false`, only in those that import this one. Decorators work
   * wherever `LeadershipService` can be injected.
   * @default true
   * @example
   * isGlobal: false
   */
  readonly isGlobal?: boolean;
  /**
   * Checks of whether this process is fit to lead, each called every `retryPeriodMs` in every replica: a function that
   * answers a boolean or the result of a Terminus indicator, `() => database.pingCheck('database')`. One that throws, does
   * not answer within `requestTimeoutMs` or answers anything else says that it is not fit.
   * @default none
   * @see docs/lifecycle.md#eligibility
   * @example
   * eligibility: [() => database.pingCheck('database')]
   */
  readonly eligibility?: readonly EligibilityCheck[];
  /**
   * Which member a release names as the next leader, where members are known. `'newest'`: the youngest that is Ready, so
   * that a rolling update moves leadership once or twice. `'spread'`: each member leads about as many roles, and leaders
   * hand over for that. `'any'`: whoever comes first. A function returns the name of one of the members that it is given,
   * or undefined; if it throws or returns anything else, no member is named. Three calls in a row that take longer than
   * 100 ms each are the last ones.
   * @default 'newest' with `members`, otherwise 'any'
   * @see docs/lifecycle.md#placement
   * @example
   * members: true, placement: 'spread'
   */
  readonly placement?: Placement;
  /**
   * A role that `'spread'` has moved is not moved again by the same process for this long, in milliseconds. Ten times as
   * long, and twice as long each time, a member is not handed a role after it gave up as ineligible, or as a handler failed.
   * @default 30_000
   * @see docs/lifecycle.md#placement
   * @example
   * placementCooldownMs: 60_000
   */
  readonly placementCooldownMs?: number;
  /**
   * End this process with SIGKILL if a term runs out while the event loop is blocked: whatever blocks it would continue
   * the leader's work beside the next leader. A worker thread waits for half the time between `renewDeadlineMs` and
   * `leaseDurationMs`, and so acts before another replica may lead. It ends the whole process, and does so at a
   * breakpoint of a debugger too. At a stop of the whole process it does nothing.
   * @default false
   * @see docs/operations.md#watchdog
   * @example
   * watchdog: true
   */
  readonly watchdog?: boolean;
  /**
   * Run every `@Cron`, `@Interval` and `@Timeout` of the application on the leader of this role alone. `@EveryReplica()`
   * leaves one out, and `@LeaderOnly()` keeps the role that it names. Jobs that are added to SchedulerRegistry are not
   * gated; `leadership.guard()` gates their functions. At most one role of an application may ask for it.
   * @default false
   * @see docs/scheduling.md#one-line-for-all-timers
   * @example
   * gateSchedules: true
   */
  readonly gateSchedules?: boolean;
  /**
   * Over how many objects the `@LeaderCron()` jobs of this role are spread, 1 to 16: `<leaseName>-schedule` and
   * `<leaseName>-schedule-1`, `-2` and so on, all of which the Role must name. For hundreds of jobs; docs/scheduling.md says when
   * it helps, and how jobs move. A job that has moved stays where it is if this is changed later.
   * @default 1
   * @see docs/scheduling.md#several-objects
   * @example
   * scheduleObjects: 4
   */
  readonly scheduleObjects?: number;
  /**
   * `'shadow'`: elect a leader and gate nothing, to see what gates would change. `@LeaderOnly()`, `guard()` and
   * `gateSchedules` of this role let every call through on every replica, and log and count (`leadership.shadowSkips`)
   * what they would have skipped. Everything that asks who leads, handlers and `@LeaderCron()` work as ever.
   * @default 'enforce'
   * @see docs/scheduling.md#trying-it-in-shadow-mode
   * @example
   * mode: 'shadow'
   */
  readonly mode?: 'enforce' | 'shadow';
}

/** The option `members`. */
export type MembersOption =
  | boolean
  | {
      /**
       * Of the pods, as `kubectl get pods --selector` takes it, e.g. `app=plan-scheduler`.
       * @example
       * labelSelector: 'app=plan-scheduler'
       */
      readonly labelSelector: string;
    };

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
  /**
   * Modules that export what the factory injects.
   * @default none
   * @example
   * imports: [ConfigModule]
   */
  readonly imports?: ModuleMetadata['imports'];
  /**
   * Needed before the factory runs, for the injection tokens.
   * @example
   * role: 'plan-scheduler'
   */
  readonly role: string;
  /**
   * As in {@link LeaderElectionModuleOptions.isGlobal}.
   * @default true
   * @example
   * isGlobal: false
   */
  readonly isGlobal?: boolean;
  /**
   * What `useFactory` is called with.
   * @default nothing
   * @example
   * inject: [ConfigService]
   */
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  /**
   * Makes the options from what `inject` lists: those of `forRoot()`, without `isGlobal`. What it throws stops the start.
   * @default none
   * @example
   * useFactory: (config: ConfigService) => ({ namespace: config.get('NAMESPACE') })
   */
  readonly useFactory?: (
    // eslint-disable-next-line typescript/no-explicit-any -- whatever `inject` lists
    ...dependencies: any[]
  ) => LeaderElectionFactoryOptions | Promise<LeaderElectionFactoryOptions>;
  /**
   * A class that makes the options; Nest makes an instance of it for this module.
   * @default none
   * @example
   * useClass: ElectionSettings
   */
  readonly useClass?: Type<LeaderElectionOptionsFactory>;
  /**
   * The token of a provider that makes the options.
   * @default none
   * @example
   * useExisting: ElectionSettings
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
  readonly createLease: boolean;
  readonly podLabel: boolean;
  readonly autoStart: boolean;
  /** Undefined: they are not asked for. Without a selector it is that of the labels of this pod. */
  readonly members: { readonly labelSelector: string | undefined } | undefined;
  readonly podWatch: boolean;
  readonly eligibility: readonly EligibilityCheck[];
  readonly placement: Placement;
  readonly placementCooldownMs: number;
  readonly watchdog: boolean;
  readonly gateSchedules: boolean;
  readonly scheduleObjects: number;
  readonly mode: 'enforce' | 'shadow';
}

const OPTION_NAMES = [
  ...ELECTION_OPTION_NAMES,
  'lock',
  'createLease',
  'podLabel',
  'autoStart',
  'members',
  'podWatch',
  'eligibility',
  'placement',
  'placementCooldownMs',
  'watchdog',
  'gateSchedules',
  'scheduleObjects',
  'mode',
];

/** What may follow the slash in the key of a label. */
const LABEL_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

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
    lock: readLockChoice(reader),
    createLease: reader.boolean('createLease', true),
    podLabel: reader.boolean('podLabel', false),
    autoStart: reader.boolean('autoStart', true),
    members: readMembers(reader),
    podWatch: reader.boolean('podWatch', false),
    eligibility: readEligibility(reader),
    placement: readPlacement(reader),
    placementCooldownMs: reader.milliseconds(
      'placementCooldownMs',
      DEFAULT_PLACEMENT_COOLDOWN_MS,
      0,
    ),
    watchdog: reader.boolean('watchdog', false),
    gateSchedules: reader.boolean('gateSchedules', false),
    scheduleObjects: readScheduleObjects(reader),
    mode: readMode(reader),
  };
  if (options.podLabel && !LABEL_NAME.test(options.role)) {
    const rule =
      'must be fit for a label where podLabel is true: at most 63 letters, digits, "-", "_" and ".", the first and last a letter or digit';
    reader.fault('role', options.role, rule, 'rename it, or leave podLabel out');
  }
  if (options.podWatch && !asksForMembers(reader)) {
    const rule = 'needs the members of the application';
    reader.fault('podWatch', true, rule, 'add members: true, or leave podWatch out');
  }
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

function readMode(reader: OptionReader): 'enforce' | 'shadow' {
  const mode = reader.get('mode');
  if (mode === undefined || mode === 'enforce') return 'enforce';
  if (mode !== 'shadow') {
    reader.fault('mode', mode, 'must be "enforce" or "shadow"', 'use "enforce", or leave it out');
  }
  return 'shadow';
}

/** A role that is spread over more objects has too much in one election: its jobs belong to several roles. */
const MOST_SCHEDULE_OBJECTS = 16;

function readScheduleObjects(reader: OptionReader): number {
  const objects = reader.get('scheduleObjects');
  if (objects === undefined) return 1;
  const isCount = typeof objects === 'number' && Number.isInteger(objects);
  if (isCount && objects >= 1 && objects <= MOST_SCHEDULE_OBJECTS) return objects;
  const rule = `must be a whole number from 1 to ${MOST_SCHEDULE_OBJECTS}`;
  const fix = 'use 4 for about 1,000 jobs, or leave it out';
  reader.fault('scheduleObjects', objects, rule, fix);
  return 1;
}

function readMembers(reader: OptionReader): ResolvedModuleOptions['members'] {
  const members = reader.get('members');
  if (members === undefined || members === false) return undefined;
  if (members === true) return { labelSelector: undefined };
  const fix = "use true, or for example { labelSelector: 'app=plan-scheduler' }";
  if (typeof members !== 'object' || members === null || Array.isArray(members)) {
    reader.fault('members', members, 'must be a boolean or an object with a labelSelector', fix);
    return undefined;
  }
  for (const [field, value] of Object.entries(members)) {
    if (field === 'labelSelector') continue;
    reader.fault(`members.${field}`, value, 'is not an option', 'remove it or use labelSelector');
  }
  const { labelSelector } = members as Record<string, unknown>;
  const fault = textFault(labelSelector, 'app=plan-scheduler', LONGEST_SELECTOR);
  if (fault !== undefined) reader.fault('members.labelSelector', labelSelector, fault.rule, fix);
  return { labelSelector: fault === undefined ? (labelSelector as string) : undefined };
}

/** Also if it asks in a wrong way, which is a fault of its own. */
function asksForMembers(reader: OptionReader): boolean {
  const members = reader.get('members');
  return members !== undefined && members !== false;
}

/** It is sent in a URL. */
const LONGEST_SELECTOR = 4_096;

const DEFAULT_PLACEMENT_COOLDOWN_MS = 30_000;
const PLACEMENTS: readonly unknown[] = ['newest', 'spread', 'any'];

function readPlacement(reader: OptionReader): Placement {
  const placement = reader.get('placement');
  const hasMembers = asksForMembers(reader);
  if (placement === undefined) return hasMembers ? 'newest' : 'any';
  if (typeof placement !== 'function' && !PLACEMENTS.includes(placement)) {
    const rule = "must be 'newest', 'spread', 'any' or a function";
    reader.fault('placement', placement, rule, "use 'newest', or leave it out");
  } else if (placement !== 'any' && !hasMembers) {
    const rule = 'needs the members of the application';
    reader.fault('placement', placement, rule, 'add members: true, or leave placement out');
  }
  return placement as Placement;
}

function readEligibility(reader: OptionReader): readonly EligibilityCheck[] {
  const checks = reader.get('eligibility');
  if (checks === undefined) return [];
  if (Array.isArray(checks) && checks.every((check) => typeof check === 'function')) {
    return [...(checks as EligibilityCheck[])];
  }
  const fix = "use for example [() => database.pingCheck('database')]";
  reader.fault('eligibility', checks, 'must be a list of functions', fix);
  return [];
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
