/**
 * `@nullplatform/k8s-lease-lock`, as its README uses it. It does not say that it has lost the lease, so it is asked whether it
 * still renews: `isLocking` is false during each renewal as well.
 */
import { KubeConfig } from '@kubernetes/client-node';
import { K8SLock } from '@nullplatform/k8s-lease-lock';
import { compete } from './candidate.js';

await compete((candidate) => {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(candidate.kubeConfigFile);
  const lock = new K8SLock({
    kubeConfig,
    leaseName: candidate.leaseName,
    namespace: candidate.namespace,
    lockLeaserId: candidate.identity,
    leaseDurationInSeconds: candidate.leaseMs / 1_000,
    refreshLockInterval: candidate.retryMs,
    lockTryInterval: candidate.retryMs,
  });
  const leads = (): boolean => lock.keepLocking === true;
  candidate.ask(leads);
  // A failed request rejects, and ends the process: the kubelet starts it again.
  void lock.startLocking();
  return { leads, leave: () => lock.stopLocking() };
});
