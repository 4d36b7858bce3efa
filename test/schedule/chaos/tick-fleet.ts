import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy } from '../../support/fault-proxy/fault-proxy.js';
import { readHistory, TickHistory } from './tick-history.js';
import type { TickEvent, TickReplicaSettings } from './tick-replica-settings.js';

const PROGRAM = fileURLToPath(new URL('./tick-replica.js', import.meta.url));

export interface TickReplica {
  readonly name: string;
  readonly historyFile: string;
  readonly child: ChildProcess;
  /** Its own way to the API server; undefined on the file lock. */
  readonly proxy: FaultProxy | undefined;
}

/** Where replicas find their lock. */
export interface TickGround {
  readonly leaseName: string;
  readonly lockDirectory?: string;
  /** A proxy of one's own before the API server, and the kubeconfig that leads there. */
  readonly connect?: () => Promise<{ proxy: FaultProxy; kubeConfigFile: string }>;
}

/** Replicas of one application, replaced as they end; their histories stay. */
export class TickFleet {
  private replicas: TickReplica[] = [];
  private readonly files: string[] = [];
  private launched = 0;

  constructor(
    private readonly directory: string,
    private readonly ground: TickGround,
    private readonly startingDeadlineSeconds: number,
  ) {}

  async add(): Promise<TickReplica> {
    const name = `replica-${(this.launched += 1)}`;
    const historyFile = join(this.directory, `${name}.jsonl`);
    const connection = await this.ground.connect?.();
    const settings: TickReplicaSettings = {
      name,
      historyFile,
      leaseName: this.ground.leaseName,
      startingDeadlineSeconds: this.startingDeadlineSeconds,
      ...(this.ground.lockDirectory && { lockDirectory: this.ground.lockDirectory }),
      ...(connection && { kubeConfigFile: connection.kubeConfigFile }),
    };
    const log = openSync(join(this.directory, `${name}.log`), 'a');
    const child = spawn(process.execPath, [PROGRAM], {
      stdio: ['ignore', log, log],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        NO_COLOR: '1',
        TICK_REPLICA: JSON.stringify(settings),
      },
    });
    closeSync(log);
    const replica = { name, historyFile, child, proxy: connection?.proxy };
    this.replicas.push(replica);
    this.files.push(historyFile);
    await this.until(`${name} to be ready`, () =>
      readHistory(historyFile).some(({ event }) => event === 'ready'),
    );
    return replica;
  }

  /** The living replica that was granted and has not been revoked since. */
  leader(): TickReplica | undefined {
    return this.replicas.find(({ historyFile }) => {
      const last = readHistory(historyFile).findLast(isChange);
      return last?.event === 'granted';
    });
  }

  /** Waits until another replica than this one has started a tick after the given one. */
  async tickOfAnother(than: TickReplica | undefined, after: number): Promise<TickReplica> {
    const find = (): TickReplica | undefined =>
      this.replicas.find(
        (replica) =>
          replica !== than &&
          readHistory(replica.historyFile).some(
            (event) => event.event === 'started' && event.tick > after,
          ),
      );
    await this.until('a tick of another replica', () => find() !== undefined);
    return find()!;
  }

  async end(replica: TickReplica, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const exited = once(replica.child, 'exit');
    replica.child.kill(signal);
    await exited;
    await this.forget(replica);
  }

  history(): TickHistory {
    return new TickHistory(this.files.flatMap(readHistory));
  }

  async stop(): Promise<void> {
    for (const replica of this.replicas) await this.end(replica, 'SIGKILL');
  }

  private async forget(replica: TickReplica): Promise<void> {
    this.replicas = this.replicas.filter((each) => each !== replica);
    await replica.proxy?.stop();
  }

  private async until(what: string, holds: () => boolean, withinMs = 30_000): Promise<void> {
    const giveUpAt = performance.now() + withinMs;
    while (!holds()) {
      if (performance.now() > giveUpAt)
        throw new Error(`waited ${withinMs} ms for ${what}, in ${this.directory}`);
      await sleep(20);
    }
  }
}

function isChange({ event }: TickEvent): boolean {
  return event === 'granted' || event === 'revoked';
}
