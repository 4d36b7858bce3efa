import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ControlPlane, FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { packedTarball } from './packed-tarball.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const fixtures = join(root, 'test', 'package', 'consumers');
const CONSUMERS = ['esm-nest-12', 'cjs-nest-11', 'cjs-nest-11-oldest-peers'];
const OPTIONAL_PEERS = [
  '@kubernetes/client-node',
  '@nestjs/schedule',
  '@opentelemetry/api',
  'cron',
  'prom-client',
];
const INSTALL_LIMIT_MS = 300_000;
const RUN_LIMIT_MS = 60_000;

let folder: string;
let tarball: string;
let server: ControlPlane;

beforeAll(async () => {
  server = await ControlPlane.start();
  folder = mkdtempSync(join(tmpdir(), 'consumers-'));
  tarball = await packedTarball(folder);
}, FIRST_START_LIMIT_MS);

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder with what the fixture pins and the tarball, compiled: the types of the library are checked too. */
async function install(name: string): Promise<string> {
  const cwd = join(folder, name);
  cpSync(join(fixtures, name), cwd, { recursive: true });
  for (const file of readdirSync(fixtures).filter((each) => each.endsWith('.ts'))) {
    cpSync(join(fixtures, file), join(cwd, file));
  }
  const packages = name === 'esm-nest-12' ? [tarball, newestClientNode()] : [tarball];
  await run('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd });
  await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], { cwd });
  return cwd;
}

/** Version 2 does not load before Node.js 22.19, for its undici does not. */
function newestClientNode(): string {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isOld = major < 22 || (major === 22 && minor < 19);
  return `@kubernetes/client-node@${isOld ? '1.4.0' : '2.0.1'}`;
}

/** What the application reports in its last line, after what it logged: a cron second may fall into its start. */
async function outputOf(
  consumer: string,
  application: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<unknown> {
  const { stdout } = await run(process.execPath, [join('out', `${application}.js`)], {
    cwd: consumer,
    env: { ...process.env, ...environment },
  });
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
}

describe.each(CONSUMERS)(
  'when the packed tarball is installed in the fresh application %s',
  (name) => {
    let consumer: string;

    beforeAll(async () => {
      consumer = await install(name);
    }, INSTALL_LIMIT_MS);

    const expected = ['granted 1 bigint', 'tick', 'revoked 1 shutdown'];

    it(
      'leads, ticks and hands over in memory',
      async () => {
        expect(await outputOf(consumer, 'app')).toEqual(expected);
      },
      RUN_LIMIT_MS,
    );

    it(
      'does so on a real API server through its own version of client-node',
      async () => {
        const namespace = `consumer-${name}`;
        await server.createNamespace(namespace);
        const CONSUMER_KUBECONFIG = server.kubeconfigFor(server.adminToken, namespace);
        expect(await outputOf(consumer, 'app', { CONSUMER_KUBECONFIG })).toEqual(expected);
        const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/consumer`;
        const { body } = await server.request('GET', path);
        expect(body.spec).toMatchObject({ holderIdentity: '', leaseTransitions: 1 });
      },
      RUN_LIMIT_MS,
    );

    it(
      'runs a @LeaderCron() job with its context, known to its own version of @nestjs/schedule',
      async () => {
        expect(await outputOf(consumer, 'leader-cron')).toEqual({
          milliseconds: 0,
          countsMissed: true,
          term: 1,
          isAborted: false,
          isRecorded: true,
          isListedAsActive: true,
          hasNextDate: true,
          isActiveAtTheEnd: false,
        });
      },
      RUN_LIMIT_MS,
    );

    it(
      'migrates once and gates the timers of its own version of @nestjs/schedule',
      async () => {
        expect(await outputOf(consumer, 'once-and-gates')).toEqual({
          migrations: 1,
          state: 'succeeded',
          version: '1.10',
          ticksOfFollower: 0,
        });
      },
      RUN_LIMIT_MS,
    );

    it(
      'has one class of a name in all entries and module systems, with its metadata',
      async () => {
        expect(await outputOf(consumer, 'entries')).toEqual({
          hasClasses: true,
          renamed: [],
          injected: [
            'RoleSchedules',
            'Object',
            'RunEvents',
            'OnceWorks',
            'ScheduleGates',
            'SchedulerRegistry',
          ],
          errorOfSchedule: 'JobTimeoutError',
          serviceOfTesting: true,
          isOneForRequire: true,
          isSecondAsCommonJs: true,
          sharedToken: true,
          sharedMark: true,
        });
      },
      RUN_LIMIT_MS,
    );

    it(
      'serves the dashboard behind its guard, and ends while someone looks',
      async () => {
        expect(await outputOf(consumer, 'dashboard')).toEqual({
          page: [200, true],
          isStrict: true,
          withoutPassword: 403,
          events: ['hello', 'part', 'part', 'part', 'ready'],
          action: 403,
        });
      },
      RUN_LIMIT_MS,
    );

    it(
      'ends handlers and work before a pool closes in onModuleDestroy, in a root, a feature and a global module',
      async () => {
        const inOrder = [
          'work begins, pool open',
          'revoked, pool open',
          'work ends, pool open',
          'pool closes',
          'shutdown',
        ];
        expect(await outputOf(consumer, 'shutdown')).toEqual([inOrder, inOrder, inOrder]);
      },
      RUN_LIMIT_MS,
    );
  },
);

describe('when it is installed in an application without the optional peers', () => {
  let consumer: string;

  beforeAll(async () => {
    consumer = await install('esm-no-optional-peers');
  }, INSTALL_LIMIT_MS);

  it('brings none of them along', () => {
    const found = OPTIONAL_PEERS.filter((peer) => existsSync(join(consumer, 'node_modules', peer)));
    expect(found).toEqual([]);
  });

  it(
    'leads with the main entry, has the entries for tests and the dashboard, and loads that for traces only with its peer',
    async () => {
      const expected = {
        work: 'done',
        standIn: 'test',
        dashboard: 1,
        tracing: '@opentelemetry/api',
      };
      expect(await outputOf(consumer, 'required-peers')).toEqual(expected);
    },
    RUN_LIMIT_MS,
  );
});
