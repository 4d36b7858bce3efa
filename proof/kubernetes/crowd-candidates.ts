/**
 * One process with many candidates for one Lease, each with its own connections, as if each were a replica. It does what its
 * parent says, and tells who leads. Settings come in the environment, see `CandidatesSettings`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type * as Options from '../../lib/core/election-options.js';
import type * as Elector from '../../lib/elector/leader-elector.js';
import type * as Clock from '../../lib/elector/system-clock.js';
import type * as Lock from '../../lib/locks/kubernetes/lease.lock.js';
import { CandidatesChannel } from './candidates-channel.js';

const channel = new CandidatesChannel();
const { library, kubeConfigFile, leaseName, identities } = channel.settings;
const load = (file: string): Promise<unknown> => import(new URL(file, library).href);
const { resolveElectionOptions } = (await load('core/election-options.js')) as typeof Options;
const { LeaderElector } = (await load('elector/leader-elector.js')) as typeof Elector;
const { SystemClock } = (await load('elector/system-clock.js')) as typeof Clock;
const { leaseLock } = (await load('locks/kubernetes/lease.lock.js')) as typeof Lock;

async function candidate(identity: string): Promise<InstanceType<typeof LeaderElector>> {
  const lock = await leaseLock({ kubeConfigFile })({ leaseName, namespace: undefined, identity });
  const config = resolveElectionOptions({ role: 'crowd', leaseName, identity }, identity);
  return new LeaderElector(
    { ...config, memberUid: identity },
    {
      lock,
      clock: new SystemClock(),
      random: Math.random,
      observer: {
        onGranted: () => channel.tell('granted', identity),
        onRevoked: () => channel.tell('revoked', identity),
        onNotice: (notice) => {
          if (notice.kind !== 'leader-changed' || notice.leader === undefined) return;
          channel.tellLater(identity, notice.leader);
        },
      },
    },
  );
}

const electors = new Map<string, InstanceType<typeof LeaderElector>>();
for (const identity of identities) electors.set(identity, await candidate(identity));

async function start(apartMs: number): Promise<void> {
  for (const elector of electors.values()) {
    elector.start();
    if (apartMs > 0) await delay(apartMs);
  }
}

channel.onOrder((order) => {
  if (order.kind === 'start') void start(order.apartMs);
  else {
    const leader = electors.get(order.identity)!;
    if (order.successor !== undefined) leader.nominate(order.successor);
    leader.stepDown(order.cooldownMs);
  }
});
