import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { findFreePort } from '../../proof/control-plane/free-port.js';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';
import { NodeProgram } from '../../proof/fleet/node-program.js';
import type { FleetView } from '../../sample-app/src/control-room/fleet-view.js';

const PROGRAM = fileURLToPath(new URL('../../sample-app/dist/three-replicas.js', import.meta.url));
const REPLICA = fileURLToPath(new URL('../../sample-app/dist/main.js', import.meta.url));

/** `npm start` without the build: three replicas of the sample under one parent. */
class Sample extends NodeProgram {
  constructor(env: NodeJS.ProcessEnv, args: readonly string[] = []) {
    super({ name: 'the sample', program: PROGRAM, args, env });
  }

  get replicaPids(): number[] {
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8');
    const pids = children.trim().split(' ').filter(Boolean).map(Number);
    return pids.filter((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('replica.js'),
    );
  }

  async killAll(): Promise<void> {
    if (this.hasExited) return;
    for (const pid of this.replicaPids) killIfRunning(pid);
    await this.kill();
  }
}

/** A replica may have ended since its parent was asked for it. */
function killIfRunning(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Of a process whose parent is gone: whoever adopts it may let it wait in vain to be asked how it ended. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const LEADS = /★ (replica-\d) leads\. .* kill -9 (\d+)/;
const TICK = /^(replica-\d) ★ .*tick \d+/;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sample-app-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('when the sample runs with three replicas on a file lock', () => {
  let sample: Sample;

  beforeEach(() => {
    // The control room would choose shorter times, and the first test is about a lease of 15 s.
    sample = new Sample({ LOCK: 'file', LOCK_DIRECTORY: directory, PROFILE: 'default' });
  });

  afterEach(() => sample.killAll());

  it('ticks on the leader alone, and on another long before the lease expires after kill -9', async () => {
    const first = await sample.line(LEADS);
    await sample.line(TICK, { since: first.at });
    await delay(3_000);
    const tickers = new Set(
      sample.lines.flatMap(({ text }) => /^(replica-\d) .*tick \d+/.exec(text)?.[1] ?? []),
    );
    expect([...tickers]).toEqual([first.match[1]]);

    const killed = monotonicMs();
    process.kill(Number(first.match[2]), 'SIGKILL');
    const next = await sample.line(LEADS, { since: killed });
    expect(next.match[1]).not.toBe(first.match[1]);
    const tick = await sample.line(TICK, { since: next.at });
    process.stdout.write(
      `\n[figures] file lock, SIGKILL of the leader: next leads after ${(next.at - killed).toFixed(0)} ms, ` +
        `ticks after ${(tick.at - killed).toFixed(0)} ms\n`,
    );
    expect(tick.match[1]).toBe(next.match[1]);
    // The lease of 15 s was not waited for. The cron job itself fires once a second.
    expect(next.at - killed).toBeLessThan(10_000);
  }, 60_000);

  it('leaves no process and no held lock after Ctrl+C', async () => {
    await sample.line(TICK);
    const pids = sample.replicaPids;
    expect(pids).toHaveLength(3);
    sample.signal('SIGINT');
    await sample.exited;
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    const newest = files
      .filter((name) => /\d+\..*\.json$/.test(name))
      .sort()
      .at(-1)!;
    const record = JSON.parse(readFileSync(join(directory, newest), 'utf8')) as object;
    expect(record).toHaveProperty('holderIdentity', '');
    expect(files.filter((name) => name.startsWith('s/'))).toEqual([]);
  }, 60_000);

  it('leaves no process when its terminal ends while a replica stands still', async () => {
    await sample.line(TICK);
    const pids = sample.replicaPids;
    process.kill(pids[0]!, 'SIGSTOP');
    sample.signal('SIGHUP');
    await sample.exited;
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  }, 60_000);

  it('leaves no process when it is killed by kill -9 while a replica stands still', async () => {
    await sample.line(TICK);
    const pids = sample.replicaPids;
    expect(pids).toHaveLength(3);
    process.kill(pids[0]!, 'SIGSTOP');
    await sample.kill();
    try {
      await eventually(() => expect(pids.filter(isRunning)).toEqual([]), 30_000);
    } finally {
      for (const pid of pids) killIfRunning(pid);
    }
  }, 60_000);

  it('stops the worker of the old leader before the next one starts', async () => {
    const first = await sample.line(LEADS);
    process.kill(Number(first.match[2]), 'SIGTERM');
    const stopped = await sample.line(/has stopped with term/, { since: first.at });
    const started = await sample.line(/starts with term (\d+)/, { since: stopped.at });
    expect(Number(started.match[1])).toBe(2);
  }, 60_000);
});

describe('when the sample runs with --lease', () => {
  it('has one leader on a Lease of a real API server, another after kill -9, and no tick twice', async () => {
    const sample = new Sample({ ...process.env }, ['--lease', '--built']);
    try {
      const first = await sample.line(LEADS, { withinMs: 120_000 });
      await sample.line(TICK, { since: first.at });
      const { match } = await sample.line(/control room: (http:\/\/\S+)/);
      const before = await viewOf(match[1]!, ({ counts }) => counts !== null);
      expect(before).toMatchObject({ lock: 'lease', counts: { twice: 0 } });
      const killed = monotonicMs();
      process.kill(Number(first.match[2]), 'SIGKILL');
      const next = await sample.line(LEADS, { since: killed });
      expect(next.match[1]).not.toBe(first.match[1]);
      const tick = await sample.line(TICK, { since: next.at });
      expect(tick.match[1]).toBe(next.match[1]);
      const { terms, counts } = await viewOf(match[1]!, (view) => view.terms.length > 1);
      expect(terms.map(({ replica }) => replica)).toEqual([first.match[1], next.match[1]]);
      expect(counts).toMatchObject({ ran: expect.any(Number), twice: 0 });
      sample.signal('SIGINT');
      await sample.exited;
      expect(sample.outcome).toBe(0);
    } finally {
      await sample.killAll();
    }
  }, 180_000);
});

/** The first view that the page of the control room is sent which is as awaited: a replica tells what it did a moment later. */
async function viewOf(url: string, isAwaited: (view: FleetView) => boolean): Promise<FleetView> {
  const answer = new AbortController();
  const { body } = await fetch(`${url}/stream`, answer);
  try {
    let text = '';
    for await (const part of body!.pipeThrough(new TextDecoderStream())) {
      const events = (text + part).split('\n\n');
      text = events.pop()!;
      const views = events
        .filter((event) => event.startsWith('event: view\n'))
        .map((event) => JSON.parse(/^data: (.*)$/m.exec(event)![1]!) as FleetView);
      const awaited = views.find(isAwaited);
      if (awaited !== undefined) return awaited;
    }
    throw new Error('the control room ended its stream');
  } finally {
    answer.abort();
  }
}

describe('when one replica of the sample runs', () => {
  /** All of 127.0.0.0/8 is this machine, so a server on 127.0.0.1 alone does not answer here. */
  const ANOTHER_ADDRESS = '127.0.0.2';

  it.each([
    ['in a pod, at every address', { KUBERNETES_SERVICE_HOST: '127.0.0.1' }, true],
    ['outside of one, at 127.0.0.1 alone', {}, false],
  ])('is reached %s', async (_, env, isReachedElsewhere) => {
    const port = await findFreePort();
    const replica = new NodeProgram({
      name: 'the replica',
      program: REPLICA,
      env: { LOCK: 'file', LOCK_DIRECTORY: directory, PORT: String(port), ...env },
    });
    try {
      await replica.line(/tick 1/);
      const answers = async (address: string) =>
        fetch(`http://${address}:${port}/health`).then(
          ({ status }) => status,
          ({ cause }: Error) => (cause as NodeJS.ErrnoException).code,
        );
      expect([await answers('127.0.0.1'), await answers(ANOTHER_ADDRESS)]).toEqual([
        200,
        isReachedElsewhere ? 200 : 'ECONNREFUSED',
      ]);
    } finally {
      await replica.kill();
    }
  });
});
