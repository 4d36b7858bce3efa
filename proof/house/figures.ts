import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  arrowsOf,
  circlesOf,
  floorsOf,
  foldersOf,
  importsOfLib,
  singlyImported,
  wingsOf,
} from './import-graph.js';
import { functionsOf, publicNamesOf } from './source-figures.js';

/**
 * `npm run figures`: measures `lib`, and prints a table with a column for each checkout.
 *
 * `--root <folder>`, once or several times, measures other checkouts (default: this one), always by the map and the rules
 * of this one; `--pack` also builds each and weighs its tarball, and `--tests` also runs its `npm test`: both need its
 * node_modules. `--names` lists the functions and files behind the figures.
 */
const { values } = parseArgs({
  options: {
    root: { type: 'string', multiple: true, default: ['.'] },
    pack: { type: 'boolean', default: false },
    tests: { type: 'boolean', default: false },
    names: { type: 'boolean', default: false },
  },
});

/** A row of the table: what is measured, and its value. */
type Figure = readonly [string, string | number];

/** Finds copies; not installed here, as nothing but this table uses it. */
const JSCPD = 'jscpd@4.3.0';
const DUPLICATE_LINES = 4;
const DUPLICATE_TOKENS = 35;
const LONG_FUNCTION = 40;
const SMALL_FILE = 25;

function sizes(texts: ReadonlyMap<string, string>): Figure[] {
  const lines = [...texts.values()].map((text) => text.split('\n').length - 1);
  lines.sort((a, b) => a - b);
  return [
    ['files in lib', lines.length],
    ['lines', lines.reduce((sum, count) => sum + count, 0)],
    ['median file, lines', lines[lines.length >> 1] ?? 0],
    ['largest file, lines', lines.at(-1) ?? 0],
    [`files of ${SMALL_FILE} lines or less`, lines.filter((count) => count <= SMALL_FILE).length],
  ];
}

async function imports(root: string): Promise<Figure[]> {
  const { files, againstTheMap } = await importsOfLib(root);
  const folders = foldersOf(files);
  const wings = wingsOf(files);
  const single = singlyImported(files);
  const circles = { files: circlesOf(files), folders: circlesOf(folders) };
  name('single importers', single);
  name('against the map', againstTheMap);
  name(
    'circles',
    [...circles.files, ...circles.folders].map((circle) => circle.join(', ')),
  );
  const share = Math.round((100 * single.length) / files.size);
  return [
    ['files that exactly one other file of lib imports', `${single.length} (${share} %)`],
    ['floors of imports: files', floorsOf(files)],
    ['floors of imports: folders of the map', floorsOf(wings)],
    ['arrows between folders of the map', arrowsOf(wings)],
    ['arrows between all folders', arrowsOf(folders)],
    ['arrows that the map does not allow', againstTheMap.length],
    ['circles of files', circles.files.length],
    ['circles of folders', circles.folders.length],
  ];
}

function functions(texts: ReadonlyMap<string, string>): Figure[] {
  const all = [...texts].flatMap(([file, text]) => functionsOf(file, text));
  all.sort((a, b) => b.lines - a.lines);
  const long = all.filter(({ lines }) => lines > LONG_FUNCTION);
  name(
    'longest functions',
    long.map(({ name: where, lines }) => `${lines} ${where}`),
  );
  return [
    ['functions', all.length],
    ['longest function, lines', all[0]?.lines ?? 0],
    [`functions over ${LONG_FUNCTION} lines`, long.length],
  ];
}

/** An entry is an index.ts in lib or in a folder of the map. */
function publicNames(root: string, files: readonly string[]): Figure[] {
  const entries = files.filter((file) => /^lib\/(\w+\/)?index\.ts$/.test(file));
  return entries.sort().flatMap((entry): Figure[] => {
    const { values: runtime, types } = publicNamesOf(join(root, entry));
    return [[`public names of ${entry}: values + types`, `${runtime.length} + ${types.length}`]];
  });
}

