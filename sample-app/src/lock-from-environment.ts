import { fileLock, leaseLock, type LeaderElectionModuleOptions } from 'nestjs-leader-election';

/**
 * `LOCK=file` (optionally with `LOCK_DIRECTORY`): a file on this machine. `LOCK=lease`: the Lease of a cluster, through
 * the kubeconfig that kubectl uses, optionally in `NAMESPACE`. Neither: what `lock: 'auto'` finds, which is the Lease
 * inside a pod and in development the file. `npm start` says `LOCK=file`.
 */
export function lockFromEnvironment(
  environment: NodeJS.ProcessEnv,
): Pick<LeaderElectionModuleOptions, 'lock' | 'namespace'> {
  const { LOCK, LOCK_DIRECTORY, NAMESPACE } = environment;
  switch (LOCK) {
    case undefined:
      return { lock: 'auto' };
    case 'file':
      return { lock: fileLock(LOCK_DIRECTORY ? { directory: LOCK_DIRECTORY } : {}) };
    case 'lease':
      return {
        lock: leaseLock({ kubeConfig: 'default' }),
        ...(NAMESPACE ? { namespace: NAMESPACE } : {}),
      };
    default:
      throw new Error(`LOCK is "${LOCK}"; use LOCK=file or LOCK=lease, or leave it out`);
  }
}
