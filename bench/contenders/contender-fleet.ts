import { setTimeout as delay } from 'node:timers/promises';
import { type ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';
import type { ReplicaServer } from '../../proof/fleet/replica-server.js';
import {
  type Contender,
  type ContenderEvent,
  type ContenderKey,
  type ContenderOptions,
  type LeaseTimes,
  prepareLease,
  startContender,
} from './contender.js';
import { type Interval, overlapsOf } from './work.js';

const POLL_MS = 10;
const CANDIDATES = 3;
const START_LIMIT_MS = 60_000;
/** The kubelet starts a container that has ended at once, and waits so long if it ends again, and twice as long each time. */
const BACK_OFF_MS = 10_000;
/** How many processes start at a time: each takes a core. */
const STARTING = 2;

export interface FleetWishes extends Pick<ContenderOptions, 'stopHandlerMs'> {
  readonly key: ContenderKey;
  readonly times: LeaseTimes;
  /** Of a service account that may do what contenders ask for. */
  readonly kubeConfigFile: string;
  /** Each process has a way of its own to the API server, which can be cut. */
  readonly isProxied?: boolean;
}

let fleets = 0;

/** Three candidates of one kind on a lease of their own. Whichever ends by itself is started again, as the kubelet does. */
export class ContenderFleet {
  readonly leaseName = `fleet-${++fleets}`;
  readonly processes: Contender[] = [];
  /** How often a process was started again. */
  restarts = 0;
  private readonly servers = new Map<Contender, ReplicaServer>();
  private readonly dismissed = new Set<Contender>();
  private vacancies = 0;
  private isClosing = false;

  static async start(cluster: ElectionCluster, wishes: FleetWishes): Promise<ContenderFleet> {
    const fleet = new ContenderFleet(cluster, wishes);
    await prepareLease(wishes.key, cluster.server, fleet.leaseName);
    await Promise.all(Array.from({ length: CANDIDATES }, () => fleet.add()));
    return fleet;
  }

  private constructor(
    private readonly cluster: ElectionCluster,
    private readonly wishes: FleetWishes,
  ) {}

  get key(): ContenderKey {
    return this.wishes.key;
  }

  get times(): LeaseTimes {
    return this.wishes.times;
  }

  get stopHandlerMs(): number {
    return this.wishes.stopHandlerMs ?? 0;
  }

  get leasePath(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${this.leaseName}`;
  }

  /** Those that nobody has told to end. */
  get candidates(): Contender[] {
    return this.processes.filter((each) => !each.hasExited && !this.dismissed.has(each));
  }

  get leaders(): Contender[] {
    return this.candidates.filter(({ leads }) => leads);
  }

  /** Another candidate, which has started when this resolves. */
  async add(): Promise<Contender> {
    const { isProxied, kubeConfigFile } = this.wishes;
    const server = isProxied ? await this.cluster.connect(kubeConfigFile) : undefined;
    return this.launch(server);
  }

  /** It is to end, and is not started again: `refill` starts another. */
  dismiss(contender: Contender, signal: 'SIGTERM' | 'SIGKILL'): number {
    if (!contender.hasExited) {
      this.dismissed.add(contender);
      this.vacancies += 1;
    }
    return contender.signal(signal);
  }

  /** As many as at first. */
  async refill(): Promise<void> {
    for (; this.vacancies > 0; this.vacancies -= 1) await this.add();
  }

  serverOf(contender: Contender): ReplicaServer {
    return this.servers.get(contender)!;
  }

  /** The one that leads, once every other one knows as much as it will ever know. */
  async settled(withinMs = 120_000): Promise<Contender> {
    const isSettled = (): boolean => {
      const [leader] = this.leaders;
      return (
        leader !== undefined &&
        this.candidates.length >= CANDIDATES &&
        this.candidates.every((each) => each === leader || this.knows(each, leader))
      );
    };
    if (await this.until(isSettled, withinMs)) return this.leaders[0]!;
    const said = this.processes.map((each) => `${each.name} ${each.outcome}:\n${each.said()}`);
    throw new Error(`no settled fleet in ${withinMs} ms\n${said.join('\n\n')}`);
  }

  /** When one of them began to lead, other than an old leader; undefined if that did not happen in time. */
  async granted(since: number, old: Contender | undefined, withinMs: number) {
    const find = (): number | undefined =>
      this.processes
        .filter((each) => each !== old)
        .flatMap(({ events }) => events)
        .filter(({ event, at }) => event === 'granted' && at >= since)
        .map(({ at }) => at)
        .sort((a, b) => a - b)[0];
    await this.until(() => find() !== undefined, withinMs);
    return find();
  }

  /** When work ran in two of them at once, at or after an instant. */
  overlapsSince(at: number): Interval[] {
    return overlapsOf(this.processes.map(({ work }) => work)).filter(({ to }) => to > at);
  }

  /** Whether it came to hold in time. */
  async until(holds: () => boolean, withinMs: number): Promise<boolean> {
    const giveUpAt = monotonicMs() + withinMs;
    while (!holds()) {
      if (monotonicMs() > giveUpAt) return false;
      await delay(POLL_MS);
    }
    return true;
  }

  async close(): Promise<void> {
    this.isClosing = true;
    await Promise.all(this.processes.map((each) => each.kill()));
    await Promise.all([...this.servers.values()].map((server) => server.stop()));
  }

  private async launch(server: ReplicaServer | undefined, ends = 0): Promise<Contender> {
    const { key, times, stopHandlerMs, kubeConfigFile } = this.wishes;
    const { leaseName } = this;
    const place = { leaseName, kubeConfigFile: server?.kubeConfigFile ?? kubeConfigFile };
    return starting(async () => {
      const options = stopHandlerMs === undefined ? {} : { stopHandlerMs };
      const contender = await startContender(key, place, times, options);
      this.processes.push(contender);
      if (server !== undefined) this.servers.set(contender, server);
      void contender.exited.then(() => this.replace(contender, ends));
      const isUp = (): boolean => contender.hasExited || contender.isReady;
      await this.until(isUp, START_LIMIT_MS);
      return contender;
    });
  }

  private async replace(ended: Contender, ends: number): Promise<void> {
    if (this.isClosing || this.dismissed.has(ended)) return;
    await delay(ends === 0 ? 0 : BACK_OFF_MS * 2 ** (ends - 1));
    if (this.isClosing || this.dismissed.has(ended)) return;
    this.restarts += 1;
    await this.launch(this.servers.get(ended), ends + 1);
  }

  private knows(standby: Contender, leader: Contender): boolean {
    const ready = standby.events.find(({ event }) => event === 'ready');
    if (ready === undefined) return false;
    const { leaseMs, retryMs } = this.times;
    const age = monotonicMs() - ready.at;
    switch (this.key) {
      case 'nestjs-leader-election':
        return standby.events.findLast(isLeader)?.leader === leader.identity;
      case 'client-go':
      case 'fabric8':
        // It reads the lease as often whoever leads.
        return standby.events.some(isLeader);
      case 'codedependant':
        // By then it has tried three times, and tries no more.
        return age > leaseMs + 1_000;
      case 'nullplatform':
      case 'poll-loop':
        return age > retryMs;
    }
  }
}

function isLeader({ event }: ContenderEvent): boolean {
  return event === 'leader';
}

let running = 0;
const waiting: (() => void)[] = [];

/** A few at a time, each until it is up. */
async function starting<T>(start: () => Promise<T>): Promise<T> {
  if (running >= STARTING) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    return await start();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}
