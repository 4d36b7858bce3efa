import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lifeline } from '../control-plane/lifeline.js';
import type { FaultProxy } from '../fault-proxy/fault-proxy.js';
import type { TickHistoryFile } from './tick-history-file.js';
import { TickHistory } from './tick-history.js';
import { TickReplicaProcess } from './tick-replica-process.js';
import type { TickReplicaSettings } from './tick-replica-settings.js';

const POLL_MS = 20;

/** Where replicas find their lock. */
export interface TickGround {
  readonly leaseName: string;
  readonly lockDirectory?: string;
  /** A proxy of one's own before the API server, and the kubeconfig that leads there. */
  readonly connect?: () => Promise<{ proxy: FaultProxy; kubeConfigFile: string }>;
}

export interface TickFleetSettings {
  readonly name: string;
  readonly directory: string;
  readonly ground: TickGround;
  readonly startingDeadlineSeconds: number;
  readonly lifeline: Lifeline;
  /** Ends every wait. */
  readonly signal: AbortSignal;
  /** How long to wait for what must happen, at the machine's present pace. */
  readonly patienceMs: () => number;
}

/** Replicas of one application, replaced as they end; their histories stay. */
export class TickFleet {
  readonly name: string;
  private replicas: TickReplicaProcess[] = [];
  private readonly histories: TickHistoryFile[] = [];
  private launched = 0;
  private isStopped = false;

  constructor(private readonly settings: TickFleetSettings) {
    this.name = settings.name;
  }

  async add(): Promise<void> {
    const { directory, ground, startingDeadlineSeconds, lifeline } = this.settings;
    const name = `replica-${(this.launched += 1)}`;
    const connection = await ground.connect?.();
    if (this.isStopped) {
      await connection?.proxy.stop();
      throw this.failure('stopped');
    }
    const settings: TickReplicaSettings = {
      name,
      historyFile: join(directory, `${name}.jsonl`),
      leaseName: ground.leaseName,
      startingDeadlineSeconds,
      ...(ground.lockDirectory && { lockDirectory: ground.lockDirectory }),
      ...(connection && { kubeConfigFile: connection.kubeConfigFile }),
    };
    const replica = new TickReplicaProcess({
      settings,
      logFile: join(directory, `${name}.log`),
      lifeline,
      proxy: connection?.proxy,
    });
    this.replicas.push(replica);
    this.histories.push(replica.history);
    await this.until(`${name} to be ready`, () => replica.history.look().isReady);
  }

  /** The one living replica that says it leads; undefined while none does, or two do. */
  leader(): TickReplicaProcess | undefined {
    const leaders = this.replicas.filter(({ leads }) => leads);
    return leaders.length === 1 ? leaders[0] : undefined;
  }

  async settledLeader(): Promise<TickReplicaProcess> {
    await this.until('one leader', () => this.leader() !== undefined);
    return this.leader()!;
  }

  /** Waits until another replica than this one has started a tick after the given one. */
  async tickOfAnother(than: TickReplicaProcess | undefined, after: number): Promise<void> {
    await this.until('a tick of another replica', () =>
      this.replicas.some(
        (replica) => replica !== than && replica.history.look().latestTick > after,
      ),
    );
  }

  /**
   * Waits for each tick so far to be started or reported, which a new leader does in its own time. Answers up to which
   * tick that has to be so now.
   */
  async allAccounted(): Promise<number> {
    const last = Math.floor(Date.now() / 1_000) - 1;
    const begun = performance.now();
    do {
      await this.sleep(100);
      const history = this.history();
      if (history.within(history.firstTick - 1, last).unaccounted.length === 0) break;
    } while (performance.now() - begun < this.settings.patienceMs());
    return last;
  }

  async end(replica: TickReplicaProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    replica.signal(signal);
    await this.until(`${replica.name} to end`, () => replica.hasExited);
    this.replicas = this.replicas.filter((each) => each !== replica);
    await replica.proxy?.stop();
    if (replica.crash !== undefined) throw this.failure(replica.crash);
  }

  history(): TickHistory {
    return new TickHistory(this.histories.flatMap((history) => history.look().events));
  }

  async sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.settings.signal });
    this.assertWhole();
  }

  /** Ends every process, whatever has happened before. */
  async stop(): Promise<void> {
    this.isStopped = true;
    const replicas = this.replicas.splice(0);
    await Promise.all(replicas.map((replica) => replica.kill()));
    await Promise.all(replicas.flatMap(({ proxy }) => (proxy ? [proxy.stop()] : [])));
  }

  private async until(what: string, holds: () => boolean): Promise<void> {
    const begun = performance.now();
    while (!holds()) {
      const waitedMs = performance.now() - begun;
      if (waitedMs > this.settings.patienceMs())
        throw this.failure(`waited ${Math.round(waitedMs)} ms for ${what}`);
      await this.sleep(POLL_MS);
    }
  }

  private assertWhole(): void {
    const crash = this.replicas.find((replica) => replica.crash !== undefined)?.crash;
    if (crash !== undefined) throw this.failure(crash);
  }

  private failure(what: string): Error {
    return new Error(`${this.name}: ${what}`);
  }
}
