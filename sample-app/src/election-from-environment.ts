import {
  type ElectionProfile,
  fileLock,
  leaseLock,
  type LeaderElectionModuleOptions,
} from 'nestjs-leader-election';
import { simulatedNetwork } from './control-room/simulated-network.js';

/** What the manifests in `k8s` set, one variable for each option; without any, the defaults. */
export function electionFromEnvironment(
  environment: NodeJS.ProcessEnv,
): Omit<LeaderElectionModuleOptions, 'role'> {
  const { MEMBERS, POD_WATCH, POD_LABEL, EVENTS, CREATE_LEASE, IDENTITY, PROFILE } = environment;
  return {
    ...lockFrom(environment),
    ...(IDENTITY ? { identity: IDENTITY } : {}),
    // Whatever is no profile is refused at the start.
    ...(PROFILE ? { profile: PROFILE as ElectionProfile } : {}),
    members: MEMBERS === 'true',
    podWatch: POD_WATCH === 'true',
    podLabel: POD_LABEL === 'true',
    events: EVENTS === 'true',
    createLease: CREATE_LEASE !== 'false',
  };
}

/**
 * `LOCK=file` (optionally with `LOCK_DIRECTORY`): a file on this machine. `LOCK=lease`: the Lease of a cluster, through
 * the kubeconfig that kubectl uses, optionally in `NAMESPACE`. `LOCK=config-map`: a ConfigMap of the cluster that the pod
 * runs in. None of them: what `lock: 'auto'` finds, which is the Lease inside a pod and in development the file.
 * `npm start` says `LOCK=file`, and `SIMULATED_NETWORK=true` where its page is to cut the network.
 */
function lockFrom({
  LOCK,
  LOCK_DIRECTORY,
  NAMESPACE,
  SIMULATED_NETWORK,
}: NodeJS.ProcessEnv): Pick<LeaderElectionModuleOptions, 'lock' | 'namespace'> {
  switch (LOCK) {
    case undefined:
      return { lock: 'auto' };
    case 'file': {
      const lock = fileLock(LOCK_DIRECTORY ? { directory: LOCK_DIRECTORY } : {});
      return { lock: SIMULATED_NETWORK === 'true' ? simulatedNetwork.before(lock) : lock };
    }
    case 'lease':
      return {
        lock: leaseLock({ kubeConfig: 'default' }),
        ...(NAMESPACE ? { namespace: NAMESPACE } : {}),
      };
    case 'config-map':
      return { lock: 'config-map' };
    default:
      throw new Error(
        `LOCK is "${LOCK}"; use LOCK=file, LOCK=lease or LOCK=config-map, or leave it out`,
      );
  }
}
