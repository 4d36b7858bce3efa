import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const NEST = ['@nestjs/common', '@nestjs/core', 'rxjs'];

/** The packages that a user needs in order to compile against an entry: all that its types and those below them name. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  contracts: [],
  core: [],
  dashboard: ['@nestjs/common'],
  health: ['@nestjs/core', '@nestjs/terminus'],
  index: NEST,
  metrics: ['prom-client'],
  schedule: NEST,
  testing: NEST,
  tracing: ['@opentelemetry/api'],
};
const { exports, peerDependencies, peerDependenciesMeta } = JSON.parse(
  readFileSync('package.json', 'utf8'),
) as Readonly<Record<'exports' | 'peerDependencies' | 'peerDependenciesMeta', object>>;

/** The modules that a file names by import, export, `import()`, `require()`, `declare module` or a triple slash. */
function namedIn(file: string): string[] {
  const found = ts.preProcessFile(readFileSync(file, 'utf8'), true, true);
  return [
    ...found.importedFiles,
    ...found.referencedFiles,
    ...found.typeReferenceDirectives,
    ...found.libReferenceDirectives,
    ...(found.ambientExternalModules ?? []).map((fileName) => ({ fileName })),
  ].map(({ fileName }) => fileName);
}

/** The file and all of the library's own that it names, step by step. */
function reachedFrom(file: string): Set<string> {
  const reached = new Set([file]);
  for (const each of reached) {
    const own = namedIn(each).filter((name) => name.startsWith('.'));
    for (const name of own) reached.add(join(each, '..', name.replace(/\.js$/, '.d.ts')));
  }
  return reached;
}

function packagesOf(file: string): string[] {
  const named = [...reachedFrom(file)].flatMap(namedIn).filter((name) => !name.startsWith('.'));
  return [...new Set(named)].toSorted();
}

describe.each(['dist', 'dist-commonjs'])('when users compile against the types in %s', (dir) => {
  const shipped = readdirSync(dir).filter((file) => file.endsWith('.d.ts'));

  it('needs for each entry these packages and no others', () => {
    const named = Object.keys(NAMED).map((entry) => [entry, packagesOf(`${dir}/${entry}.d.ts`)]);
    expect(Object.fromEntries(named)).toEqual(NAMED);
  });

  it('ships no types that no entry reaches', () => {
    const reached = Object.keys(NAMED).flatMap((entry) => [...reachedFrom(`${dir}/${entry}.d.ts`)]);
    expect(shipped.map((file) => join(dir, file)).toSorted()).toEqual(
      [...new Set(reached)].toSorted(),
    );
  });

  it('needs no global but those that Node.js and browsers share', () => {
    const program = ts.createProgram(
      shipped.map((file) => join(dir, file)),
      {
        noEmit: true,
        noResolve: true,
        skipDefaultLibCheck: true,
        types: [],
        lib: ['lib.es2022.d.ts'],
      },
    );
    const missing = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))
      .map((text) => /^Cannot find (?:name|namespace) '(\w+)'/.exec(text)?.[1])
      .filter((name) => name !== undefined);
    expect([...new Set(missing)].toSorted()).toEqual(['AbortSignal', 'URL']);
  });
});

describe('when an entry is added', () => {
  it('has its packages in the list above', () => {
    const entries = Object.keys(exports)
      .filter((path) => path !== './package.json')
      .map((path) => (path === '.' ? 'index' : path.slice(2)));
    expect(entries.toSorted()).toEqual(Object.keys(NAMED));
  });

  it('names only peers, and in the main entry none that is optional', () => {
    expect(
      Object.values(NAMED)
        .flat()
        .filter((name) => !(name in peerDependencies)),
    ).toEqual([]);
    expect(NAMED['index']!.filter((name) => name in peerDependenciesMeta)).toEqual([]);
  });
});
