import { readFileSync } from 'node:fs';
import type { AuditEntry } from '../../proof/control-plane/audit-log.js';
import type { ControlPlane } from '../../proof/control-plane/control-plane.js';
import type { ContenderKey } from '../contenders/contender.js';
import { CountingRelay, type Traffic } from './counting-relay.js';
import { type Candidates, join } from './crowd-contender.js';
import { CrowdGround } from './crowd-ground.js';

const MINUTE_MS = 60_000;
const LEADER = 'leader';
const STANDBY = 'standby';

/** What candidates cost while nothing happens. All but the connections are of a minute. */
export interface SteadyCost {
  readonly leaderRequests: number;
  /** Of each. */
  readonly standbyRequests: number;
  readonly requests: number;
  readonly watchEvents: number;
  /** Open at the end. */
  readonly connections: number;
  readonly newConnections: number;
  readonly bytes: number;
  /** Of their own processes. */
  readonly cpuSeconds: number;
}

/** What is known at an instant. */
export interface Mark {
  readonly at: Date;
  readonly traffic: Traffic;
  readonly cpuSeconds: number;
}

/** A leader and its standbys, who have accounts of their own, with all that they send and get counted. */
export class SteadyCrowd {
  private constructor(
    readonly key: ContenderKey,
    readonly size: number,
    private readonly ground: CrowdGround,
    private readonly relay: CountingRelay,
    private readonly candidates: Candidates[],
  ) {}

  static async begin(server: ControlPlane, key: ContenderKey, size: number): Promise<SteadyCrowd> {
    const ground = await CrowdGround.create(server, key, `steady-${key}-${size}`);
    const relay = await CountingRelay.start(server.ports[0]!);
    const crowd = new SteadyCrowd(key, size, ground, relay, []);
    const { namespace, leaseName } = ground;
    try {
      for (const [name, count] of [[LEADER, 1] as const, [STANDBY, size - 1] as const]) {
        const kubeConfigFile = await ground.account(name, relay.port);
        const place = { server, kubeConfigFile, namespace, leaseName };
        crowd.candidates.push(await join(key, place, count, name));
      }
      return crowd;
    } catch (error) {
      await crowd.end();
      throw error;
    }
  }

  mark(): Mark {
    const pids = this.candidates.flatMap((each) => each.pids);
    const cpuSeconds = pids.map(cpuSecondsOf).reduce((sum, each) => sum + each, 0);
    return { at: new Date(), traffic: this.relay.traffic, cpuSeconds };
  }

  cost(from: Mark, to: Mark, entries: readonly AuditEntry[]): SteadyCost {
    const own = entries.filter(({ namespace }) => namespace === this.ground.namespace);
    return steadyCost(own, { from, to, standbys: this.size - 1 });
  }

  async end(): Promise<void> {
    await Promise.all(this.candidates.map((each) => each.kill()));
    await this.relay.stop();
  }
}

/** Of entries of one namespace. */
export function steadyCost(
  entries: readonly AuditEntry[],
  { from, to, standbys }: { readonly from: Mark; readonly to: Mark; readonly standbys: number },
): SteadyCost {
  const share = MINUTE_MS / (to.at.getTime() - from.at.getTime());
  const at = ({ requestReceivedTimestamp }: AuditEntry): Date => new Date(requestReceivedTimestamp);
  const within = entries.filter((entry) => at(entry) >= from.at && at(entry) < to.at);
  const of = (account: string): number =>
    within.filter(({ user }) => user.endsWith(`:${account}`)).length * share;
  const changes = within.filter(({ verb, code }) => isWrite(verb) && code < 300).length;
  const watches = entries.filter((entry) => entry.verb === 'watch' && at(entry) < to.at).length;
  return {
    leaderRequests: of(LEADER),
    standbyRequests: of(STANDBY) / standbys,
    requests: of(LEADER) + of(STANDBY),
    // Each change is sent to whoever watches.
    watchEvents: changes * watches * share,
    connections: to.traffic.open,
    newConnections: (to.traffic.connections - from.traffic.connections) * share,
    bytes: (to.traffic.bytes - from.traffic.bytes) * share,
    cpuSeconds: (to.cpuSeconds - from.cpuSeconds) * share,
  };
}

function isWrite(verb: string): boolean {
  return verb === 'create' || verb === 'update' || verb === 'patch';
}

/** In ticks of a hundredth of a second, as Linux tells all programs whatever its own clock does. */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name of the program, in brackets, may have spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
