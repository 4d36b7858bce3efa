/** A poll loop as its own program. */
import { KubeConfig } from '@kubernetes/client-node';
import { compete } from './candidate.js';
import { PollLoop } from './poll-loop.js';

await compete((candidate) => {
  const { leaseName, namespace, identity, leaseMs, renewMs, retryMs } = candidate;
  const config = new KubeConfig();
  config.loadFromFile(candidate.kubeConfigFile);
  const elector = new PollLoop({
    config,
    leaseName,
    namespace,
    identity,
    leaseMs,
    renewMs,
    retryMs,
  });
  candidate.ask(() => elector.leads());
  return elector;
});
