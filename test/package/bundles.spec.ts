import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../..', import.meta.url));
const TYPED = [
  'contracts',
  'core',
  'dashboard',
  'health',
  'index',
  'kit',
  'metrics',
  'nest',
  'schedule',
  'shared',
  'testing',
  'tracing',
];
/** What an application with a lock in a cluster loads, and no other. */
const LAZY = 'kubernetes';
/** What is loaded only when it is needed: with a lock of that kind, a kubeconfig, or an option of a role. */
const LATER = [LAZY, 'kubeconfig', 'files', 'optional'];
/** Built-in modules that an application with the main entry has loaded, each of which NestJS and Express load too. */
const AT_ONCE = [
  'node:async_hooks',
  'node:crypto',
  'node:fs',
  'node:os',
  'node:path',
  'node:timers',
];
/** The same when it starts. */
const AT_START = ['node:diagnostics_channel', 'node:events'];
/** The same of an application in a cluster; node:child_process and node:worker_threads take a millisecond each. */
const IN_CLUSTER = [
  'node:http',
  'node:https',
  'node:net',
  'node:stream',
  'node:string_decoder',
  'node:tls',
];
/** Of it, what is largest. */
const COMPETES = [
  'core/election-machine.ts',
  'core/following.ts',
  'core/holding.ts',
  'election/election-logger.ts',
  'elector/leader-elector.ts',
  'elector/lock-requests.ts',
  'nest/role-election.ts',
];
/** What reads the records of jobs; no type of it is public. */
const OF_JOBS = 'jobs';
/** What competes, with and without Nest: an application has loaded it when it starts, and not when it imports the module. */
const OF_START = ['role', 'election'];
const FILES = [...TYPED, OF_JOBS, ...OF_START, ...LATER];
/** What the dashboard and the program load, which is only in one of the two builds. */
const OF_FLEET = 'fleet';
/** What a user's installation has in any case: the peers that are not optional. */
const REQUIRED = /^(@nestjs\/common|@nestjs\/core|rxjs|node:.*)$/;
/** The sub-path may ask for the optional peers that it exists for. */
const OF_SCHEDULE = ['@nestjs/schedule', 'cron'];
const OF_HEALTH = ['@nestjs/terminus'];
const OF_METRICS = ['prom-client'];
const OF_TRACING = ['@opentelemetry/api'];

function text(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** The packages that the file loads at once and that are not required, with those of the library's own files that it loads. */
function packagesOf(file: string): string[] {
  return loadedBy(file).filter((name) => !REQUIRED.test(name));
}

/** Everything that the file loads at once, with what the library's own files load that it loads. */
function loadedBy(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const loading = /^(?:import|export)\b[^'"]*['"]([^'"]+)['"]|\brequire\(['"]([^'"]+)['"]\)/gm;
  return [...text(file).matchAll(loading)].flatMap(([, imported, required]) => {
    const name = (imported ?? required)!;
    if (!name.startsWith('.')) return [name];
    const target = join(dirname(file), name);
    return loadedBy(file.endsWith('.d.ts') ? target.replace(/\.js$/, '.d.ts') : target, seen);
  });
}

/** What is loaded with a file before anything of it runs: files of the library, and modules of Node.js. */
function loadedAtOnce(file: string, found = new Set([file])): Set<string> {
  const loading =
    /^(?:import|export)\b[^'"(]*['"]([^'"]+)['"]|^(?:(?:var|const)\b[^=]*=\s*)?require\(['"]([^'"]+)['"]\)/gm;
  for (const [, imported, required] of text(file).matchAll(loading)) {
    const name = (imported ?? required)!;
    const target = name.startsWith('.') ? join(dirname(file), name) : name;
    if (found.has(target)) continue;
    found.add(target);
    if (name.startsWith('.')) loadedAtOnce(target, found);
  }
  return found;
}

function filesAtOnce(file: string): string[] {
  return [...loadedAtOnce(file)].filter((name) => name.endsWith('.js')).toSorted();
}

/** The files of `lib` that a file of the package was made of. */
function sourcesOf(file: string): string[] {
  const { sources } = JSON.parse(text(`${file}.map`)) as { sources: string[] };
  return sources.map((source) => source.replace('../lib/', '')).toSorted();
}

function builtInsAtOnce(file: string): string[] {
  return [...loadedAtOnce(file)].filter((name) => name.startsWith('node:')).toSorted();
}

