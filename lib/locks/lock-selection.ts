import { existsSync, readFileSync } from 'node:fs';
import type { Environment } from '../core/environment.js';
import { LeaderElectionOptionsError, type OptionFault } from '../core/errors.js';
import type { OptionReader } from '../core/option-reader.js';
import type { LockRequester, ResourceLock, ResourceLockFactory } from '../core/resource-lock.js';
import { PodEnvironment } from '../kubernetes/connection/pod-environment.js';
import { fileLock } from './file/file.lock.js';
import { LocalLock } from './file/local-lock.js';
import { configMapLockIn } from './kubernetes/config-map.lock.js';
import { checkPod, leaseLockIn } from './kubernetes/lease.lock.js';
import { MemoryLock, memoryLock } from './memory/memory.lock.js';

/** Variables that test runners set in the processes of the tests and their children. */
const TEST_RUNNERS: readonly (readonly [variable: keyof Environment, runner: string])[] = [
  ['JEST_WORKER_ID', 'Jest'],
  ['VITEST', 'Vitest'],
  ['NODE_TEST_CONTEXT', 'node:test'],
  ['MOCHA_WORKER_ID', 'Mocha'],
];

/** Mocha sets nothing if it runs in one process. */
const MOCHA_PROGRAM = /[\\/](_?mocha)(\.js|\.cjs)?$/;

/** Files that container engines put into every container. */
const CONTAINER_FILES = ['/.dockerenv', '/run/.containerenv'];

const CONTAINER_CGROUP = /docker|kubepods|containerd|libpod|podman|lxc|crio|ecs|garden/;

/** Looks at the files of the machine; none of them is changed. */
export interface MachineFiles {
  exists(path: string): boolean;
  /** Empty if it cannot be read. */
  text(path: string): string;
}

const ownMachine: MachineFiles = {
  exists: existsSync,
  text(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      // The file does not exist on this platform or not for this user.
      return '';
    }
  },
};

/** What a process can know about where it runs and what for. Tests pass all of it. */
export class ProcessSurroundings {
  constructor(
    private readonly env: Environment = process.env,
    private readonly program: string = process.argv[1] ?? '',
    private readonly files: MachineFiles = ownMachine,
    readonly pod: PodEnvironment = new PodEnvironment(env),
  ) {}

  /** `NODE_ENV=production`. */
  get isProduction(): boolean {
    return this.env['NODE_ENV'] === 'production';
  }

  /** The test runner that this process belongs to, if any. */
  testRunner(): string | undefined {
    const known = TEST_RUNNERS.find(([variable]) => Boolean(this.env[variable]));
    if (known !== undefined) return known[1];
    return MOCHA_PROGRAM.test(this.program) ? 'Mocha' : undefined;
  }

  /** What shows that this is a container, e.g. `/.dockerenv`; undefined if nothing does. */
  containerSign(): string | undefined {
    const file = CONTAINER_FILES.find((path) => this.files.exists(path));
    if (file !== undefined) return file;
    if (this.env['container']) return `the environment variable container=${this.env['container']}`;
    if (CONTAINER_CGROUP.test(this.files.text('/proc/1/cgroup'))) return '/proc/1/cgroup';
    const root = this.files.text('/proc/self/mountinfo').split('\n').find(isRootMount);
    return root?.includes(' - overlay ') ? 'an overlay as the root file system' : undefined;
  }
}

/** The fifth field of a line of mountinfo is where the file system is mounted. */
function isRootMount(line: string): boolean {
  return line.split(' ')[4] === '/';
}

/**
 * - `auto`: in a pod the Lease; under a test runner the memory lock; anywhere else, in development only, the file lock.
 *   A kubeconfig is used only on request.
 * - `lease`: `leaseLock()`. - `config-map`: `configMapLock()`. - `file`: `fileLock()`. - `memory`: `memoryLock()`, shared with no other application.
 */
export type LockName = 'auto' | 'lease' | 'config-map' | 'file' | 'memory';

