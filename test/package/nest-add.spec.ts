import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from '@jest/globals';
import { loadAllYaml, loadYaml } from '@kubernetes/client-node';
import type { NestAddOptions } from '../../lib/schematics/nest-add.js';
import { readmeRole } from '../../proof/fleet/readme-role.js';

const ROOT_MODULE = `import { Module } from '@nestjs/common';
import { AppController } from './app.controller.js';

@Module({
  imports: [],
  controllers: [AppController],
})
export class AppModule {}
`;

const MAIN = `import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

async function bootstrap() {
  const app = await NestFactory.create(AppModule);
  await app.listen(process.env.PORT ?? 3000);
}
await bootstrap();
`;

const SCAFFOLD = {
  'package.json': '{ "name": "@shop/plan-scheduler" }',
  'src/app.module.ts': ROOT_MODULE,
  'src/main.ts': MAIN,
};

const REGISTRATION = `LeaderElectionModule.forRoot({ role: 'plan-scheduler', leaseName: 'plan-scheduler' })`;

type Files = Readonly<Record<string, string>>;

/** The schema's defaults are those that the schematics of Nest fill in. */
const { properties } = JSON.parse(readFileSync('lib/schematics/schema.json', 'utf8')) as {
  readonly properties: Readonly<Record<string, { readonly default?: unknown }>>;
};
const DEFAULTS = Object.fromEntries(
  Object.entries(properties).map(([name, option]) => [name, option.default]),
);

const worker = new Worker(new URL('nest-add.worker.js', import.meta.url));
afterAll(() => worker.terminate());

/** The files afterwards, what it said, and the error it threw, or an empty text. */
async function added(
  files: Files,
  options: Partial<NestAddOptions> = {},
): Promise<{ readonly files: Files; readonly said: readonly string[]; readonly error: string }> {
  worker.postMessage({ files, options: { ...DEFAULTS, ...options } });
  const [answer] = await once(worker, 'message');
  return answer;
}

