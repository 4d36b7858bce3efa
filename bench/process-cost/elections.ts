import { readFileSync } from 'node:fs';
import type { CoordinationV1Api, KubeConfig, V1Lease } from '@kubernetes/client-node';
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
      )) as Codedependant;

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
      const { K8SLock } = (await load('@nullplatform/k8s-lease-lock')) as Nullplatform;

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
    async parts({ leaseName: name, namespace, identity, load, leads }) {
      const client = (await load('@kubernetes/client-node')) as ClientNode;

      @Injectable()
      class PollLoop implements OnApplicationBootstrap, OnApplicationShutdown {
        private readonly api: CoordinationV1Api;
        private isLeader = false;
        private timer: NodeJS.Timeout | undefined;

        constructor() {
          const config: KubeConfig = new client.KubeConfig();
          config.loadFromDefault();
          this.api = config.makeApiClient(client.CoordinationV1Api);
        }

        onApplicationBootstrap(): void {
          this.timer = setInterval(() => void this.poll().catch(console.error), PERIOD_MS);
          void this.poll().catch(console.error);
        }

        onApplicationShutdown(): void {
          clearInterval(this.timer);
        }

        private async poll(): Promise<void> {
          const lease = await this.api
            .readNamespacedLease({ name, namespace })
            .catch((error: { code?: number }) => {
              if (error.code === 404) return undefined;
              throw error;
            });
          const held = lease?.spec;
          const isMine = held?.holderIdentity === identity;
          const endsAt = Number(held?.renewTime ?? 0) + LEASE_SECONDS * 1_000;
          if (!isMine && held?.holderIdentity && endsAt > Date.now()) return;
          const now = new client.V1MicroTime();
          const spec: V1Lease['spec'] = {
            holderIdentity: identity,
            leaseDurationSeconds: LEASE_SECONDS,
            acquireTime: isMine ? held.acquireTime! : now,
            renewTime: now,
          };
          if (lease === undefined) {
            await this.api.createNamespacedLease({ namespace, body: { metadata: { name }, spec } });
          } else {
            lease.spec = spec;
            await this.api.replaceNamespacedLease({ name, namespace, body: lease });
          }
          if (!this.isLeader) leads();
          this.isLeader = true;
        }
      }

      return { providers: [PollLoop] };
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

type ClientNode = typeof import('@kubernetes/client-node');

/** The package has no types. */
interface Codedependant {
  readonly EVENTS: { readonly LEADERSHIP_ACQUIRED: string };
  readonly Elector: new (options: object) => {
    on(event: string, listener: () => void): void;
    start(): Promise<void>;
    stop(): Promise<void>;
  };
}

/** The package has no types. */
interface Nullplatform {
  readonly K8SLock: new (options: object) => {
    startLocking(): Promise<unknown>;
    stopLocking(): Promise<void>;
  };
}