/** The name of a lock, its factory, or the lock itself. */
export type LockChoice = LockName | ResourceLockFactory | ResourceLock;

const LOCK_NAMES: readonly LockName[] = ['auto', 'lease', 'config-map', 'file', 'memory'];

const LOCK_METHODS = ['read', 'create', 'replace', 'describe'] as const;

/** What people should know about the lock: its limits, or that it was chosen for them. */
export interface LockRemark {
  readonly level: 'log' | 'warn';
  readonly text: string;
}

export interface SelectedLock {
  readonly lock: ResourceLock;
  readonly remark: LockRemark | undefined;
  /** Absent if the lock was given as an object, and is the lock of one lease alone. */
  readonly beside?: LockBeside;
}

/** Makes the lock of another lease like this one, named `<leaseName>-<suffix>`. */
export type LockBeside = (suffix: string, identity: string) => Promise<LockOfLeaseBeside>;

export interface LockOfLeaseBeside {
  readonly lock: ResourceLock;
  /** False: a factory of the user's made it, which may have ignored the name that it was asked for. */
  readonly isOwnLease: boolean;
}

function isLockChoice(value: unknown): value is LockChoice {
  if (typeof value === 'string') return (LOCK_NAMES as readonly string[]).includes(value);
  return typeof value === 'function' || isResourceLock(value);
}

/** The option `lock`. */
export function readLockChoice(reader: OptionReader): LockChoice {
  const lock = reader.get('lock');
  if (lock === undefined) return 'auto';
  if (isLockChoice(lock)) return lock;
  const names = LOCK_NAMES.map((name) => `"${name}"`).join(', ');
  reader.fault(
    'lock',
    lock,
    `must be one of ${names}, the result of leaseLock(), configMapLock(), fileLock() or memoryLock(), or a ResourceLock`,
    'name one of these, or leave it out',
  );
  return 'auto';
}

/**
 * Makes the lock of one election. No choice ever means "assume leadership".
 *
 * @throws LeaderElectionOptionsError where `auto` must not guess: in an incomplete pod, or outside a pod in production
 */
export async function selectLock(
  choice: LockChoice,
  requester: LockRequester,
  surroundings: ProcessSurroundings = new ProcessSurroundings(),
): Promise<SelectedLock> {
  if (typeof choice === 'object') {
    return withBeside({ lock: choice, remark: limitOf(choice, surroundings) });
  }
  if (choice === 'auto') return withBeside(await automaticLock(requester, surroundings));
  const factory = typeof choice === 'function' ? choice : named(choice, surroundings);
  const lock = await made(factory, requester);
  return withBeside({ lock, remark: limitOf(lock, surroundings) }, async (suffix, identity) => {
    const leaseName = `${requester.leaseName}-${suffix}`;
    return { lock: await made(factory, { ...requester, leaseName, identity }), isOwnLease: false };
  });
}

/** A lock that can makes its own. */
function withBeside(selected: SelectedLock, otherwise?: LockBeside): SelectedLock {
  const { lock } = selected;
  if (typeof lock.leaseBeside !== 'function') {
    return otherwise === undefined ? selected : { ...selected, beside: otherwise };
  }
  const beside: LockBeside = async (suffix, identity) => ({
    lock: lock.leaseBeside!(suffix, identity),
    isOwnLease: true,
  });
  return { ...selected, beside };
}

