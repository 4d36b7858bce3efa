import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { cruise, type ICruiseResult } from 'dependency-cruiser';

/** Who imports whom, imports of types included: a set of names for each name. */
export type ImportGraph = ReadonlyMap<string, ReadonlySet<string>>;

/** The imports of `lib`, and those of them that the map in CONTRIBUTING.md does not allow, between its folders. */
export interface LibImports {
  readonly files: ImportGraph;
  /** `lib/core → lib/nest`, as the lint would report it. */
  readonly againstTheMap: readonly string[];
}

/** Read by the tool and by the rules of `npm run lint`, so that the figures are those that the lint keeps. */
export async function importsOfLib(root: string): Promise<LibImports> {
  const { allowed, options } = createRequire(import.meta.url)(resolve('.dependency-cruiser.cjs'));
  const { output } = await cruise(['lib'], {
    baseDir: root,
    includeOnly: '^lib/',
    tsPreCompilationDeps: options.tsPreCompilationDeps,
    validate: true,
    ruleSet: { allowed, allowedSeverity: 'error' },
  });
  const { modules, summary } = output as ICruiseResult;
  const files = modules.map(
    ({ source, dependencies }) =>
      [source, new Set(dependencies.map(({ resolved }) => resolved))] as const,
  );
  const refused = summary.violations.map(({ from, to }) => `${wingOf(from)} → ${wingOf(to)}`);
  return { files: new Map(files), againstTheMap: [...new Set(refused)] };
}

/** `lib/nest` for `lib/nest/errors.ts` and for whatever is deeper in it; `lib/index.ts` for itself. */
function wingOf(file: string): string {
  return file.split('/').slice(0, 2).join('/');
}

/** The same graph between folders, without the arrows of a folder to itself. */
export function foldersOf(files: ImportGraph): ImportGraph {
  return merged(files, dirname);
}

/** The same graph between the folders of the map. */
export function wingsOf(files: ImportGraph): ImportGraph {
  return merged(files, wingOf);
}

function merged(graph: ImportGraph, nameOf: (file: string) => string): ImportGraph {
  const result = new Map<string, Set<string>>();
  for (const [file, imports] of graph) {
    const from = nameOf(file);
    const arrows = result.get(from) ?? new Set();
    result.set(from, arrows);
    for (const name of [...imports].map(nameOf)) if (name !== from) arrows.add(name);
  }
  return result;
}

export function arrowsOf(graph: ImportGraph): number {
  return [...graph.values()].reduce((sum, imports) => sum + imports.size, 0);
}

/** The names that exactly one other imports. */
export function singlyImported(graph: ImportGraph): string[] {
  const importers = new Map<string, number>();
  for (const imports of graph.values())
    for (const name of imports) importers.set(name, (importers.get(name) ?? 0) + 1);
  return [...importers].filter(([, count]) => count === 1).map(([name]) => name);
}

/** Groups of names that reach each other. */
export function circlesOf(graph: ImportGraph): string[][] {
  const reached = new Map([...graph.keys()].map((name) => [name, reachOf(graph, name)]));
  const circles = new Map<string, string[]>();
  for (const [name, reach] of reached) {
    if (!reach.has(name)) continue;
    const circle = [...reach].filter((other) => reached.get(other)?.has(name)).sort();
    circles.set(circle.join(), circle);
  }
  return [...circles.values()];
}

function reachOf(graph: ImportGraph, start: string): Set<string> {
  const reach = new Set<string>();
  const ahead = [start];
  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
    const further = [...(graph.get(name) ?? [])].filter((next) => !reach.has(next));
    for (const next of further) reach.add(next);
    ahead.push(...further);
  }
  return reach;
}

/** The longest chain of imports, counted in names; a circle counts as one floor. */
export function floorsOf(graph: ImportGraph): number {
  const circles = circlesOf(graph);
  const roomOf = (name: string) => circles.find((circle) => circle.includes(name))?.[0] ?? name;
  const rooms = merged(graph, roomOf);
  const floors = new Map<string, number>();
  const floorOf = (room: string): number => {
    const known = floors.get(room);
    if (known !== undefined) return known;
    const floor = 1 + Math.max(0, ...[...(rooms.get(room) ?? [])].map(floorOf));
    floors.set(room, floor);
    return floor;
  };
  return Math.max(0, ...[...rooms.keys()].map(floorOf));
}
