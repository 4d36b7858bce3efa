import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Application,
  built,
  compile,
  COMPILER_OPTIONS,
  nodeBinary,
  project,
  typescripts,
} from './application.js';
import {
  APPLICATIONS,
  BUNDLERS,
  BUNDLES,
  IMPOSSIBLE,
  KUBECONFIGS,
  MODULE_SYSTEMS,
  NEST_CLIS,
  RESOLUTIONS,
  SWC_BUILDER,
  TYPES,
} from './axes.js';
import type { Axes, Combination, Impossible } from './combinations.js';
import { kubeconfig } from './kubeconfig.js';
import { handOver } from './replicas.js';
import { link, run, type Workshop } from './workshop.js';

/** A table of the result: one kind of combination, and how one of them is tried. */
export interface Part {
  readonly title: string;
  /** What one cell of the table means. */
  readonly meaning: string;
  readonly axes: Axes;
  readonly impossible: readonly Impossible[];
  /** The values that `--quick` chooses from; without it, the part is left to the full run. */
  readonly quick?: Axes;
  /** What several combinations share, such as an installation or a compilation; a trial follows. */
  prepare(workshop: Workshop, combination: Combination, isQuick: boolean): Promise<Trial>;
}

export interface Trial {
  /** Combinations of one key have one run: it would be the same program on the same Node.js. */
  readonly key: string;
  /** Rejects if the combination does not work. */
  readonly run: () => Promise<void>;
}

function applicationOf(combination: Combination): Application {
  const { NestJS = '', platform = 'Express', modules = 'ESM' } = combination;
  return { nest: NestJS, platform, modules };
}

const applications: Part = {
  title: 'Applications',
  meaning:
    'The application is compiled, with the types of libraries checked, and two replicas of it run: one leads, works and ' +
    'hands over, the other takes over and is ended by its watchdog.',
  axes: APPLICATIONS,
  impossible: IMPOSSIBLE.applications,
  quick: APPLICATIONS,
  async prepare(workshop, combination, isQuick) {
    const application = applicationOf(combination);
    const typescript = combination['TypeScript']!;
    // The slow compilers check the types of libraries in the full run, and in test/package/consumer.e2e-spec.ts.
    const skipLibCheck = isQuick && typescript !== '7.0';
    const { folder, output, digest } = await built(workshop, application, {
      typescript,
      skipLibCheck,
    });
    const node = await nodeBinary(workshop, combination['Node.js']!);
    const { flags } = MODULE_SYSTEMS[application.modules]!;
    const preload = flags.length > 0 ? flags : ['--import', './one-copy.mjs'];
    const command = { node, args: [...preload, join(output, 'main.js')], cwd: folder };
    return {
      key: [folder, digest, node, ...flags].join(' '),
      run: () => handOver(command, workshop.entries.length),
    };
  },
};

const types: Part = {
  title: 'Types',
  meaning:
    'The compiler finds the types of every entry, and those of libraries are correct. `nodenext` as ES module and ' +
    '`commonjs` are those of the applications above.',
  axes: TYPES,
  impossible: IMPOSSIBLE.types,
  async prepare(workshop, combination) {
    const application = { ...applicationOf(combination), modules: 'require' };
    const folder = await project(workshop, application, { name: 'types' });
    const { resolution, TypeScript: typescript } = combination;
    const options = { ...RESOLUTIONS[resolution!], noEmit: true };
    const name = `${resolution!.replace(/\W/g, '')}.${typescript!}`;
    return {
      key: `${folder} ${name}`,
      run: () => compile(workshop, folder, name, { typescript: typescript!, options }),
    };
  },
};

const bundles: Part = {
  title: 'Bundles',
  meaning:
    'The application and all its packages in one minified file, as [docs/bundling.md](../bundling.md) has it; what a cell ' +
    'means for applications holds for it, in a folder with nothing beside it.',
  axes: BUNDLES,
  impossible: IMPOSSIBLE.bundles,
  quick: {
    ...BUNDLES,
    bundler: ['esbuild'],
    platform: ['Express'],
    'Node.js': ['20.19.0', '26.10.0'],
  },
  async prepare(workshop, combination, isQuick) {
    const application = applicationOf(combination);
    const bundler = combination['bundler']!;
    const folder = await bundled(workshop, application, bundler, isQuick);
    const node = await nodeBinary(workshop, combination['Node.js']!);
    const file = application.modules === 'ESM' ? 'main.mjs' : 'main.cjs';
    const command = { node, args: [file], cwd: folder };
    return {
      key: [folder, file, node].join(' '),
      run: () => handOver(command, workshop.entries.length),
    };
  },
};

