import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MODULE_SYSTEMS, NESTS, NODES, KUBECONFIG_NODES, TYPESCRIPTS } from './axes.js';
import { type Workshop, run } from './workshop.js';

/** One application of a user: what it depends on, and how it loads it. */
export interface Application {
  readonly nest: string;
  readonly platform: string;
  readonly modules: string;
}

const SOURCES = join('proof', 'matrix', 'consumer');

/** Where the dependencies are installed: a folder for each set, which all its applications share. */
function installed(workshop: Workshop, { nest, platform }: Application): Promise<string> {
  const { packages, platforms } = NESTS[nest]!;
  const all = [workshop.tarball, ...packages, ...platforms[platform]!];
  return workshop.install(`nest-${nest}-${platform}`, all);
}

/** The sources of the application, in a folder of their own beside `node_modules`. */
export function project(
  workshop: Workshop,
  application: Application,
  { name, sourceFolder = '.' }: { name: string; sourceFolder?: string },
): Promise<string> {
  const { platform, modules, nest } = application;
  return workshop.once(`project ${nest} ${platform} ${modules} ${name}`, async () => {
    const folder = join(await installed(workshop, application), name);
    const sources = join(folder, sourceFolder);
    mkdirSync(sources, { recursive: true });
    const adapter = `platform-${platform.toLowerCase()}`;
    const main = readFileSync(join(SOURCES, 'main.ts'), 'utf8').replace(
      'platform-express',
      adapter,
    );
    writeFileSync(join(sources, 'main.ts'), `import './every-entry.js';\n${main}`);
    cpSync(join(SOURCES, `${adapter}.ts`), join(sources, `${adapter}.ts`));
    writeFileSync(join(sources, 'every-entry.ts'), everyEntry(workshop.entries));
    cpSync(join(SOURCES, 'one-copy.mjs'), join(folder, 'one-copy.mjs'));
    writeFileSync(join(folder, 'entries.json'), JSON.stringify(workshop.entries));
    const { type } = MODULE_SYSTEMS[modules]!;
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type }));
    return folder;
  });
}

/** Imports every sub-path of the package, so that each is compiled, bundled and loaded. */
function everyEntry(entries: readonly string[]): string {
  const imports = entries.map((entry, at) => `import * as entry${at} from '${entry}';\n`);
  const all = entries.map((_, at) => `entry${at}`).join(', ');
  return (
    imports.join('') +
    `const counts = [${all}].map((entry) => Object.keys(entry).length);\n` +
    `process.stdout.write(JSON.stringify(['entries', counts]) + '\\n');\n`
  );
}

export const COMPILER_OPTIONS = {
  target: 'es2022',
  types: ['node'],
  strict: true,
  esModuleInterop: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  ignoreDeprecations: undefined as string | undefined,
  skipLibCheck: false,
};

export interface Compilation {
  readonly typescript: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Runs the compiler of this version. @throws with what it reports */
export async function compile(
  workshop: Workshop,
  folder: string,
  name: string,
  { typescript, options }: Compilation,
): Promise<void> {
  const compilers = await typescripts(workshop);
  // 6 warns of what 7 has no more.
  const ignoreDeprecations = typescript === '6.0' ? '6.0' : undefined;
  const compilerOptions = { ...COMPILER_OPTIONS, ignoreDeprecations, rootDir: '.', ...options };
  const config = `tsconfig.${name}.json`;
  writeFileSync(join(folder, config), JSON.stringify({ compilerOptions, files: ['main.ts'] }));
  const tsc = join(compilers, typescript, 'bin', 'tsc');
  await run(process.execPath, [tsc, '-p', config], folder);
}

/** Compiles the application; the folder of the output, and what tells it from others. */
export function built(
  workshop: Workshop,
  application: Application,
  { typescript, skipLibCheck }: { typescript: string; skipLibCheck: boolean },
): Promise<{ folder: string; output: string; digest: string }> {
  const { type, module } = MODULE_SYSTEMS[application.modules]!;
  const { nest, platform } = application;
  return workshop.once(`build ${nest} ${platform} ${type} ${typescript}`, async () => {
    const folder = await project(workshop, application, { name: type });
    const output = `out-${typescript}`;
    const options = { module, outDir: output, skipLibCheck };
    await compile(workshop, folder, typescript, { typescript, options });
    const digest = digestOf(join(folder, output));
    return { folder, output, digest };
  });
}

function digestOf(folder: string): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(folder).sort()) hash.update(readFileSync(join(folder, file)));
  return hash.digest('hex');
}

/** The folder with a folder for each version of TypeScript. */
export async function typescripts(workshop: Workshop): Promise<string> {
  const packages = Object.entries(TYPESCRIPTS).map(
    ([name, version]) => `${name}@npm:typescript@${version}`,
  );
  return join(await workshop.install('typescripts', packages), 'node_modules');
}

/** The binary of this version of Node.js. */
export async function nodeBinary(workshop: Workshop, version: string): Promise<string> {
  const versions = new Set([...NODES, ...KUBECONFIG_NODES]);
  const { platform, arch } = process;
  // As the package `node` chooses it, whose install script npm may not run.
  const owner = platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node';
  const packages = [...versions].map(
    (each) => `node-${each}@npm:${owner}-${platform}-${arch}@${each}`,
  );
  const folder = await workshop.install('nodes', packages);
  return join(folder, 'node_modules', `node-${version}`, 'bin', 'node');
}