describe.each(['dist', 'dist-commonjs'])('when the package has been built, in %s', (dir) => {
  it('has one file per entry, those that they share and those for later, with types and source maps', () => {
    const files = dir === 'dist' ? [...FILES, OF_FLEET] : FILES;
    const expected = [
      ...files.flatMap((name) => [`${name}.js`, `${name}.js.map`]),
      ...TYPED.map((name) => `${name}.d.ts`),
    ];
    expected.push(...(dir === 'dist' ? ['cli', 'schematics'] : ['package.json']));
    expect(readdirSync(join(root, dir)).toSorted()).toEqual(expected.toSorted());
  });

  it.each(TYPED)('compiles against %s without any optional package that is not its own', (name) => {
    const own: Record<string, string[]> = {
      health: OF_HEALTH,
      metrics: OF_METRICS,
      tracing: OF_TRACING,
    };
    expect(packagesOf(`${dir}/${name}.d.ts`)).toEqual(own[name] ?? []);
  });

  it.each([
    ['index', []],
    ['contracts', []],
    ['testing', []],
    ['dashboard', []],
    ['schedule', OF_SCHEDULE],
    ['health', OF_HEALTH],
    ['metrics', OF_METRICS],
    ['tracing', OF_TRACING],
  ])('loads with %s no optional package but %j', (name, expected) => {
    expect(new Set(packagesOf(`${dir}/${name}.js`))).toEqual(new Set(expected));
  });

  it.each(['core.js', 'core.d.ts', 'contracts.js', 'contracts.d.ts', `${LAZY}.js`])(
    'loads with %s, which an application without Nest may load, nothing but Node.js itself',
    (file) => {
      const others = loadedBy(`${dir}/${file}`).filter((name) => !name.startsWith('node:'));
      expect(others).toEqual([]);
    },
  );

  it.each([
    ['metrics.js', OF_METRICS],
    ['metrics.d.ts', OF_METRICS],
    ['tracing.js', OF_TRACING],
    ['tracing.d.ts', OF_TRACING],
  ])('loads with %s nothing of Nest, either', (file, expected) => {
    const others = loadedBy(`${dir}/${file}`).filter((name) => !name.startsWith('node:'));
    expect(new Set(others)).toEqual(new Set(expected));
  });

  it('loads the records of jobs only with the entries that read them', () => {
    const withThem = TYPED.filter((name) => text(`${dir}/${name}.js`).includes(`./${OF_JOBS}.js`));
    expect(withThem).toEqual(['dashboard', 'schedule']);
  });

  it('loads what is only for tests with the entries for tests alone', () => {
    const withIt = FILES.filter((name) => text(`${dir}/${name}.js`).includes('./kit.js'));
    expect(withIt).toEqual(['contracts', 'testing']);
    const production = FILES.filter((name) => !['contracts', 'kit', 'testing'].includes(name));
    const testing = production.filter((name) => /node:assert/.test(text(`${dir}/${name}.js`)));
    expect(testing).toEqual([]);
  });

  it('loads client-node only where a kubeconfig is to be read', () => {
    const mentioning = FILES.flatMap((name) =>
      text(`${dir}/${name}.js`)
        .split('\n')
        .filter((line) => /(import|require)\(?\s*['"]@kubernetes\/client-node['"]/.test(line)),
    );
    expect(mentioning).toEqual(["const importPackage = () => import('@kubernetes/client-node');"]);
  });

  it('imports no createRequire by its name, as webpack reads its calls then and warns of these', () => {
    const named = FILES.filter((name) =>
      /import \{[^}]*createRequire/.test(text(`${dir}/${name}.js`)),
    );
    expect(named).toEqual([]);
  });

  it.each([
    [LAZY, ['shared', 'kubeconfig']],
    ['kubeconfig', ['kubernetes']],
    ['files', ['shared']],
    ['optional', ['nest']],
  ])('loads %s when it is needed, from %j alone', (name, expected) => {
    const loading = /^(?:import|export)\b.*|\bimport\(.*|\brequire\(.*/gm;
    const mentioning = FILES.filter((file) =>
      (text(`${dir}/${file}.js`).match(loading) ?? []).some((each) =>
        each.includes(`./${name}.js`),
      ),
    );
    expect(mentioning.toSorted()).toEqual(expected.toSorted());
    for (const file of ['index', 'core', 'schedule', 'dashboard']) {
      expect(filesAtOnce(`${dir}/${file}.js`)).not.toContain(join(dir, `${name}.js`));
    }
  });

  it('loads what competes when an application starts, and not with the main entry', () => {
    const atOnce = filesAtOnce(`${dir}/index.js`).flatMap(sourcesOf);
    const competing = OF_START.flatMap((name) => sourcesOf(`${dir}/${name}.js`));
    expect(competing).toEqual(expect.arrayContaining(COMPETES));
    expect(atOnce.filter((source) => competing.includes(source))).toEqual([]);
    expect(text(`${dir}/nest.js`)).toMatch(/\b(import|require)\('.\/role.js'\)/);
    const files = ['nest', 'shared', ...OF_START].map((name) => join(dir, `${name}.js`));
    expect(filesAtOnce(`${dir}/role.js`)).toEqual(files.toSorted());
    expect(builtInsAtOnce(`${dir}/role.js`)).toEqual([...AT_ONCE, ...AT_START].toSorted());
  });

  it('loads what only some options of a role need with no other role', () => {
    expect(sourcesOf(`${dir}/optional.js`)).toEqual([
      'core/placement.ts',
      'elector/watchdog.ts',
      'nest/eligibility-checks.ts',
      'nest/own-container.ts',
      'nest/role-placement.ts',
      'nest/shared-members.ts',
      'nest/told-members.ts',
    ]);
  });

  it('loads at once with the main entry two files that others share, and few modules of Node.js', () => {
    const files = ['index.js', 'nest.js', 'shared.js'].map((file) => join(dir, file));
    expect(filesAtOnce(`${dir}/index.js`)).toEqual(files);
    expect(builtInsAtOnce(`${dir}/index.js`)).toEqual(AT_ONCE);
  });

  it('loads in a cluster one file more, and neither threads nor child processes', () => {
    const files = [LAZY, 'shared'].map((name) => join(dir, `${name}.js`));
    expect(filesAtOnce(`${dir}/${LAZY}.js`)).toEqual(files);
    expect(builtInsAtOnce(`${dir}/${LAZY}.js`)).toEqual([...AT_ONCE, ...IN_CLUSTER].toSorted());
  });

  it('has no character that makes V8 keep a file at two bytes for each', () => {
    const wide = FILES.filter((name) => /[\u0100-\uffff]/.test(text(`${dir}/${name}.js`)));
    expect(wide).toEqual([]);
  });

  it('gives no two classes one name, as the second would be renamed', () => {
    const names = FILES.flatMap((name) => [
      ...text(`${dir}/${name}.js`).matchAll(/\bclass (\w+\$\d+)\b/g),
    ]);
    expect(names.map(([, name]) => name)).toEqual([]);
  });

  it('names in its source maps the files of the repository', () => {
    const maps = readdirSync(join(root, dir)).filter((file) => file.endsWith('.map'));
    const sources = maps.flatMap((map) => {
      const { sources: named } = JSON.parse(text(`${dir}/${map}`)) as { sources: string[] };
      return named.map((source) => join(dir, source));
    });
    expect(sources.length).toBeGreaterThan(100);
    expect(
      sources.filter((file) => !/^lib\/.*\.ts$/.test(file) || !existsSync(join(root, file))),
    ).toEqual([]);
  });

  it('names in its source maps no content, which would double the package', () => {
    const maps = readdirSync(join(root, dir)).filter((file) => file.endsWith('.map'));
    expect(maps.filter((map) => 'sourcesContent' in JSON.parse(text(`${dir}/${map}`)))).toEqual([]);
  });

  it('shows in a stack the line of the source', () => {
    const entry = JSON.stringify(join(root, dir, 'index.js'));
    const script = `
      const { OnGranted } = await import(${entry});
      try {
        OnGranted(7);
      } catch (error) {
        console.log(error.stack);
      }
    `;
    const program = ['--enable-source-maps', '--input-type=module', '-e', script];
    const stack = execFileSync(process.execPath, program, { encoding: 'utf8' });
    const [, file, line] = /(lib\/[\w/.-]+\.ts):(\d+)/.exec(stack) ?? [stack];
    expect(text(file!).split('\n')[Number(line) - 1]).toMatch(/new LeaderElectionOptionsError/);
  });
});

describe('when the program has been built', () => {
  it('is one file beside those of the library, and loads at once nothing but Node.js itself', () => {
    expect(readdirSync(join(root, 'dist/cli')).toSorted()).toEqual(['main.js', 'main.js.map']);
    const others = loadedBy('dist/cli/main.js').filter((name) => !name.startsWith('node:'));
    expect(others).toEqual([]);
  });

  it('leaves to it what no entry of the library needs', () => {
    const ofProgram = FILES.filter((name) => {
      const { sources } = JSON.parse(text(`dist/${name}.js.map`)) as { sources: string[] };
      return sources.some((source) => source.includes('/lib/cli/'));
    });
    expect(ofProgram).toEqual([]);
  });
});
