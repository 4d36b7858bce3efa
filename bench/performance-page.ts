import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { format } from 'prettier';
import type { ElectionCluster } from '../proof/fleet/election-cluster.js';
import type { Figure, Unit } from './figure.js';
import type { Cell, Findings, Table, Target } from './measure.js';

/** All of one run. */
export interface Report {
  machine: Machine;
  minutes: number;
  readonly parts: (Findings & { readonly key: string; readonly title: string })[];
}

interface Machine {
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** The mean number of other processes that wanted to run in the minute before. */
  readonly load: number;
  /** What runs there, by name. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Packages whose versions a figure may depend on. */
const PACKAGES = [
  '@nestjs/core',
  '@nestjs/schedule',
  '@kubernetes/client-node',
  '@codedependant/kubernetes-leader-election',
  '@nullplatform/k8s-lease-lock',
];

export async function machine({ server }: ElectionCluster): Promise<Machine> {
  const { body } = await server.request('GET', '/version');
  const [first] = cpus();
  const packages = PACKAGES.flatMap((name) => {
    const version = installedVersion(name);
    return version === undefined ? [] : [[name, version] as const];
  });
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: first?.model ?? process.arch,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
    load: Math.round(loadavg()[0]! * 10) / 10,
    versions: {
      'Node.js': process.versions.node,
      'kube-apiserver': String((body as { gitVersion?: string }).gitVersion),
      ...Object.fromEntries(packages),
    },
  };
}

function installedVersion(name: string): string | undefined {
  try {
    const file = readFileSync(`node_modules/${name}/package.json`, 'utf8');
    return (JSON.parse(file) as { version: string }).version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const COMMAND = 'npm run bench';

/** docs/performance.md, as prettier leaves it. */
export async function performancePage(report: Report): Promise<string> {
  const { processor, cores, memoryGiB, system, load, versions, date } = report.machine;
  const told = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return markdown(`# Performance

\`${COMMAND}\` wrote this page on ${date}: ${report.minutes} minutes on ${processor}, ${cores} cores and ${memoryGiB} GiB of
memory, ${system}, with a load average of ${load} before it began, and ${told.join(', ')}. The API server, its etcd and all contenders ran on that machine, in turn in one run,
so compare figures of one table with each other, and run the command to get those of your own machine. A cell is the median
with the lower and the upper quartile in brackets; with "n =", how often it was measured. All figures are in
[performance.json](results/performance.json).

## Targets

${tableOfTargets(report.parts.flatMap(({ targets }) => targets))}

[Why targets are missed, and what was before](results/measurements.md#before-and-after-the-work-on-speed)

${partsOf(report)}

## How figures grow

![Each figure as its size grows by tens](images/performance-growth.svg)

## What was not measured

${[...new Set(report.parts.flatMap(({ notMeasured = [] }) => notMeasured))]
  .map((sentence) => `- ${sentence}`)
  .join('\n')}
`);
}

/** The same, as far as it was measured, to be printed. */
export function sections(report: Report): Promise<string> {
  const targets = report.parts.flatMap(({ targets: each }) => each);
  return markdown(`${partsOf(report)}\n\n${targets.length > 0 ? tableOfTargets(targets) : ''}`);
}

/** All figures, as JSON. */
export function performanceFigures(report: Report): Promise<string> {
  return formatted(JSON.stringify(report), 'json');
}

function markdown(text: string): Promise<string> {
  return formatted(text, 'markdown');
}

async function formatted(text: string, parser: 'json' | 'markdown'): Promise<string> {
  const style = JSON.parse(readFileSync('.prettierrc.json', 'utf8')) as object;
  return format(text, { ...style, parser });
}

function partsOf({ parts }: Report): string {
  return parts
    .map(({ title, tables }) => [`## ${title}`, ...tables.map(described)].join('\n\n'))
    .join('\n\n');
}

function described({ title, text, columns, rows }: Table): string {
  return [`### ${title}`, text, tableOf(columns, rows)].join('\n\n');
}

function tableOfTargets(targets: readonly Target[]): string {
  const rows = targets.map(({ what, unit, atMost, measured }) => {
    const isMet = measured <= atMost;
    return [what, inUnit(atMost, unit), inUnit(measured, unit), isMet ? 'yes' : '**no**'];
  });
  return tableOf(['what', 'at most', 'measured', 'met'], rows);
}

function tableOf(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(columns),
    line(columns.map(() => '---')),
    ...rows.map((cells) => line(cells.map(toldCell))),
  ].join('\n');
}

function toldCell(cell: Cell): string {
  if (cell === undefined) return '–';
  if (typeof cell === 'string') return cell;
  return typeof cell === 'number' ? number(cell) : toldFigure(cell);
}

function toldFigure({ n, unit, median, low, high, p99 }: Figure): string {
  if (n === 1) return inUnit(median, unit);
  const tail = n >= 50 ? `, p99 ${number(p99)}` : '';
  return `${inUnit(median, unit)} (${number(low)} to ${number(high)}${tail}, n = ${n})`;
}

function inUnit(value: number, unit: Unit): string {
  return unit === '' || unit === '×' ? `${number(value)}${unit}` : `${number(value)} ${unit}`;
}

/** Three digits that count, and no more than there are. */
function number(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { maximumFractionDigits: digits });
}