function duplicates(root: string): Figure[] {
  const lib = join(root, 'lib');
  const { statistics, duplicates: copies } = reportOf<JscpdReport>(
    'jscpd-report.json',
    (folder) => {
      const thresholds = [
        '--min-lines',
        `${DUPLICATE_LINES}`,
        '--min-tokens',
        `${DUPLICATE_TOKENS}`,
      ];
      const report = ['--reporters', 'json', '--output', folder, '--silent'];
      run('npx', ['--yes', JSCPD, lib, ...thresholds, ...report], process.cwd());
    },
  );
  name(
    'duplicates',
    copies.map(({ lines, firstFile, secondFile }) => {
      const [first, second] = [firstFile, secondFile].map((copy) =>
        [relative(lib, resolve(copy.name)), copy.start].join(':'),
      );
      return `${lines} lines: ${first}, ${second}`;
    }),
  );
  const { duplicatedLines, percentage } = statistics.total;
  return [
    [
      `duplicated lines (${JSCPD}, ${DUPLICATE_LINES} lines, ${DUPLICATE_TOKENS} tokens or more)`,
      `${duplicatedLines} (${percentage} %)`,
    ],
  ];
}

interface JscpdReport {
  statistics: { total: { duplicatedLines: number; percentage: number } };
  duplicates: { lines: number; firstFile: JscpdCopy; secondFile: JscpdCopy }[];
}

interface JscpdCopy {
  name: string;
  start: number;
}

function tarball(root: string): Figure[] {
  const printed = run('npm', ['pack', '--dry-run', '--json', '--silent'], root);
  const [pack] = Object.values<NpmPack>(JSON.parse(printed.slice(printed.search(/^[[{]/m))));
  const kB = (bytes: number) => Math.round(bytes / 1000);
  return [
    ['tarball: packed, unpacked, kB', `${kB(pack!.size)}, ${kB(pack!.unpackedSize)}`],
    ['tarball: files', pack!.entryCount],
  ];
}

interface NpmPack {
  size: number;
  unpackedSize: number;
  entryCount: number;
}

function tests(root: string): Figure[] {
  const start = performance.now();
  const { numTotalTests } = reportOf<{ numTotalTests: number }>('tests.json', (folder) => {
    const report = join(folder, 'tests.json');
    run('npm', ['test', '--silent', '--', '--silent', '--json', `--outputFile=${report}`], root);
  });
  const seconds = Math.round((performance.now() - start) / 1000);
  return [
    ['tests of npm test', numTotalTests],
    ['time of npm test, s', seconds],
  ];
}

/** What a tool writes into a file of its own, in a folder that is removed. */
function reportOf<Report>(file: string, writeInto: (folder: string) => void): Report {
  const folder = mkdtempSync(join(tmpdir(), 'house-'));
  try {
    writeInto(folder);
    return JSON.parse(readFileSync(join(folder, file), 'utf8')) as Report;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(command: string, args: readonly string[], cwd: string): string {
  const maxBuffer = 64 * 1024 * 1024;
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe', maxBuffer });
}

const behind: string[] = [];

function name(figure: string, names: readonly string[]): void {
  if (names.length > 0) behind.push('', `${figure}:`, ...names.map((each) => `  ${each}`));
}

async function measure(root: string): Promise<Map<string, string | number>> {
  behind.push('', `# ${root}`);
  const files = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('lib', file));
  const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
  return new Map([
    ...sizes(texts),
    ...(await imports(root)),
    ...functions(texts),
    ...publicNames(root, files),
    ...duplicates(root),
    ...(values.pack ? tarball(root) : []),
    ...(values.tests ? tests(root) : []),
  ]);
}

function commitOf(root: string): string {
  const commit = run('git', ['rev-parse', '--short', 'HEAD'], root).trim();
  const changed = run('git', ['status', '--porcelain', 'lib', 'package.json'], root) !== '';
  return changed ? `${commit} and changes` : commit;
}

const columns = [];
for (const given of values.root) {
  const root = resolve(given);
  columns.push({ title: commitOf(root), figures: await measure(root) });
}
const rows = [...new Set(columns.flatMap(({ figures }) => [...figures.keys()]))];
console.log(`| | ${columns.map(({ title }) => title).join(' | ')} |`);
console.log(`|---|${columns.map(() => '---:|').join('')}`);
for (const row of rows)
  console.log(`| ${row} | ${columns.map(({ figures }) => figures.get(row) ?? '–').join(' | ')} |`);
if (values.names) console.log(behind.join('\n'));
