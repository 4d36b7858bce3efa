import { userInfo } from 'node:os';
import type { LockRequester, ResourceLock, ResourceLockFactory } from '../core/resource-lock.js';
import { LockRequestError } from '../core/errors.js';
import { PodEnvironment } from '../kubernetes/connection/pod-environment.js';
import { fileLockOfOutlived, fileLockOfVisitor } from '../locks/file/file.lock.js';
import type { FileLockOptions } from '../locks/file/file-lock-options.js';
import { visitedDirectory } from '../locks/file/lease-files.js';
import type { FileLockDirectory } from '../locks/file/lease-paths.js';
import { configMapLockIn } from '../locks/kubernetes/config-map.lock.js';
import { leaseLockIn, type LeaseLockOptions } from '../locks/kubernetes/lease.lock.js';
import { failedRequest } from '../fleet/fleet-error.js';
import { type CommandCall, type CommandOptions, textOf, UsageError } from './command.js';

/** Which lease a command is about, and where it is: of every command. */
export const CONNECTION_OPTIONS: CommandOptions = {
  lease: { type: 'string', value: 'NAME', help: 'the option leaseName; default: the role' },
  role: { type: 'string', value: 'NAME', help: 'the option role; default: the lease' },
  namespace: { type: 'string', value: 'NAME', help: 'default: that of the pod or of the context' },
  lock: {
    type: 'string',
    value: 'lease|config-map|file',
    help: 'what the application uses; default: lease',
  },
  directory: {
    type: 'string',
    value: 'PATH',
    help: 'of the file lock; default: that of this user',
  },
  'config-map': { type: 'string', value: 'NAME', help: 'of the config-map lock; default: leaders' },
  kubeconfig: { type: 'string', value: 'PATH', help: 'default: KUBECONFIG, or ~/.kube/config' },
  context: { type: 'string', value: 'NAME', help: 'of the kubeconfig; default: the current one' },
};

/** The lease that a command is about. */
export interface LeaseName {
  readonly role: string;
  readonly leaseName: string;
  readonly namespace: string | undefined;
}

export function leaseNameOf(call: CommandCall): LeaseName {
  const lease = textOf(call, 'lease');
  const role = textOf(call, 'role');
  const leaseName = lease ?? role;
  if (leaseName === undefined) throw new UsageError('name the lease with --lease, or its --role');
  return { leaseName, role: role ?? leaseName, namespace: textOf(call, 'namespace') };
}

/** Of a command that looks at what others have made, or competes in its own right. */
type LockUser = 'visitor' | 'competitor';

/**
 * The lock that the options of the command line mean. In a pod that is the cluster of the pod, and anywhere else the
 * kubeconfig: whoever calls a command asks for it.
 *
 * @param user a competitor's work is in another process, which outlives this one
 */
export function lockFactoryOf(call: CommandCall, user: LockUser = 'visitor'): ResourceLockFactory {
  const name = textOf(call, 'lock') ?? 'lease';
  if (name === 'file') {
    const options = fileLockOptions(call);
    return user === 'competitor' ? fileLockOfOutlived(options) : fileLockOfVisitor(options);
  }
  const pod = podEnvironmentOf(call);
  const cluster = clusterOptions(call, pod);
  if (name === 'lease') return leaseLockIn(pod, cluster);
  if (name !== 'config-map') {
    throw new UsageError(`--lock ${name}: must be lease, config-map or file`);
  }
  const configMap = textOf(call, 'config-map');
  return configMapLockIn(pod, { ...cluster, ...(configMap !== undefined && { name: configMap }) });
}

function fileLockOptions(call: CommandCall): FileLockOptions {
  const directory = textOf(call, 'directory');
  return directory === undefined ? {} : { directory };
}

/** Of the file lock. */
export function leaseDirectoryOf(call: CommandCall): FileLockDirectory {
  return visitedDirectory(fileLockOptions(call));
}

/** A command that runs in a pod of the application is not that pod: it must not be written as the leader's. */
export function podEnvironmentOf({
  env: { POD_NAME: _podName, ...env },
}: CommandCall): PodEnvironment {
  return new PodEnvironment(env);
}

export function clusterOptions(call: CommandCall, pod: PodEnvironment): LeaseLockOptions {
  const kubeConfigFile = textOf(call, 'kubeconfig');
  const context = textOf(call, 'context');
  const inContext = context === undefined ? {} : { context };
  if (kubeConfigFile !== undefined) return { kubeConfigFile, ...inContext };
  const isInPod = context === undefined && pod.sign() !== undefined;
  return isInPod ? {} : { kubeConfig: 'default', ...inContext };
}

/** Who asks, for logs and records: `anna@laptop`. */
export function operatorName({ env }: CommandCall): string {
  const host = env['POD_NAME'] ?? env['HOSTNAME'] ?? 'localhost';
  try {
    return `${userInfo().username}@${host}`;
  } catch {
    // The user of a container may have no name.
    return `cli@${host}`;
  }
}

/**
 * Opens the lock for a command, and closes it after it.
 *
 * @throws FleetError if the lock refuses, or does not answer
 */
export async function withLock<T>(
  call: CommandCall,
  use: (lock: ResourceLock, lease: LeaseName) => Promise<T>,
): Promise<T> {
  const lease = leaseNameOf(call);
  const requester: LockRequester = { ...lease, identity: operatorName(call), createLease: false };
  const lock = await lockFactoryOf(call)(requester);
  try {
    return await use(lock, lease);
  } catch (error) {
    throw error instanceof LockRequestError ? failedRequest(error) : error;
  } finally {
    await lock.close?.();
  }
}
