import { readFileSync, rmSync } from 'node:fs';
import { dts } from 'rollup-plugin-dts';
import typescript from 'typescript';

/**
 * One file per entry and what they share, so that the package loads at once and a class is the same class in every
 * entry. The input is what the compiler made of `lib`, with the metadata of decorators and the names of classes.
 */
const ENTRIES = {
  index: '.build/index',
  contracts: '.build/contracts/index',
  core: '.build/election/index',
  dashboard: '.build/dashboard/index',
  health: '.build/health/index',
  metrics: '.build/metrics/index',
  schedule: '.build/schedule/index',
  testing: '.build/testing/index',
  tracing: '.build/tracing/index',
};

/** The program, of the same files: a copy of its own would make the package a tenth larger. */
const PROGRAM = { 'cli/main': '.build/cli/main' };

function scripts(dir, format) {
  return {
    ...bundles('.js', format === 'cjs' ? ENTRIES : { ...ENTRIES, ...PROGRAM }),
    plugins: [compiled, ...(format === 'cjs' ? [commonjsScope] : [])],
    output: { ...output(dir, '.js'), format, minifyInternalExports: false },
  };
}

function types(dir) {
  return {
    ...bundles('.d.ts', ENTRIES),
    plugins: [dts()],
    output: { ...output(dir, '.d.ts'), format: 'es', sourcemap: false },
  };
}

function bundles(extension, entries) {
  const input = Object.entries(entries).map(([name, path]) => [name, path + extension]);
  return { input: Object.fromEntries(input), external: (id) => !/^[./]/.test(id), onwarn };
}

function output(dir, extension) {
  return {
    dir,
    manualChunks,
    chunkFileNames: `[name]${extension}`,
    hoistTransitiveImports: false,
    // A stack names the files of `lib` and their lines; the sources would double the package.
    sourcemap: true,
    sourcemapExcludeSources: true,
  };
}

/** Entries that read the records of jobs, which the main entry does not load. */
const OF_JOBS = /[\\/](schedule|dashboard)[\\/]index\.(js|d\.ts)$/;
const OF_CORE = /[\\/]election[\\/]index\.js$/;
const OF_PROGRAM = /[\\/]cli[\\/]main\.js$/;
/** What is imported when it is needed. */
const LATER = [
  ['kubernetes', /[\\/]lease-store\.(js|d\.ts)$/],
  ['kubeconfig', /[\\/]kubeconfig-target\.(js|d\.ts)$/],
  ['files', /[\\/]lease-files\.(js|d\.ts)$/],
  ['optional', /[\\/]optional-parts\.(js|d\.ts)$/],
];

/** What competes: an application has loaded it when it starts, and not yet when it imports the module. */
const OF_START = /[\\/]role-election\.js$/;
const OF_MAIN = /\.build[\\/]index\.js$/;

/** Entries for tests, which an application does not load. */
const OF_TESTS = /[\\/](contracts|testing)[\\/]index\.(js|d\.ts)$/;

/**
 * What one entry alone reaches is in its file. The rest is in one file that all of them share, but for what needs a package
 * of Nest, which an entry without Nest must not load, for the records of jobs and for what is only for tests. What is only
 * imported when it is needed is in a file of its own; what competes is in two, of which /core loads the one without Nest. The
 * program changes none of this: what it shares with one entry alone stays with /core, or leaves the dashboard, which needs Nest,
 * for a file that both load.
 */
