import { readFileSync } from 'node:fs';
import { findBinary } from '../../proof/control-plane/binaries.js';
import type { ControlPlane } from '../../proof/control-plane/control-plane.js';
import { inRepository, versionOf } from '../../proof/control-plane/go-build.js';
import { type ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';
import { type Launch, NodeProgram } from '../../proof/fleet/node-program.js';
import { fabric8ClassPath } from './fabric8-build.js';
import { type Interval, workOf } from './work.js';

export const CONTENDERS = [
  'nestjs-leader-election',
  'client-go',
  'fabric8',
  'codedependant',
  'nullplatform',
  'poll-loop',
] as const;

export type ContenderKey = (typeof CONTENDERS)[number];

export interface LeaseTimes {
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly retryMs: number;
}

/** A lease, and how to get there. */
export interface LeasePlace {
  readonly kubeConfigFile: string;
  /** @default that of an `ElectionCluster` */
  readonly namespace?: string;
  readonly leaseName: string;
}

export interface ContenderOptions {
  /** @default the key and a number */
  readonly identity?: string;
  /** How long its work takes to end. @default 0 */
  readonly stopHandlerMs?: number;
  /**
   * How many candidates in one process, each with connections of its own; of this library and of fabric8 there is one.
   * @default 1
   */
  readonly count?: number;
}

/** What a contender has told, on the monotonic clock that all processes of the machine share. */
export interface ContenderEvent {
  readonly at: number;
  /** `resumed`: it runs again after it was stopped, and its work would have gone on if `leads`. */
  readonly event: 'ready' | 'granted' | 'revoked' | 'stop-handler-ended' | 'leader' | 'resumed';
  readonly identity: string;
  readonly leader?: string;
  readonly leads?: boolean;
  /** Of what it is made of, where only the program itself knows. */
  readonly version?: string;
}

/** A program that competes for a Lease by an elector of its own, and tells what happens to it. */
export class Contender extends NodeProgram {
  readonly events: ContenderEvent[] = [];
  private exitedAt: number | undefined;
  private readonly pauses: Interval[] = [];

  constructor(
    launch: Launch,
    readonly key: ContenderKey,
    readonly identity: string,
  ) {
    super(launch);
    void this.exited.then(() => (this.exitedAt = monotonicMs()));
  }

  /** When it first began to lead, on the monotonic clock; undefined if it never did. */
  get grantedAt(): number | undefined {
    return this.events.find(({ event }) => event === 'granted')?.at;
  }

  /** When its work was first told to end, or ended with the process. */
  get endedAt(): number | undefined {
    return this.events.find(({ event }) => event === 'revoked')?.at ?? this.exitedAt;
  }

  get isReady(): boolean {
    return !this.isEnding && this.events.some(({ event }) => event === 'ready');
  }

  /** True from its last grant until a revocation or its end. */
  get leads(): boolean {
    const last = this.events.findLast(({ event }) => event === 'granted' || event === 'revoked');
    return !this.hasExited && last?.event === 'granted';
  }

  /** When work of a leader ran in this process: in the last interval to infinity if it still does. */
  get work(): Interval[] {
    return workOf(this.events, this.pauses, this.exitedAt);
  }

  override signal(signal: NodeJS.Signals): number {
    const at = super.signal(signal);
    if (signal === 'SIGSTOP') this.pauses.push({ from: at, to: Infinity });
    if (signal === 'SIGCONT') {
      const pause = this.pauses.pop();
      if (pause !== undefined) this.pauses.push({ ...pause, to: at });
    }
    return at;
  }

  async granted(): Promise<number> {
    await this.until('leadership', () => this.grantedAt !== undefined);
    return this.grantedAt!;
  }

  protected override heard(line: string): void {
    if (line.startsWith('{"at":')) this.events.push(JSON.parse(line) as ContenderEvent);
  }
}

let started = 0;

export async function startContender(
  key: ContenderKey,
  place: LeasePlace,
  times: LeaseTimes,
  options: ContenderOptions = {},
): Promise<Contender> {
  const { identity = `${key}-${++started}`, stopHandlerMs = 0, count = 1 } = options;
  const { kubeConfigFile, namespace = NAMESPACE, leaseName } = place;
  const durations = [times.leaseMs, times.renewMs, times.retryMs, stopHandlerMs];
  const args = [
    kubeConfigFile,
    namespace,
    leaseName,
    identity,
    ...durations.map((ms) => `${ms}ms`),
    `${count}`,
  ];
  return new Contender({ name: identity, ...(await launchOf(key, args, place)) }, key, identity);
}

async function launchOf(
  key: ContenderKey,
  args: readonly string[],
  { kubeConfigFile }: LeasePlace,
): Promise<Omit<Launch, 'name'>> {
  switch (key) {
    case 'client-go':
      return { program: await findBinary('client-go-elector'), isNative: true, args };
    case 'fabric8': {
      const classPath = await fabric8ClassPath();
      return {
        program: 'java',
        isNative: true,
        args: ['-cp', classPath, 'Fabric8Contender', ...args],
      };
    }
    case 'codedependant':
      // Without a sign of a cluster it says at once that it leads.
      return {
        program: nodeProgram(key),
        args,
        env: { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBECONFIG: kubeConfigFile },
      };
    case 'nestjs-leader-election':
    case 'nullplatform':
    case 'poll-loop':
      return { program: nodeProgram(key), args };
  }
}

function nodeProgram(key: ContenderKey): string {
  return inRepository(`.tools/bench/contenders/${key}.contender.js`);
}

/** A service account that may do with leases what all contenders ask for; answers its kubeconfig file. */
export function contenderAccount(cluster: ElectionCluster, name = 'contender'): Promise<string> {
  const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch'];
  const rules = [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs }];
  return cluster.addAccount(name, rules);
}

/** What some of them need before they start: `nullplatform` does not create a lease, though it has an option for that. */
export async function prepareLease(
  key: ContenderKey,
  server: ControlPlane,
  leaseName: string,
  namespace: string = NAMESPACE,
): Promise<void> {
  if (key !== 'nullplatform') return;
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  await server.request('POST', path, { metadata: { name: leaseName }, spec: {} });
}

/** The name that tables have, with the version that is measured. */
export function titleOf(key: ContenderKey): string {
  switch (key) {
    case 'nestjs-leader-election':
      return 'this library';
    case 'client-go':
      return `client-go ${versionOf('k8s.io/client-go').slice(1)}`;
    case 'fabric8':
      return `fabric8 ${/<version>(\d[^<]*\.[^<]*)</.exec(text('bench/contenders/fabric8/pom.xml'))![1]}`;
    case 'codedependant':
      return titleOfPackage('@codedependant/kubernetes-leader-election');
    case 'nullplatform':
      return titleOfPackage('@nullplatform/k8s-lease-lock');
    case 'poll-loop':
      return `poll loop on ${titleOfPackage('@kubernetes/client-node')}`;
  }
}

function titleOfPackage(name: string): string {
  const { version } = JSON.parse(text(`node_modules/${name}/package.json`)) as { version: string };
  return `${name} ${version}`;
}

function text(path: string): string {
  return readFileSync(inRepository(path), 'utf8');
}
