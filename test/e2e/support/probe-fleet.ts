import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ElectionCluster } from '../../../proof/fleet/election-cluster.js';
import { Fleet } from '../../../proof/fleet/fleet.js';
import { ProbeProcess, type ProbeEvent } from './probe-process.js';
import type { ProbeSettings } from './probe-settings.js';

/** Several replicas of one application, replaced as they end. */
export class ProbeFleet extends Fleet<ProbeProcess> {
  readonly directory = mkdtempSync(join(tmpdir(), 'probe-fleet-'));

  constructor(
    private readonly settings: ProbeSettings,
    private readonly env: NodeJS.ProcessEnv = {},
    /** Of another checkout. */
    private readonly program?: string,
  ) {
    super();
  }

  /** Replicas on a lease that does not exist yet, each with the README's Role. */
  static async on(
    cluster: ElectionCluster,
    size: number,
    change: Partial<ProbeSettings> = {},
  ): Promise<ProbeFleet> {
    await cluster.deleteLease();
    return ProbeFleet.start(size, { ...settingsOn(cluster), ...change });
  }

  static async start(size: number, settings: ProbeSettings): Promise<ProbeFleet> {
    const fleet = new ProbeFleet(settings);
    for (let index = 0; index < size; index += 1) fleet.add();
    await Promise.all(fleet.replicas.map((replica) => replica.event('ready')));
    await fleet.leader();
    return fleet;
  }

  add(change: Partial<ProbeSettings> = {}, env: NodeJS.ProcessEnv = {}): ProbeProcess {
    const launch = (name: string): ProbeProcess => {
      const probeFile = this.probeFile(name);
      const probed = this.settings.isUnprobed === true ? {} : { probeFile };
      const settings = { ...this.settings, ...change, ...probed };
      return new ProbeProcess(name, settings, { ...this.env, ...env }, this.program);
    };
    return this.addSlot({ name: `replica-${this.slots.length + 1}`, launch }).process;
  }

  /** The replica that leads, waiting for one if need be. */
  async leader(withinMs = 60_000): Promise<ProbeProcess> {
    await this.until(() => this.leaders.length > 0, withinMs, 'leader');
    return this.leaders[0]!;
  }

  standbys(): ProbeProcess[] {
    return this.replicas.filter(({ leads, hasExited }) => !leads && !hasExited);
  }

  /** The first grant to any replica at or after an instant. */
  async grantedSince(
    since: number,
    withinMs = 60_000,
  ): Promise<ProbeEvent & { replica: ProbeProcess }> {
    const find = (): (ProbeEvent & { replica: ProbeProcess }) | undefined =>
      this.replicas
        .flatMap((replica) => replica.events.map((event) => ({ ...event, replica })))
        .filter(({ event, at }) => event === 'granted' && at >= since)
        .sort((a, b) => a.at - b.at)[0];
    await this.until(() => find() !== undefined, withinMs, `grant after ${since}`);
    return find()!;
  }

  /** Waits until every living standby has seen the present leader, so that its watch is known to be up. */
  async settled(withinMs = 30_000): Promise<void> {
    const leader = await this.leader();
    const identity = leader.events.find(({ event }) => event === 'ready')?.identity;
    const knows = (replica: ProbeProcess): boolean =>
      replica.events.findLast(({ event }) => event === 'leader')?.leader === identity;
    await this.until(() => this.standbys().every(knows), withinMs, 'common view of the leader');
  }

  /**
   * The longest time for which two replicas said `isLeader()` at once, in milliseconds; 0 if never. Belief intervals
   * are taken from the probes: from the first to the last probe between two grants of a replica.
   */
  overlaps(): { readonly probes: number; readonly overlapping: number } {
    const beliefs = this.replicas.flatMap((replica) => this.beliefsOf(replica));
    const overlapping = beliefs.filter((one) =>
      beliefs.some(
        (other) => other.replica !== one.replica && one.from <= other.to && other.from <= one.to,
      ),
    ).length;
    return { probes: beliefs.reduce((sum, { probes }) => sum + probes, 0), overlapping };
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  probesOf(replica: ProbeProcess): number[] {
    return readFileSync(this.probeFile(replica.name), 'utf8')
      .trim()
      .split('\n')
      .filter(Boolean)
      .map(Number);
  }

  private beliefsOf(replica: ProbeProcess): Belief[] {
    const probes = this.probesOf(replica);
    const revocations = replica.events
      .filter(({ event }) => event === 'revoked')
      .map(({ at }) => at);
    const beliefs: Belief[] = [];
    for (const [index, end] of [...revocations, Infinity].entries()) {
      const start = index === 0 ? -Infinity : revocations[index - 1]!;
      const within = probes.filter((at) => at > start && at <= end);
      const [from, to] = [within[0], within.at(-1)];
      if (from === undefined || to === undefined) continue;
      beliefs.push({ replica, from, to, probes: within.length });
    }
    return beliefs;
  }

  private probeFile(name: string): string {
    return join(this.directory, `${name}.probes`);
  }

  private until(holds: () => boolean, withinMs: number, what: string): Promise<void> {
    return this.poll(
      holds,
      () => withinMs,
      () => {
        const said = this.replicas.map((replica) => `${replica.name}:\n${replica.said()}`);
        return new Error(`no ${what} in ${withinMs} ms\n${said.join('\n\n')}`);
      },
    );
  }
}

export function settingsOn({ leaseName, kubeConfigFile }: ElectionCluster): ProbeSettings {
  return { leaseName, kubeConfigFile };
}

interface Belief {
  readonly replica: ProbeProcess;
  readonly from: number;
  readonly to: number;
  readonly probes: number;
}
