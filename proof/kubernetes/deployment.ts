import { setTimeout as delay } from 'node:timers/promises';
import type { INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  getLeadershipToken,
  LeaderElectionModule,
  type LeaderElectionModuleOptions,
  type LeadershipService,
} from '../../lib/index.js';
// One copy of the library with what is not public of it: the locks are told by their class.
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { leaseLockIn } from '../../lib/locks/kubernetes/lease.lock.js';
import { type ElectionCluster, NAMESPACE } from '../fleet/election-cluster.js';
import { WrittenPod } from '../fleet/written-pod.js';

export interface DeploymentWishes {
  /** Of its pods and leases. */
  readonly name: string;
  readonly roles: readonly string[];
  readonly options?: Pick<
    LeaderElectionModuleOptions,
    'leaseDurationMs' | 'members' | 'placement' | 'podWatch'
  >;
}

/** One application of a deployment in its pod. Its process is that of the measurement. */
export interface RunningPod {
  readonly pod: WrittenPod;
  readonly application: INestApplicationContext;
  readonly services: readonly LeadershipService[];
}

const GRACE_SECONDS = 30;
/** The sleep of a preStop hook; that of the manifests is longer. */
const PRE_STOP_MS = 500;
/** Ends of terms by which leadership is meant to move. */
const MEANT: readonly string[] = ['stepped-down', 'shutdown', 'ineligible'];

/** What a Deployment's controller and a kubelet would do: pods on a real API server, each with an application. */
export class Deployment {
  readonly running: RunningPod[] = [];
  /** When each role was granted, in the order in which that was told. */
  readonly grants: number[] = [];
  /** Terms that ended though nobody meant them to: the machine was too slow. */
  lostTerms = 0;
  private created = 0;

  constructor(
    private readonly cluster: ElectionCluster,
    private readonly wishes: DeploymentWishes,
  ) {}

  /** @param kubeConfigFile of the service account */
  async create(kubeConfigFile = this.cluster.kubeConfigFile): Promise<RunningPod> {
    const { name, roles, options } = this.wishes;
    const podName = `${name}-${++this.created}`;
    const { server } = this.cluster;
    const pod = await WrittenPod.create(server, NAMESPACE, {
      name: podName,
      labels: { app: name },
    });
    const environment = new PodEnvironment({ POD_NAME: podName, POD_UID: pod.uid }, '/nowhere');
    const lock = leaseLockIn(environment, { kubeConfigFile });
    const imports = roles.map((role) =>
      LeaderElectionModule.forRoot({
        role,
        leaseName: `${name}-${role}`,
        identity: `${podName}_${role}`,
        lock,
        members: true,
        ...options,
      }),
    );
    const application = await NestFactory.createApplicationContext(
      { module: class Replica {}, imports },
      { logger: false },
    );
    const services = roles.map((role) =>
      application.get<LeadershipService>(getLeadershipToken(role) as Type<LeadershipService>),
    );
    for (const service of services) {
      service.granted$.subscribe(() => this.grants.push(performance.now()));
      service.revoked$.subscribe(({ reason }) => {
        if (!MEANT.includes(reason)) this.lostTerms++;
      });
    }
    const running = { pod, application, services };
    this.running.push(running);
    return running;
  }

  /** As a controller and kubelets do: pods that may end at once are told so at once, and their processes a little later. */
  async end(...ending: RunningPod[]): Promise<void> {
    await Promise.all(ending.map(({ pod }) => pod.delete(GRACE_SECONDS)));
    await delay(PRE_STOP_MS);
    await Promise.all(
      ending.map(async (each) => {
        await each.application.close();
        this.running.splice(this.running.indexOf(each), 1);
        await each.pod.delete(0);
      }),
    );
  }

  /** The name of the pod that leads a role. */
  leaderOf(role: string): string | undefined {
    return this.running.find(({ services }) =>
      services.some((service) => service.role === role && service.isLeader()),
    )?.pod.name;
  }

  /** How many roles each pod leads, the most first. */
  get load(): number[] {
    return this.running
      .map(({ services }) => services.filter((service) => service.isLeader()).length)
      .toSorted((a, b) => b - a);
  }

  /** Every replica knows exactly these pods, and whether they are ready. */
  get isKnownToAll(): boolean {
    const wanted = this.running.map(({ pod }) => pod.uid).toSorted();
    return this.running.every(({ services: [service] }) => {
      const known = service!.members?.filter(({ isReady }) => isReady).map(({ uid }) => uid);
      return known?.toSorted().join() === wanted.join();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.running.map((each) => each.application.close()));
    await Promise.all(this.running.map((each) => each.pod.delete(0)));
    this.running.length = 0;
  }
}
