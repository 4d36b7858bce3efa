import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeBinary } from '../../proof/matrix/application.js';
import { NODES } from '../../proof/matrix/axes.js';
import { Workshop } from '../../proof/matrix/workshop.js';
import { AskedProcess } from '../asked-process.js';
import { figure } from '../figure.js';
import type { Cell, Findings, Ground, Part, Table, Target } from '../measure.js';
import type { GateCall } from './gate-process.js';

const ROUNDS = 9;
const MOST_NS = 100;
/** So much room that no garbage is collected while bytes are counted. */
export const ROOM = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256'];

const PROGRAM = fileURLToPath(new URL('./gate-process.js', import.meta.url));

export const gateCost: Part = {
  key: 'gate',
  title: 'What a check of leadership costs',
  run: measureGates,
};

/** An application in a process of its own, and one like it whose heap is counted. */
interface Application {
  /** The arguments of the program. */
  readonly args: readonly [standing: 'leader' | 'follower', observers: 'off' | 'metrics' | 'spans'];
  readonly node?: string;
}

/** What was measured of one application: of each call, a value for each round. */
export interface Measured {
  /** CPU time in nanoseconds. */
  readonly ns: Partial<Record<GateCall, number[]>>;
  readonly bytes: Partial<Record<GateCall, number[]>>;
  /** Bytes for each call by the functions that took them. */
  readonly frames: Partial<Record<GateCall, Readonly<Record<string, number>>>>;
}

const HERE: readonly Application[] = [
  { args: ['leader', 'off'] },
  { args: ['follower', 'off'] },
  { args: ['leader', 'metrics'] },
  { args: ['follower', 'metrics'] },
  { args: ['leader', 'spans'] },
];

async function measureGates(ground: Ground): Promise<Findings> {
  const rounds = ground.isQuick ? 1 : ROUNDS;
  const applications = ground.isQuick ? HERE.slice(0, 2) : HERE;
  const [leader, follower, ...observed] = await measured(applications, rounds, ground);
  const others = ground.isQuick ? [] : await onOtherNodes(rounds, ground);
  const tables = [gateTable(leader!, follower!, observed)];
  const notMeasured: string[] = [];
  if (others.length > 0) tables.push(nodesTable([[process.versions.node, leader!], ...others]));
  else if (!ground.isQuick) notMeasured.push('Other versions of Node.js could not be installed.');
  return { tables, targets: gateTargets(leader!, follower!), notMeasured };
}

/**
 * Time is taken in a process of its own for each round: how much of a gate V8 puts in line differs from one to the next. Bytes
 * are counted in one process, as the first garbage collection has V8 compile again.
 */
async function measured(
  applications: readonly Application[],
  rounds: number,
  ground: Ground,
): Promise<Measured[]> {
  const found: Measured[] = [];
  const counted: AskedProcess[] = [];
  try {
    for (const application of applications) {
      found.push({ ns: {}, bytes: {}, frames: {} });
      counted.push(await startOf(application, ROOM));
    }
    for (let round = 1; round <= rounds; round += 1) {
      ground.say(`round ${round} of ${rounds}`);
      for (const [index, { ns, bytes }] of found.entries()) {
        append(bytes, await counted[index]!.ask('bytes'));
        append(ns, await timeIn(applications[index]!));
      }
    }
    for (const [index, { frames }] of found.entries()) {
      Object.assign(frames, await counted[index]!.ask('frames'));
    }
    return found;
  } finally {
    await Promise.all(counted.map((each) => each.end()));
  }
}

/** After the first time, whose promises V8 compiles once more for. */
async function timeIn(application: Application): Promise<Readonly<Record<string, number>>> {
  const timed = await startOf(application, []);
  try {
    await timed.ask('time');
    return await timed.ask('time');
  } finally {
    await timed.end();
  }
}

function startOf({ args, node }: Application, flags: readonly string[]): Promise<AskedProcess> {
  return AskedProcess.start(PROGRAM, args, { flags, ...(node !== undefined && { node }) });
}

function append(
  all: Partial<Record<GateCall, number[]>>,
  round: Readonly<Record<string, number>>,
): void {
  for (const [call, value] of Object.entries(round)) (all[call as GateCall] ??= []).push(value);
}