/** A test runner counts more than a pod: tests that run in a cluster must not compete for a Lease there. */
async function automaticLock(
  requester: LockRequester,
  surroundings: ProcessSurroundings,
): Promise<SelectedLock> {
  const runner = surroundings.testRunner();
  if (runner !== undefined) {
    const lock = await made(memoryLock(), requester);
    const text = `lock 'auto' is the memory lock under ${runner}: this application competes with no other, not even in this process`;
    return { lock, remark: { level: 'log', text } };
  }
  if (surroundings.pod.sign() !== undefined) {
    checkPod('lock', 'auto', surroundings.pod);
    return { lock: await made(leaseLockIn(surroundings.pod, {}), requester), remark: undefined };
  }
  if (surroundings.isProduction) throw new LeaderElectionOptionsError([unchosen(surroundings)]);
  const lock = await made(fileLock(), requester);
  const container = surroundings.containerSign();
  if (container !== undefined) {
    const text =
      `lock 'auto' is the file lock in this container, which is not a pod (found ${container}): ` +
      `other containers elect leaders of their own. If this runs in several, ${CHOOSE}.`;
    return { lock, remark: { level: 'warn', text } };
  }
  const text = `lock 'auto' is the file lock outside a pod: only processes of this user on this machine compete, with ${lock.describe()}`;
  return { lock, remark: { level: 'log', text } };
}

const CHOOSE =
  'use fileLock({ directory }) with a directory that all processes share, on one machine, or leaseLock({ kubeConfig }) for a cluster';

/** Containers have users and directories of their own, so with `lock: 'file'` each of them would become leader. */
function unchosen(surroundings: ProcessSurroundings): OptionFault {
  const isContainer = surroundings.containerSign() !== undefined;
  const forOneUser = isContainer ? '' : ", or lock: 'file' if one user runs them all";
  return {
    field: 'lock',
    value: 'auto',
    isDefault: true,
    rule: 'must be chosen where NODE_ENV is production and the process does not run in a pod, as a guess could make every process lead',
    fix: `for the processes of one machine lock: fileLock({ directory }) with a directory they all share${forOneUser}; for a cluster lock: leaseLock({ kubeConfig })`,
  };
}

/** The limits of a lock that was asked for, where they are likely to matter. */
function limitOf(lock: ResourceLock, surroundings: ProcessSurroundings): LockRemark | undefined {
  if (surroundings.testRunner() !== undefined) return undefined;
  const isInPod = surroundings.pod.sign() !== undefined;
  if (lock instanceof MemoryLock && (isInPod || surroundings.isProduction)) {
    const instead = isInPod ? "use lock: 'lease'" : CHOOSE;
    const text =
      'the memory lock is shared with no other process: every process leads and runs what must run once. ' +
      `If there are several, ${instead}.`;
    return { level: 'warn', text };
  }
  if (!(lock instanceof LocalLock && lock.isInDefaultDirectory)) return undefined;
  const where = lock.describe();
  if (isInPod) {
    const text = `the ${where} are this pod's own: every pod elects a leader of its own. If there are several, use lock: 'lease'.`;
    return { level: 'warn', text };
  }
  const container = surroundings.containerSign();
  if (container !== undefined) {
    const text = `the ${where} are this container's own (found ${container}): other containers elect leaders of their own. If this runs in several, ${CHOOSE}.`;
    return { level: 'warn', text };
  }
  if (!surroundings.isProduction) return undefined;
  const text =
    `only processes of this user with this directory for temporary files compete, with ${where}; ` +
    'if there are others, name a directory that all share: fileLock({ directory })';
  return { level: 'log', text };
}

function named(name: Exclude<LockName, 'auto'>, { pod }: ProcessSurroundings): ResourceLockFactory {
  switch (name) {
    case 'lease':
      return leaseLockIn(pod, {});
    case 'config-map':
      return configMapLockIn(pod, {});
    case 'file':
      return fileLock();
    case 'memory':
      return memoryLock();
    default:
      return name satisfies never;
  }
}

async function made(factory: ResourceLockFactory, requester: LockRequester): Promise<ResourceLock> {
  const lock: unknown = await factory(requester);
  if (isResourceLock(lock)) return lock;
  const missing = `one with the methods ${LOCK_METHODS.join(', ')}`;
  throw new TypeError(
    `The option "lock" is a factory that made no lock for ${requester.leaseName}: return ${missing}.`,
  );
}

function isResourceLock(value: unknown): value is ResourceLock {
  if (typeof value !== 'object' || value === null) return false;
  const methods = value as Record<string, unknown>;
  return LOCK_METHODS.every((method) => typeof methods[method] === 'function');
}
