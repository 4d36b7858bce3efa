/**
 * What a renewal and a gated call cost a leader with everything on that this library can tell of itself (metrics, spans, Events,
 * log, health), against everything off. Each is a process of its own, as a context manager and compiled code are shared within
 * one; they take turns in many rounds, so that a busy moment of the machine hits all of them. In memory a renewal costs only
 * what the library does; on a Lease it goes to an API server: the emulator, or with `--server` a real one.
 *
 * The clock is the machine's without the pauses between renewals, so that a day of them takes seconds.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Injectable } from '@nestjs/common';
import { LeaderOnly } from '../lib/index.js';
import { ApiEmulator } from '../proof/api-emulator/api-emulator.js';
import { ControlPlane } from '../proof/control-plane/control-plane.js';
import { AskedProcess, answerMessages } from './asked-process.js';
import { figure } from './figure.js';
import { LeadingApplication, type Store, type Told } from './leading-application.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '15' },
    server: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

/** Microseconds for each renewal of one round. */
interface Renewals {
  /** CPU time of all threads. */
  readonly cpu: number;
  /** From the moment when it is due until everything that hears it has heard it; the median. */
  readonly took: number;
}

/** Microseconds of CPU time for each call of one round. */
interface Calls {
  /** Of a method behind `@LeaderOnly()`, and of the same without it. */
  readonly gated: number;
  readonly bare: number;
  readonly health: number;
  /** 0 where it is off. */
  readonly scrape: number;
}

interface Rounds {
  readonly renewals: Renewals[];
  readonly calls: Calls[];
}

const RENEWALS: Readonly<Record<Store, number>> = { memory: 1_500, lease: 150 };
const CALLS = 40_000;
const SCRAPES = 20;
const WARM_UP_ROUNDS = 3;

@Injectable()
class Job {
  count = 0;

  bare(step: number): number {
    this.count += step;
    return this.count;
  }

  @LeaderOnly()
  gated(step: number): number {
    this.count += step;
    return this.count;
  }
}

/** The process that leads. */
async function lead(told: Told, store: Store, kubeConfigFile: string): Promise<void> {
  const role = `bench-${told}`;
  const providers = [Job];
  const leading = await LeadingApplication.start({ told, store, kubeConfigFile, role, providers });
  const { clock, registry, leadership, app } = leading;
  const isOn = told === 'on';
  const job = app.get(Job);

  const renewalRound = async (): Promise<Renewals> => {
    const took: number[] = [];
    const count = RENEWALS[store];
    const cpu = process.cpuUsage();
    for (let index = 0; index < count; index += 1) {
      const start = performance.now();
      await leading.renewal();
      took.push((performance.now() - start) * 1_000);
      if (isOn) leadership.health();
    }
    const renewalCpu = cpuSince(cpu) / count;
    if (!leadership.isLeader()) throw new Error('leadership was lost while it was measured');
    return { cpu: renewalCpu, took: median(took) };
  };
  const callRound = async (): Promise<Calls> => {
    await leading.renewal();
    const gated = perCall(() => job.gated(1), CALLS);
    const bare = perCall(() => job.bare(1), CALLS);
    const health = perCall(() => leadership.health(), CALLS / 10);
    if (!leadership.isLeader()) throw new Error('leadership was lost while it was measured');
    const cpu = process.cpuUsage();
    if (isOn) for (let index = 0; index < SCRAPES; index += 1) await registry.metrics();
    return { gated, bare, health, scrape: isOn ? cpuSince(cpu) / SCRAPES : 0 };
  };
  clock.freeze();
  answerMessages(
    async (what) => {
      clock.thaw();
      const round = await (what === 'renewals' ? renewalRound() : callRound());
      clock.freeze();
      return round;
    },
    async () => {
      clock.thaw();
      await app.close();
    },
  );
}

function perCall(call: () => unknown, calls: number): number {
  const start = process.cpuUsage();
  for (let index = 0; index < calls; index += 1) call();
  return cpuSince(start) / calls;
}

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function median(values: readonly number[]): number {
  return figure(values, '').median;
}

interface Leader {
  readonly state: Told;
  readonly store: Store;
  readonly process: AskedProcess;
  readonly rounds: Rounds;
}

async function start(state: Told, store: Store, kubeConfigFile: string): Promise<Leader> {
  const file = fileURLToPath(import.meta.url);
  const child = await AskedProcess.start(file, [state, store, kubeConfigFile]);
  return { state, store, process: child, rounds: { renewals: [], calls: [] } };
}

