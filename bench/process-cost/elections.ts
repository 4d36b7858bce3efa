import { readFileSync } from 'node:fs';
import {
  Injectable,
  type ModuleMetadata,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import type * as ours from '../../lib/index.js';
import { OURS } from './packages.js';

/** For whom one replica competes, and whom it tells. */
export interface Elected {
  readonly leaseName: string;
  readonly namespace: string;
  readonly identity: string;
  readonly load: (name: string) => Promise<unknown>;
  readonly leads: () => void;
}

/** How one application elects its leader. */
export interface Election {
  /** What an application loads of it as it is loaded itself. */
  readonly packages: readonly string[];
  /** What the root module has of it. */
  readonly parts: (elected: Elected) => Promise<Pick<ModuleMetadata, 'imports' | 'providers'>>;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const LEASE_SECONDS = 15;
const RENEW_SECONDS = 10;
const PERIOD_MS = 2_000;

/** Each as its README says, with the periods of this library's defaults where they can be chosen. */
export const elections: Readonly<Record<string, Election>> = {
  none: { packages: [], parts: async () => ({}) },

  /** What any elector has to do at least: one request, over a connection that it keeps. */
  'one-request': {
    packages: [],
    async parts({ leaseName, namespace, leads }) {
      const { Agent, get } = await import('node:https');
      const read = (name: string): string => readFileSync(`${SERVICE_ACCOUNT}/${name}`, 'utf8');

      @Injectable()
      class OneRequest implements OnApplicationBootstrap, OnApplicationShutdown {
        private readonly agent = new Agent({ keepAlive: true, ca: read('ca.crt') });

        onApplicationBootstrap(): void {
          const request = get({
            agent: this.agent,
            host: process.env['KUBERNETES_SERVICE_HOST'],
            port: process.env['KUBERNETES_SERVICE_PORT'],
            path: `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${leaseName}`,
            headers: { Authorization: `Bearer ${read('token')}` },
          });
          request.on('response', (response) => response.resume().on('end', leads));
        }

        onApplicationShutdown(): void {
          this.agent.destroy();
        }
      }

      return { providers: [OneRequest] };
    },
  },

  ours: { packages: [OURS], parts: (elected) => ourParts(elected, 'lease') },

  'ours-kubeconfig': {
    packages: [OURS],
    parts: (elected) => ourParts(elected, ({ leaseLock }) => leaseLock({ kubeConfig: 'default' })),
  },

  codedependant: {
    packages: ['@codedependant/kubernetes-leader-election'],
    async parts({ leaseName, namespace, identity, load, leads }) {
      const { Elector, EVENTS } = (await load(
        '@codedependant/kubernetes-leader-election',
      )) as (typeof import('@codedependant/kubernetes-leader-election'))['default'];

      @Injectable()
      class ElectorService implements OnApplicationBootstrap, OnApplicationShutdown {
        private readonly elector = new Elector({
          lease_name: leaseName,
          namespace,
          identity,
          auto_close: false,
          renew_interval_ms: PERIOD_MS,
          lease_duration_sec: LEASE_SECONDS,
        });

        async onApplicationBootstrap(): Promise<void> {
          this.elector.on(EVENTS.LEADERSHIP_ACQUIRED, leads);
          await this.elector.start();
        }

        onApplicationShutdown(): Promise<void> {
          return this.elector.stop();
        }
      }

      return { providers: [ElectorService] };
    },
  },

  nullplatform: {
    packages: ['@nullplatform/k8s-lease-lock'],
    async parts({ leaseName, namespace, identity, load, leads }) {
      const { K8SLock } = (await load(
        '@nullplatform/k8s-lease-lock',
      )) as typeof import('@nullplatform/k8s-lease-lock');

      @Injectable()
      class LockService implements OnApplicationBootstrap, OnApplicationShutdown {
        private readonly lock = new K8SLock({
          leaseName,
          namespace,
          lockLeaserId: identity,
          leaseDurationInSeconds: LEASE_SECONDS,
          refreshLockInterval: PERIOD_MS,
          lockTryInterval: PERIOD_MS,
        });

        onApplicationBootstrap(): void {
          void this.lock.startLocking().then(leads);
        }

        onApplicationShutdown(): Promise<void> {
          return this.lock.stopLocking();
        }
      }

      return { providers: [LockService] };
    },
  },

  'poll-loop': {
    packages: ['@kubernetes/client-node'],
    async parts({ leaseName, namespace, identity, leads }) {
      const { KubeConfig } = await import('@kubernetes/client-node');
      const { PollLoop } = await import('../contenders/poll-loop.js');

      @Injectable()
      class PollLoopService implements OnApplicationBootstrap, OnApplicationShutdown {
        private loop: InstanceType<typeof PollLoop> | undefined;
        private hasLed = false;

        onApplicationBootstrap(): void {
          const config = new KubeConfig();
          config.loadFromDefault();
          this.loop = new PollLoop({
            config,
            leaseName,
            namespace,
            identity,
            leaseMs: LEASE_SECONDS * 1_000,
            renewMs: RENEW_SECONDS * 1_000,
            retryMs: PERIOD_MS,
            written: () => {
              if (!this.hasLed) leads();
              this.hasLed = true;
            },
          });
        }

        onApplicationShutdown(): Promise<void> | undefined {
          return this.loop?.leave();
        }
      }

      return { providers: [PollLoopService] };
    },
  },
};

async function ourParts(
  { leaseName, load, leads }: Elected,
  lock: 'lease' | ((library: typeof ours) => ours.LeaderElectionModuleOptions['lock']),
): Promise<Pick<ModuleMetadata, 'imports' | 'providers'>> {
  const library = (await load(OURS)) as typeof ours;
  const { LeaderElectionModule, LeaderOnly, OnGranted } = library;

  @Injectable()
  class PlanScheduler {
    @LeaderOnly()
    closeExpired(): void {}

    @OnGranted()
    granted(): void {
      leads();
    }
  }

  const election = LeaderElectionModule.forRoot({
    role: leaseName,
    lock: typeof lock === 'string' ? lock : lock(library),
  });
  return { imports: [election], providers: [PlanScheduler] };
}