describe('when `nest add` runs in a project as `nest new` makes it', () => {
  it('registers the module under the name of the package', async () => {
    const { files } = await added(SCAFFOLD);
    expect(files['src/app.module.ts']).toBe(
      ROOT_MODULE.replace('imports: []', `imports: [${REGISTRATION}]`).replace(
        `controller.js';\n`,
        `controller.js';\nimport { LeaderElectionModule } from 'nestjs-leader-election';\n`,
      ),
    );
  });

  it('lets SIGTERM hand leadership over', async () => {
    const { files } = await added(SCAFFOLD);
    const line = '  app.enableShutdownHooks(); // SIGTERM hands leadership over\n';
    expect(files['src/main.ts']).toBe(
      MAIN.replace('  await app.listen', `${line}  await app.listen`),
    );
  });

  it('writes the Role of README.md, bound to the account of the pods', async () => {
    const { files } = await added(SCAFFOLD);
    const [account, role, binding] = loadAllYaml(files['k8s/leader-election.yaml']!);
    expect({ leaseName: 'plan-scheduler', rules: role.rules }).toEqual(readmeRole());
    expect(binding.roleRef.name).toBe(role.metadata.name);
    expect(binding.subjects).toEqual([{ kind: 'ServiceAccount', name: account.metadata.name }]);
  });

  it('writes a Deployment with what the sample gives its pods', async () => {
    const { files } = await added(SCAFFOLD);
    const written = podOf(loadYaml(files['k8s/deployment.yaml']!));
    const sample = podOf(loadYaml(readFileSync('sample-app/k8s/base/deployment.yaml', 'utf8')));
    expect(written.spec.serviceAccountName).toBe('plan-scheduler');
    expect(written.spec.terminationGracePeriodSeconds).toBe(
      sample.spec.terminationGracePeriodSeconds,
    );
    const [container] = written.spec.containers;
    const [model] = sample.spec.containers;
    expect(container.lifecycle).toEqual(model.lifecycle);
    expect(model.env).toEqual(expect.arrayContaining(container.env));
    expect(container.env.map(({ name }: { name: string }) => name)).toContain('POD_NAME');
  });

  it('shows at the head of the Role what it gives the pods of that Deployment', async () => {
    const { files } = await added(SCAFFOLD);
    const head = /^(#.*\n)+/.exec(files['k8s/leader-election.yaml']!)![0];
    const shown = loadYaml(head.slice(head.indexOf('#\n')).replaceAll(/^# ?/gm, '')) as Pod;
    const { spec } = podOf(loadYaml(files['k8s/deployment.yaml']!));
    expect(spec).toMatchObject({ ...shown.spec, containers: [{}] });
    expect(spec.containers[0].env).toEqual(
      expect.arrayContaining(shown.spec.containers[0].env as unknown[]),
    );
  });

  it('is undone by deleting what it added', async () => {
    const { files } = await added(SCAFFOLD);
    const { 'k8s/leader-election.yaml': _role, 'k8s/deployment.yaml': _pods, ...rest } = files;
    const without = Object.entries(rest).map(([path, text]) => {
      const lines = text.replace(REGISTRATION, '').split('\n');
      return [path, lines.filter((line) => !/LeaderElection|ShutdownHooks/.test(line)).join('\n')];
    });
    expect(Object.fromEntries(without)).toEqual(SCAFFOLD);
  });
});

describe('when `nest add` runs a second time', () => {
  it('changes nothing and says so', async () => {
    const { files } = await added(SCAFFOLD);
    const second = await added(files);
    expect(second.said).toContainEqual(expect.stringContaining('already'));
    expect(second.files).toEqual(files);
  });
});

describe('when `nest add` meets a root module of another form', () => {
  const open = `import { Module } from '@nestjs/common';\n`;
  it.each([
    ['has no imports', '@Module({ providers: [] })', `, imports: [${REGISTRATION}]`],
    ['is empty', '@Module({})', `  imports: [${REGISTRATION}]`],
    ['has imports', '@Module({ imports: [A] })', `[A, ${REGISTRATION}]`],
    [
      'has imports on lines',
      '@Module({\n  imports: [\n    A,\n  ],\n})',
      `A,\n    ${REGISTRATION}`,
    ],
  ])('registers itself where it %s', async (_form, decorator, registered) => {
    const source = `${open}${decorator}\nexport class AppModule {}\n`;
    const { files } = await added({ ...SCAFFOLD, 'src/app.module.ts': source });
    expect(files['src/app.module.ts']).toContain(registered);
  });

  it('imports itself below an import over several lines', async () => {
    const source = `import {\n  Module,\n} from '@nestjs/common';\n\nconst from = 'x';\n@Module({})\nexport class AppModule {}\n`;
    const { files } = await added({ ...SCAFFOLD, 'src/app.module.ts': source });
    expect(files['src/app.module.ts']).toContain(
      `} from '@nestjs/common';\nimport { LeaderElectionModule }`,
    );
  });

  it('keeps the line ends of Windows', async () => {
    const source = ROOT_MODULE.replaceAll('\n', '\r\n');
    const { files } = await added({
      ...SCAFFOLD,
      'src/app.module.ts': source,
      'src/main.ts': MAIN.replaceAll('\n', '\r\n'),
    });
    for (const path of ['src/app.module.ts', 'src/main.ts']) {
      expect(files[path]).not.toMatch(/[^\r]\n/);
    }
  });

  it.each([
    ['is missing', undefined, 'src/app.module.ts does not exist'],
    ['has no decorator', 'export class AppModule {}', 'has no @Module('],
    [
      'takes its imports from elsewhere',
      '@Module({ imports })\nexport class A {}',
      'has no @Module(',
    ],
    ['spreads an expression', '@Module({ imports: all() })\nexport class A {}', 'has no @Module('],
  ])('says what to do and changes nothing where it %s', async (_form, source, reason) => {
    const { 'src/app.module.ts': _module, ...others } = SCAFFOLD;
    const before = source === undefined ? others : { ...others, 'src/app.module.ts': source };
    const { files, error } = await added(before);
    expect(error).toContain(reason);
    expect(error).toContain(REGISTRATION);
    expect(files).toEqual(before);
  });
});

describe('when `nest add` meets a main.ts of another form', () => {
  it.each([
    [
      'calls the hooks already',
      MAIN.replace('await app.listen', 'app.enableShutdownHooks();\n  await app.listen'),
    ],
    ['listens nowhere', `await NestFactory.createApplicationContext(AppModule);\n`],
  ])('leaves it alone where it %s', async (_form, source) => {
    const { files } = await added({ ...SCAFFOLD, 'src/main.ts': source });
    expect(files['src/main.ts']).toBe(source);
  });

  it('says that the hooks are missing where it finds no place for them', async () => {
    const source = 'await NestFactory.createApplicationContext(AppModule);\n';
    const { said } = await added({ ...SCAFFOLD, 'src/main.ts': source });
    expect(said.join('\n')).toContain('Call app.enableShutdownHooks()');
  });

  it('puts the hooks before an application with another name and adapter', async () => {
    const source = `const server = await NestFactory.create<X>(\n  AppModule,\n  new FastifyAdapter()\n)\nserver.listen(3000)\n`;
    const { files } = await added({ ...SCAFFOLD, 'src/main.ts': source });
    expect(files['src/main.ts']).toMatch(/\)\nserver\.enableShutdownHooks\(\);.*\nserver\.listen/);
  });
});

describe('when `nest add` meets manifests', () => {
  it('leaves a Deployment alone and says what its pods need', async () => {
    const deployment = 'apiVersion: apps/v1\nkind: Deployment\n';
    const { files, said } = await added({ ...SCAFFOLD, 'k8s/app.yaml': deployment });
    expect(said).toContainEqual(expect.stringMatching(/^k8s\/app\.yaml stays as it is\./));
    expect(files['k8s/app.yaml']).toBe(deployment);
    expect(files).not.toHaveProperty(['k8s/deployment.yaml']);
  });

  it('writes them to the folder that is asked for', async () => {
    const { files } = await added(SCAFFOLD, { manifests: 'deploy/base' });
    expect(files).toHaveProperty(['deploy/base/leader-election.yaml']);
    expect(files).not.toHaveProperty(['k8s/leader-election.yaml']);
  });

  it('writes none where none are wanted', async () => {
    const { files } = await added(SCAFFOLD, { skipManifests: true });
    expect(Object.keys(files).toSorted()).toEqual(Object.keys(SCAFFOLD).toSorted());
  });
});

describe('when `nest add` chooses a role', () => {
  it.each([
    ['the name that is given', { role: 'billing' }, 'billing'],
    [
      'the folder of an application in a monorepo',
      { sourceRoot: 'apps/plans_api/src' },
      'plans-api',
    ],
    ['the package without its scope', {}, 'plan-scheduler'],
  ])('takes %s', async (_source, options, role) => {
    const { sourceRoot = 'src' } = options as { sourceRoot?: string };
    const before = {
      'package.json': SCAFFOLD['package.json'],
      [`${sourceRoot}/app.module.ts`]: ROOT_MODULE,
    };
    const { files } = await added(before, options);
    expect(files[`${sourceRoot}/app.module.ts`]).toContain(`role: '${role}'`);
  });

  it.each(['', 'Plans', 'plan scheduler', `it's`, '-plans', 'p'.repeat(54)])(
    'refuses %j and changes nothing',
    async (role) => {
      const { files, error } = await added(SCAFFOLD, { role });
      expect(error).toContain(`--role ${JSON.stringify(role)}`);
      expect(files).toEqual(SCAFFOLD);
    },
  );

  it('asks for one where the package has no name', async () => {
    const { error } = await added({ ...SCAFFOLD, 'package.json': '{}' });
    expect(error).toContain('Give another, for example --role=plan-scheduler.');
  });
});

interface Pod {
  // eslint-disable-next-line typescript/no-explicit-any -- the manifests are read, not typed
  readonly spec: any;
}

function podOf(deployment: unknown): Pod {
  return (deployment as { spec: { template: Pod } }).spec.template;
}