/** All calls after all renewals, which would otherwise pay for the garbage of the calls. */
async function measure(leaders: readonly Leader[], rounds: number): Promise<void> {
  for (const what of ['renewals', 'calls'] as const) {
    for (let index = -WARM_UP_ROUNDS; index < rounds; index += 1) {
      // Off, on and on, off in turn.
      for (const leader of index % 2 === 0 ? leaders : leaders.toReversed()) {
        const measured = await leader.process.ask(what);
        if (index >= 0) (leader.rounds[what] as unknown[]).push(measured);
      }
    }
  }
}

interface Row {
  readonly what: string;
  /** Microseconds: lower quartile, median and upper quartile of the rounds. */
  readonly off?: readonly [number, number, number];
  readonly on: readonly [number, number, number];
  /** Median of the ratios of each round. */
  readonly ratio?: number;
}

function rowOf(
  what: string,
  [off, on]: readonly [Leader | undefined, Leader],
  pick: (rounds: Rounds) => number[],
): Row {
  const spread = ({ rounds }: Leader) => {
    const all = figure(pick(rounds), 'µs');
    return [all.low, all.median, all.high] as const;
  };
  if (off === undefined) return { what, on: spread(on) };
  const [without, withAll] = [pick(off.rounds), pick(on.rounds)];
  const ratio = median(withAll.map((value, index) => value / without[index]!));
  return { what, off: spread(off), on: spread(on), ratio };
}

function told(spread: Row['off']): string {
  if (spread === undefined) return '';
  const [low, middle, high] = spread.map((value) =>
    value < 1
      ? `${(value * 1_000).toFixed(0)} ns`
      : `${value < 100 ? value.toFixed(1) : value.toFixed(0)} µs`,
  );
  return `${middle} (${low} to ${high})`;
}

async function main(): Promise<void> {
  const rounds = Number(values.rounds);
  const folder = mkdtempSync(join(tmpdir(), 'overhead-'));
  const server = values.server ? await ControlPlane.start() : undefined;
  const emulator = server === undefined ? await ApiEmulator.start() : undefined;
  const kubeConfigFile = server?.adminKubeconfig ?? join(folder, 'kubeconfig');
  if (emulator !== undefined) writeFileSync(kubeConfigFile, kubeConfigOf(emulator.url));
  const leaders: Leader[] = [];
  try {
    for (const store of ['memory', 'lease'] as const) {
      for (const state of ['off', 'on'] as const) {
        leaders.push(await start(state, store, kubeConfigFile));
      }
    }
    await measure(leaders, rounds);
  } finally {
    for (const { process: child } of leaders) await child.end();
    await emulator?.stop();
    await server?.stop();
    rmSync(folder, { recursive: true });
  }
  const of = (store: Store) => {
    const [off, on] = leaders.filter((leader) => leader.store === store);
    return [off!, on!] as const;
  };
  const onAlone = [undefined, of('memory')[1]] as const;
  const api = server === undefined ? 'the emulator' : 'a real API server';
  const cpu = ({ renewals }: Rounds) => renewals.map((round) => round.cpu);
  const took = ({ renewals }: Rounds) => renewals.map((round) => round.took);
  const each = (what: keyof Calls) => (rounds: Rounds) => rounds.calls.map((round) => round[what]);
  const rows = [
    rowOf('a renewal in memory: CPU', of('memory'), cpu),
    rowOf('a renewal in memory: time', of('memory'), took),
    rowOf(`a renewal on a Lease of ${api}: CPU`, of('lease'), cpu),
    rowOf(`a renewal on a Lease of ${api}: time`, of('lease'), took),
    rowOf('a call of a bare method', of('memory'), each('bare')),
    rowOf('a call of the same with `@LeaderOnly()`', of('memory'), each('gated')),
    rowOf('`health()`', of('memory'), each('health')),
    rowOf('a scrape', onAlone, each('scrape')),
  ];
  if (values.json) return console.log(JSON.stringify({ rounds, node: process.version, rows }));
  console.log(`${rounds} rounds, Node.js ${process.version}, ${availableParallelism()} cores
| | off | on | on / off |
| - | - | - | - |`);
  for (const { what, off, on, ratio } of rows) {
    console.log(`| ${what} | ${told(off)} | ${told(on)} | ${ratio?.toFixed(2) ?? ''} |`);
  }
}

function kubeConfigOf(url: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bench',
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
    clusters: [{ name: 'bench', cluster: { server: url } }],
    users: [{ name: 'bench', user: { token: 'token-of-the-bench' } }],
  });
}

const [state, store, kubeConfigFile = ''] = positionals;
if (state === undefined) await main();
else await lead(state as Told, store as Store, kubeConfigFile);