/** The newest of each line, as npm has them. Empty if it is out of reach. */
async function onOtherNodes(rounds: number, ground: Ground): Promise<[string, Measured][]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-nodes-'));
  const major = (version: string): string => version.split('.')[0]!;
  const versions = NODES.filter((version) => major(version) !== major(process.versions.node));
  try {
    const workshop = new Workshop(folder, '', []);
    const nodes = await Promise.all(versions.map((version) => nodeBinary(workshop, version)));
    const applications = nodes.map((node): Application => ({ args: ['leader', 'off'], node }));
    const found = await measured(applications, Math.ceil(rounds / 2), ground);
    return found.map((each, index) => [versions[index]!, each]);
  } catch (error) {
    ground.say(`no other Node.js: ${(error as Error).message.split('\n')[0]!}`);
    return [];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function gateTable(leader: Measured, follower: Measured, observed: readonly Measured[]): Table {
  const [metrics, skippedWithMetrics, spans] = observed;
  const rows: (readonly [string, Measured | undefined, GateCall, GateCall])[] = [
    ['a bare method', leader, 'bare', 'bare'],
    ['`performance.now()`, read by every check', leader, 'monotonicClock', 'bare'],
    ['`Date.now()`, read by every check', leader, 'wallClock', 'bare'],
    ['`isLeader()` on the leader', leader, 'isLeader', 'bare'],
    ['`isLeader()` on a follower', follower, 'isLeader', 'bare'],
    ['the method behind `@LeaderOnly()`, run', leader, 'gated', 'bare'],
    ['the same with metrics', metrics, 'gated', 'bare'],
    ['the same with metrics and spans', spans, 'gated', 'bare'],
    ['the method behind `@LeaderOnly()`, skipped', follower, 'gated', 'bare'],
    ['the same with metrics', skippedWithMetrics, 'gated', 'bare'],
    ['a bare `async` method, awaited', leader, 'bareAsync', 'bareAsync'],
    ['the same behind `@LeaderOnly()`, run', leader, 'gatedAsync', 'bareAsync'],
    ['the same with metrics', metrics, 'gatedAsync', 'bareAsync'],
    ['the same with metrics and spans', spans, 'gatedAsync', 'bareAsync'],
  ];
  return {
    title: 'A check and a gated call',
    text: `CPU time of a call in a loop, and over that of the method without a gate in the same process. Each round starts a process for each kind of application, as how much of a gate V8 puts in line differs between processes of the same code by a third. Bytes are what the heap grows by for each call, in one process like them that has so much room that no garbage is collected; V8 makes a number on the heap (16 bytes) of what a clock returns, and the profiler of V8 names the functions that took the rest. An \`async\` call also pays for the promise that its caller gets.`,
    columns: ['call', 'CPU time', 'over the bare method', 'allocated', 'by'],
    rows: rows.flatMap(([what, found, call, bare]) =>
      found?.ns[call] === undefined ? [] : [gateRow(what, found, call, bare)],
    ),
  };
}

function gateRow(what: string, found: Measured, call: GateCall, bare: GateCall): readonly Cell[] {
  return [
    what,
    figure(found.ns[call]!, 'ns'),
    call === bare ? undefined : figure(over(found.ns, call, bare), 'ns'),
    figure(wholeBytes(found.bytes[call]!), 'bytes'),
    largest(found.frames[call] ?? {}),
  ];
}

/** In each round. */
function over(values: Measured['ns' | 'bytes'], call: GateCall, bare: GateCall): readonly number[] {
  return values[call]!.map((value, round) => value - values[bare]![round]!);
}

/** Counting has a share of its own in each, of less than a byte. */
function wholeBytes(values: readonly number[]): readonly number[] {
  return values.map((value) => Math.max(0, Math.round(value)));
}

/** The functions that took at least eight bytes a call: no object is smaller. */
export function largest(frames: Readonly<Record<string, number>>): string {
  return Object.entries(frames)
    .filter(([, bytes]) => bytes >= 8)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, 5)
    .map(([name, bytes]) => `${name === '' ? 'nameless' : `\`${name}\``} ${Math.round(bytes)}`)
    .join(', ');
}

export function gateTargets(leader: Measured, follower: Measured): readonly Target[] {
  const kinds = [
    ['isLeader()', leader, 'isLeader'],
    ['a run gate', leader, 'gated'],
    ['a skipped gate', follower, 'gated'],
  ] as const;
  const median = (values: readonly number[]): number => figure(values, '').median;
  const { monotonicClock, wallClock } = leader.bytes;
  const byClocks = median(monotonicClock!) + median(wallClock!);
  return kinds.flatMap(([what, { ns, bytes }, call]): Target[] => {
    const allocated = median(bytes[call]!);
    const own = Math.max(0, Math.round(follower.ns === ns ? allocated : allocated - byClocks));
    return [
      {
        what: `${what} over the bare method, median`,
        unit: 'ns',
        atMost: MOST_NS,
        measured: median(over(ns, call, 'bare')),
      },
      {
        what: `allocated by ${what}${follower.ns === ns ? '' : ', beyond what the two clocks return'}`,
        unit: 'bytes',
        atMost: 0,
        measured: own,
      },
    ];
  });
}

function nodesTable(found: readonly (readonly [string, Measured])[]): Table {
  return {
    title: 'What entering the term takes by itself',
    text: `A run gate calls the method in the context of \`currentTerm()\`, which takes one \`AsyncLocalStorage.run()\`. From version 24 on Node.js copies all stores of the caller for each entry and each return, which is most of what a run gate costs there, and is not the library's to avoid: an outer gated call of the same term spares it.`,
    columns: [
      'Node.js',
      '`AsyncLocalStorage.run()`',
      'allocated',
      '`isLeader()`',
      'allocated',
      'run gate',
      'allocated',
    ],
    rows: found.map(([version, { ns, bytes }]) => [
      version,
      ...(['storage', 'isLeader', 'gated'] as const).flatMap((call) => [
        figure(over(ns, call, 'bare'), 'ns'),
        figure(wholeBytes(bytes[call]!), 'bytes'),
      ]),
    ]),
  };
}
