import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { arch, cpus, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packedTarball } from '../../test/package/packed-tarball.js';
import {
  type Axes,
  type Combination,
  judge,
  pairwise,
  product,
  whyImpossible,
} from './combinations.js';
import { type Part, PARTS } from './parts.js';
import { record, type Result, tableOf } from './report.js';
import { Workshop } from './workshop.js';

/**
 * `npm run test:matrix`: what the package works with, in installations as users have them.
 *
 * `--quick` tries as few combinations as have every pair of values, as CI does; `--only <text>`, once or several times,
 * those whose name contains all of the texts; `--record` writes docs/results/compatibility.md again.
 */
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    keep: { type: 'boolean', default: false },
  },
});
const isQuick = values.quick;
if (values.record && (isQuick || values.only.length > 0)) {
  throw new Error('--record writes down a whole run: leave out --quick and --only.');
}

const { name, version, exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
};
const entries = Object.keys(exports)
  .filter((path) => !path.endsWith('.json'))
  .map((path) => path.replace('.', name));

const begun = performance.now();
const folder = mkdtempSync(join(tmpdir(), 'matrix-'));
const workshop = new Workshop(folder, await packedTarball(folder), entries);
const runs = new Map<string, Promise<{ error?: Error; seconds: number }>>();
const results = new Map<Part, Result[]>(PARTS.map((part) => [part, []]));

/** Applications mostly wait: for the next second, and for the watchdog. */
const AT_ONCE = cpus().length * 2;

const tasks = PARTS.flatMap((part) =>
  chosen(part).map((combination) => () => attempt(part, combination)),
);
await Promise.all(Array.from({ length: AT_ONCE }, work));

const text = report();
console.log(`\n${text}`);
if (values.record) {
  record(text);
  execFileSync('npx', ['prettier', '--write', 'docs/results/compatibility.md']);
}
const isFailed = [...results.values()].flat().some(({ verdict }) => verdict === 'fails');
if (isFailed) process.exitCode = 1;
// Last, as so many files take a while.
if (!values.keep) rmSync(folder, { recursive: true, force: true });

async function work(): Promise<void> {
  for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) await task();
}

function chosen(part: Part): Combination[] {
  const axes: Axes | undefined = isQuick ? part.quick : part.axes;
  if (axes === undefined) return [];
  const all = product(axes);
  const possible = all.filter((each) => whyImpossible(each, part.impossible) === undefined);
  // Of what is not possible, one for each reason.
  const others = part.impossible.flatMap((rule) =>
    all.filter((each) => whyImpossible(each, part.impossible) === rule).slice(0, 1),
  );
  const some = isQuick ? [...pairwise(possible), ...others] : all;
  return some.filter((each) =>
    values.only.every((part_) => `${part.title}: ${nameOf(each)}`.includes(part_)),
  );
}

async function attempt(part: Part, combination: Combination): Promise<void> {
  const { error, seconds } = await ending(part, combination);
  const impossible = whyImpossible(combination, part.impossible);
  const result = { combination, seconds, ...judge(error, impossible) };
  results.get(part)!.push(result);
  console.log(`${part.title}: ${nameOf(combination)}: ${result.verdict}, ${seconds.toFixed(1)} s`);
  if (result.verdict === 'fails') console.error(result.said);
}

async function ending(part: Part, combination: Combination) {
  try {
    const { key, run } = await part.prepare(workshop, combination, isQuick);
    const ended = runs.get(key) ?? timed(run);
    runs.set(key, ended);
    return await ended;
  } catch (error) {
    return { error: error as Error, seconds: 0 };
  }
}

async function timed(run: () => Promise<void>): Promise<{ error?: Error; seconds: number }> {
  const start = performance.now();
  const error = await run().then(
    () => undefined,
    (reason: Error) => reason,
  );
  const seconds = (performance.now() - start) / 1_000;
  return error ? { error, seconds } : { seconds };
}

function nameOf(combination: Combination): string {
  return Object.entries(combination)
    .map(([axis, value]) => `${axis} ${value}`)
    .join(', ');
}

function report(): string {
  const tried = [...results.values()].flat();
  const count = (verdict: string) => tried.filter((each) => each.verdict === verdict).length;
  const minutes = ((performance.now() - begun) / 60_000).toFixed(1);
  const day = new Date().toISOString().slice(0, 10);
  const head =
    `Version ${version}, on ${day}: ${tried.length} combinations in ${runs.size} runs, ${count('works')} work, ` +
    `${count('not possible')} are not possible, ${count('fails')} fail. It took ${minutes} minutes on ${cpus().length} ` +
    `cores (${platform()} on ${arch()}), ${AT_ONCE} at a time.`;
  const tables = [...results]
    .filter(([, of]) => of.length > 0)
    .map(
      ([part, of]) => `## ${part.title}\n\n${part.meaning}\n\n${tableOf(part, inOrder(part, of))}`,
    );
  return [head, ...tables].join('\n\n');
}

/** As they end, they are in the order of their ends. */
function inOrder({ axes }: Part, of: readonly Result[]): Result[] {
  const order = product(axes).map(nameOf);
  return of.toSorted(
    (a, b) => order.indexOf(nameOf(a.combination)) - order.indexOf(nameOf(b.combination)),
  );
}
