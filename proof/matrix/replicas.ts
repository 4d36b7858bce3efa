import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** How the application of a combination is started. */
export interface Command {
  readonly node: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/** Not a promise about speed: whatever takes longer hangs. */
const LIMIT_MS = 60_000;

class Replica {
  private readonly child: ChildProcess;
  private said = '';
  private complained = '';
  signal: NodeJS.Signals | number | undefined;

  constructor({ node, args, cwd }: Command, leases: string) {
    // Without what the surrounding npm and test runner told their own processes.
    const env = { PATH: process.env['PATH'], MATRIX_LEASES: leases };
    this.child = spawn(node, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout!.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    this.child.stderr!.on('data', (chunk: Buffer) => (this.complained += chunk.toString()));
    this.child.on('error', (error) => (this.complained += error.message));
    this.child.on('close', (code, signal) => (this.signal = signal ?? code ?? -1));
  }

  /** What it has said so far of these events, in order. */
  heard(...events: string[]): unknown[][] {
    const lines = this.said.split('\n').filter((line) => line.startsWith('["'));
    return lines
      .map((line) => JSON.parse(line) as [string, ...unknown[]])
      .filter(([event]) => events.includes(event));
  }

  get everything(): string {
    return `${this.said}\n${this.complained}\nended with ${this.signal}`;
  }

  /** @throws with all that it printed, if it ends or waits in vain */
  async until(what: string, holds: () => boolean, mayEnd = false): Promise<void> {
    for (const end = performance.now() + LIMIT_MS; !holds(); await delay(20)) {
      const isOver = this.signal !== undefined && !mayEnd;
      if (isOver || performance.now() > end) throw this.failure(`no ${what}`);
    }
  }

  async says(event: string): Promise<unknown[]> {
    await this.until(event, () => this.heard(event).length > 0);
    return this.heard(event)[0]!.slice(1);
  }

  async works(): Promise<void> {
    await Promise.all([this.says('gated'), this.says('tick')]);
  }

  async fetch(path: string): Promise<string> {
    const [url] = await this.says('listening');
    const response = await fetch(`${String(url)}/${path}`, {
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    const text = await response.text();
    if (response.status !== 200) throw this.failure(`/${path}: ${response.status} ${text}`);
    return text;
  }

  async ends(by: NodeJS.Signals): Promise<void> {
    await this.until('end', () => this.signal !== undefined, true);
    this.expect(this.signal === by, `an end by ${by}`);
  }

  expect(holds: boolean, what: string): void {
    if (!holds) throw this.failure(`not ${what}`);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  private failure(what: string): Error {
    return new Error(`${what}\n${this.everything}`);
  }
}

/**
 * Two replicas: one leads and works, and both serve their pages. At SIGTERM it hands over, the other one leads and works, and
 * when that one is blocked, the thread of its watchdog ends it. No tick runs twice.
 *
 * @throws with what a replica printed, if anything of this is not so
 */
export async function handOver(command: Command, entries: number): Promise<void> {
  const leases = mkdtempSync(join(tmpdir(), 'matrix-leases-'));
  const replicas = [new Replica(command, leases), new Replica(command, leases)];
  try {
    await Promise.all(replicas.map((replica) => checkStart(replica, entries)));
    const leads = (replica: Replica) => replica.heard('granted').length > 0;
    await replicas[0]!.until('leader', () => replicas.some(leads));
    const leader = replicas.find(leads)!;
    const follower = replicas.find((replica) => replica !== leader)!;
    await leader.works();
    await checkPages(leader, 1);
    await checkPages(follower, 0);
    follower.expect(follower.heard('granted', 'gated', 'tick').length === 0, 'idle as a follower');

    leader.kill('SIGTERM');
    await leader.ends('SIGTERM');
    leader.expect(
      JSON.stringify(leader.heard('granted', 'revoked')) ===
        '[["granted",1,"bigint","true"],["revoked",1,"shutdown"]]',
      'one term that ends with the shutdown',
    );
    const [term] = await follower.says('granted');
    // A write that a busy disk answers too late may have used a number up.
    follower.expect(Number(term) > 1, 'a later term');
    await follower.works();
    checkTicks(replicas);

    // The request has no answer: whoever would give it is dead.
    void follower.fetch('block').catch(() => {});
    await follower.ends('SIGKILL');
    follower.expect(/the watchdog ends this process/.test(follower.everything), 'its last words');
  } finally {
    for (const replica of replicas) replica.kill('SIGKILL');
    rmSync(leases, { recursive: true, force: true });
  }
}

async function checkStart(replica: Replica, entries: number): Promise<void> {
  await replica.says('listening');
  const [counts] = (await replica.says('entries')) as [number[]];
  const isEach = counts.length === entries && counts.every((count) => count > 0);
  replica.expect(isEach, `something from each of the ${entries} entries`);
  const apart = replica.heard('apart').flat().slice(1).flat();
  replica.expect(apart.length === 0, 'one copy for import and require');
}

async function checkPages(replica: Replica, leads: 0 | 1): Promise<void> {
  const page = await replica.fetch('leader');
  replica.expect(page.startsWith('<!doctype html>'), 'the page of the dashboard');
  const health = JSON.parse(await replica.fetch('health')) as { status: string };
  replica.expect(health.status === 'ok', 'healthy');
  const metric = `leader_election_master_status{name="matrix"} ${leads}`;
  replica.expect((await replica.fetch('metrics')).includes(metric), metric);
  // What a cluster needs is loaded later, and its optional peer is not there.
  const why = await replica.fetch('kubeconfig');
  replica.expect(/client-node, which is not installed/.test(why), 'said what is missing');
}

function checkTicks(replicas: readonly Replica[]): void {
  const ticks = replicas.flatMap((replica) => replica.heard('tick')).map(([, time]) => time);
  replicas[0]!.expect(new Set(ticks).size === ticks.length, 'each tick once');
}
