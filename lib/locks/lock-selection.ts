import { fileLock } from './file/file.lock.js';
import { leaseLock } from './kubernetes/lease.lock.js';
import { PodEnvironment } from './kubernetes/pod-environment.js';
import { memoryLock } from './memory.lock.js';
import type { LockRequester, ResourceLock, ResourceLockFactory } from './resource-lock.js';

/**
 * - `auto`: inside a pod the Lease, anywhere else the file lock. A kubeconfig is never used without being asked for.
 * - `lease`: `leaseLock()`. - `file`: `fileLock()`. - `memory`: `memoryLock()`, shared with nobody.
 */
export type LockName = 'auto' | 'lease' | 'file' | 'memory';

/** A lock by name, the factory of one, or one that is ready. */
export type LockChoice = LockName | ResourceLockFactory | ResourceLock;

export const LOCK_NAMES: readonly LockName[] = ['auto', 'lease', 'file', 'memory'];

const LOCK_METHODS = ['read', 'create', 'replace', 'describe'] as const;

export interface SelectedLock {
  readonly lock: ResourceLock;
  /** What people should know about the choice; undefined where they made it themselves. */
  readonly notice?: string;
}

export function isLockChoice(value: unknown): value is LockChoice {
  if (typeof value === 'string') return (LOCK_NAMES as readonly string[]).includes(value);
  return typeof value === 'function' || isResourceLock(value);
}

/** Makes the lock of one election. No choice ever means "assume leadership". */
export async function selectLock(
  choice: LockChoice,
  requester: LockRequester,
  pod: PodEnvironment = new PodEnvironment(),
): Promise<SelectedLock> {
  if (typeof choice === 'object') return { lock: choice };
  if (choice === 'auto' && !pod.isInPod()) {
    const lock = await made(fileLock(), requester);
    return {
      lock,
      notice:
        `not in a pod: only processes of this host compete, for ${lock.describe()} ` +
        `(choose with the option "lock")`,
    };
  }
  return { lock: await made(typeof choice === 'function' ? choice : named(choice), requester) };
}

function named(name: LockName): ResourceLockFactory {
  switch (name) {
    case 'auto':
    case 'lease':
      return leaseLock();
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
