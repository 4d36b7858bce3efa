/** `@codedependant/kubernetes-leader-election`, as its README uses it: the program listens for SIGTERM, and stops the elector. */
import codedependant from '@codedependant/kubernetes-leader-election';
import { compete } from './candidate.js';

const { Elector, EVENTS } = codedependant;

await compete(async (candidate) => {
  const elector = new Elector({
    auto_close: false,
    identity: candidate.identity,
    lease_duration_sec: candidate.leaseMs / 1_000,
    lease_name: candidate.leaseName,
    namespace: candidate.namespace,
    renew_interval_ms: candidate.retryMs,
  });
  elector.on(EVENTS.LEADERSHIP_ACQUIRED, () => candidate.granted());
  elector.on(EVENTS.LEADERSHIP_LOST, () => void candidate.revoked());
  await elector.start();
  return { leads: () => elector.current_leader, leave: () => elector.stop() };
});