/** A folder with the bundle of the application and nothing else. */
async function bundled(
  workshop: Workshop,
  application: Application,
  bundler: string,
  isQuick: boolean,
): Promise<string> {
  const { nest, platform, modules } = application;
  const typescript = isQuick ? '7.0' : '6.0';
  const { folder, output } = await built(workshop, application, { typescript, skipLibCheck: true });
  return workshop.once(`bundle ${bundler} ${nest} ${platform} ${modules}`, async () => {
    const tools = join(await workshop.install('bundlers', BUNDLERS), 'node_modules');
    const cwd = join(folder, bundler);
    link(join(folder, output), join(cwd, 'dist'));
    for (const tool of ['esbuild', 'webpack']) {
      link(join(tools, tool), join(cwd, 'node_modules', tool));
    }
    writeFileSync(join(cwd, 'bundle.mjs'), codeOf(`${bundler}, ${modules}`, 'js'));
    const webpack = [join(tools, 'webpack-cli', 'bin', 'cli.js'), '--config'];
    const program = bundler === 'webpack' ? webpack : [];
    const said = await run(process.execPath, [...program, 'bundle.mjs'], cwd);
    if (/warning/i.test(said)) throw new Error(said);
    // Away from every package.
    const target = join(tools, '..', '..', `${bundler}-${nest}-${platform}-${modules}`);
    cpSync(join(cwd, 'bundle'), target, { recursive: true });
    return target;
  });
}

/** The first block of this language below the heading in the page for those who bundle. */
function codeOf(heading: string, language: string): string {
  const page = readFileSync(join('docs', 'bundling.md'), 'utf8');
  const [, section] = page.split(`# ${heading}\n`);
  return new RegExp('```' + language + '\n([^]*?)```').exec(section ?? '')![1]!;
}

const swcBuilder: Part = {
  title: 'The swc builder of nest-cli',
  meaning:
    '`nest build -b swc --type-check` on that Node.js, and what a cell means for applications holds for its output.',
  axes: SWC_BUILDER,
  impossible: IMPOSSIBLE.swcBuilder,
  async prepare(workshop, combination) {
    const application = applicationOf(combination);
    const { TypeScript: typescript = '', 'Node.js': version = '' } = combination;
    const { type, module } = MODULE_SYSTEMS[application.modules]!;
    const name = `swc-${type}-${typescript}-${version}`;
    const folder = await project(workshop, application, { name, sourceFolder: 'src' });
    const cli = await workshop.install(
      `nest-cli-${application.nest}`,
      NEST_CLIS[application.nest]!,
    );
    const node = await nodeBinary(workshop, version);
    // nest-cli takes the TypeScript of the project.
    link(join(await typescripts(workshop), typescript), join(folder, 'node_modules', 'typescript'));
    const compilerOptions = { ...COMPILER_OPTIONS, skipLibCheck: true, module, outDir: 'dist' };
    const files = {
      'tsconfig.json': {
        compilerOptions: { ...compilerOptions, rootDir: 'src' },
        include: ['src'],
      },
      'nest-cli.json': { sourceRoot: 'src' },
    };
    for (const [file, content] of Object.entries(files)) {
      writeFileSync(join(folder, file), JSON.stringify(content));
    }
    const settings = codeOf('The swc builder of nest-cli', 'json');
    const swcrc = type === 'module' ? settings : settings.replace('es6', 'commonjs');
    writeFileSync(join(folder, '.swcrc'), swcrc);
    const nest = join(cli, 'node_modules', '@nestjs', 'cli', 'bin', 'nest.js');
    return {
      key: folder,
      run: async () => {
        await run(node, [nest, 'build', '-b', 'swc', '--type-check'], folder);
        const main = ['dist/main.js', 'dist/src/main.js'].find((file) =>
          existsSync(join(folder, file)),
        );
        await handOver({ node, args: [main!], cwd: folder }, workshop.entries.length);
      },
    };
  },
};

const kubeconfigs: Part = {
  title: 'client-node, and the oldest peers',
  meaning:
    'An application leads and closes; then a kubeconfig is read, or the error says what to install. NestJS 11.0.0 is ' +
    'there with RxJS 7.2.0 and reflect-metadata 0.1.13.',
  axes: KUBECONFIGS,
  impossible: IMPOSSIBLE.kubeconfigs,
  quick: KUBECONFIGS,
  prepare: kubeconfig,
};

export const PARTS: readonly Part[] = [applications, types, bundles, swcBuilder, kubeconfigs];