function manualChunks(id, { getModuleInfo }) {
  const reaching = reached(id, (each) => getModuleInfo(each).importers);
  const entries = reaching.filter((each) => getModuleInfo(each).isEntry && !OF_PROGRAM.test(each));
  const isOfProgram = reaching.some((each) => OF_PROGRAM.test(each));
  const later = LATER.filter(([, file]) => reaching.some((each) => file.test(each)));
  const needed = reached(id, (each) => getModuleInfo(each).importedIds);
  const isOfNest = needed.some((each) => !/^[./]|^node:/.test(each));
  // What a lock needs as well is shared with it.
  const isOfStart =
    reaching.some((each) => OF_START.test(each)) &&
    !reaching.some((each) => OF_MAIN.test(each)) &&
    later.every(([name]) => name === 'optional');
  if (isOfStart) return isOfNest ? 'role' : 'election';
  if (entries.length === 0) {
    const [first, ...others] = later.map(([name]) => name);
    // A kubeconfig is for a cluster; what else is loaded later is for none.
    return others.some((other) => other !== 'kubeconfig') ? 'shared' : first;
  }
  if (entries.length === 1) {
    if (OF_CORE.test(entries[0])) return 'core';
    return isOfProgram ? 'fleet' : undefined;
  }
  if (entries.every((each) => OF_JOBS.test(each))) return 'jobs';
  if (entries.every((each) => OF_TESTS.test(each))) return 'kit';
  return isOfNest ? 'nest' : 'shared';
}

/** Itself, and all that can be reached from it step by step. */
function reached(id, next) {
  const found = new Set([id]);
  for (const each of found) for (const other of next(each)) found.add(other);
  return [...found];
}

/**
 * Hands the compiler's source maps on, so that a stack shows the lines of `lib`, and leaves the comments to it; those of
 * the types are for whoever hovers over a name.
 */
const compiled = {
  name: 'compiled',
  load: (id) => ({ code: readFileSync(id, 'utf8'), map: readFileSync(`${id}.map`, 'utf8') }),
  renderChunk(code) {
    const language = { target: 'ES2022', module: 'ES2022' };
    const compilerOptions = { ...language, removeComments: true, sourceMap: true };
    const { outputText, sourceMapText } = typescript.transpileModule(code, { compilerOptions });
    const rendered = outputText.replace(/^\/\/# sourceMappingURL=.*$/m, '');
    return { code: inOneByte(rendered), map: sourceMapText };
  },
};

/**
 * V8 keeps a source of one character beyond Latin-1 at two bytes for each of its characters, which an application would pay
 * for as long as it runs. What is escaped stands in strings, templates and patterns.
 */
function inOneByte(code) {
  if (code.includes('String.raw'))
    throw new Error('String.raw would show an escape as it is written');
  return code.replace(/[\u0100-\uffff]/g, (unit) => {
    const digits = unit.charCodeAt(0).toString(16).padStart(4, '0');
    return `\\u${digits}`;
  });
}

const commonjsScope = {
  name: 'commonjs-scope',
  generateBundle() {
    this.emitFile({ type: 'asset', fileName: 'package.json', source: '{"type":"commonjs"}\n' });
  },
};

/** The helpers of decorators look at a `this` that a module does not have, and do without. */
function onwarn(warning) {
  if (warning.code === 'THIS_IS_UNDEFINED') return;
  throw new Error(warning.message, { cause: warning });
}

/** `nest add` loads it with require, in the process of its own schematics. */
const schematics = {
  ...bundles('.js', { 'nest-add': '.build/schematics/nest-add' }),
  plugins: [compiled, beside(['collection.json', 'schema.json'])],
  output: {
    ...output('dist/schematics', '.js'),
    entryFileNames: '[name].cjs',
    format: 'cjs',
    manualChunks: undefined,
    sourcemap: false,
  },
};

function beside(fileNames) {
  return {
    name: 'beside',
    generateBundle() {
      for (const fileName of fileNames) {
        const source = readFileSync(`lib/schematics/${fileName}`, 'utf8');
        this.emitFile({ type: 'asset', fileName, source });
      }
    },
  };
}

export default [
  ...['dist', 'dist-commonjs'].flatMap((dir) => {
    rmSync(dir, { recursive: true, force: true });
    return [scripts(dir, dir === 'dist' ? 'es' : 'cjs'), types(dir)];
  }),
  schematics,
];
