import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { packedTarball } from './packed-tarball.js';

/**
 * The versions of Node.js, NestJS and @kubernetes/client-node that work together, in folders that no `overrides` of this
 * repository reach: with them client-node 2 loads on Node.js 20, which it does nowhere else.
 */

const run = promisify(execFile);
const NODES = ['20.19.0', '20.20.2', '22.23.3', '24.21.0', '26.10.0'];
const NESTS: Record<string, string[]> = {
  '11.0.0': [
    '@nestjs/common@11.0.0',
    '@nestjs/core@11.0.0',
    'reflect-metadata@0.1.13',
    'rxjs@7.2.0',
  ],
  '12.5.1': [
    '@nestjs/common@12.5.1',
    '@nestjs/core@12.5.1',
    'reflect-metadata@0.2.2',
    'rxjs@7.8.2',
  ],
};
const CLIENT_NODES = ['none', '1.4.0', '2.0.1'];
const SCRIPTS = { 'main.mjs': 'import', 'main.cjs': 'require' };
const INSTALL_LIMIT_MS = 600_000;
const RUN_LIMIT_MS = 60_000;

/** An application that leads; then a lock of a kubeconfig that is not there, which is found out by client-node. */
const SCRIPT = `
async function main({ NestFactory }, { LeaderElectionModule, LeadershipService, leaseLock, memoryLock }) {
  class AppModule {}
  const imports = [LeaderElectionModule.forRoot({ role: 'plan', lock: memoryLock() })];
  const app = await NestFactory.createApplicationContext({ module: AppModule, imports }, { logger: false });
  const { number } = await app.get(LeadershipService).waitForLeadership();
  await app.close();
  console.log('led', number);
  const requester = { leaseName: 'plan', namespace: 'default', identity: 'a' };
  try {
    const lock = await leaseLock({ kubeConfigFile: '/nowhere' })(requester);
    const { error } = await lock.read({ timeoutMs: 1000, signal: new AbortController().signal });
    console.log(error.message);
  } catch (error) {
    console.log(error.message);
  }
  // What the import leaves behind would end the process now.
  setTimeout(() => console.log('alive'), 100);
}
`;
const ENTRIES: Record<keyof typeof SCRIPTS, string> = {
  'main.mjs': `
    import 'reflect-metadata';
    void main(await import('@nestjs/core'), await import('nestjs-leader-election'));`,
  'main.cjs': `
    require('reflect-metadata');
    void main(require('@nestjs/core'), require('nestjs-leader-election'));`,
};

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'compatibility-'));
  const tarball = await packedTarball(folder);
  for (const version of NODES) await install(`node-${version}`, [`node@${version}`]);
  for (const [nest, peers] of Object.entries(NESTS)) {
    for (const clientNode of CLIENT_NODES) {
      const optional = clientNode === 'none' ? [] : [`@kubernetes/client-node@${clientNode}`];
      const cwd = await install(`${nest}-${clientNode}`, [tarball, ...peers, ...optional]);
      for (const script of ['main.mjs', 'main.cjs'] as const) {
        writeFileSync(join(cwd, script), SCRIPT + ENTRIES[script]);
      }
    }
  }
}, INSTALL_LIMIT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function install(name: string, packages: string[]): Promise<string> {
  const cwd = join(folder, name);
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'package.json'), '{"private":true}');
  await run('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd });
  return cwd;
}

async function said(node: string, installed: string, script: string): Promise<string> {
  const binary = join(folder, `node-${node}`, 'node_modules/node/bin/node');
  const { stdout } = await run(binary, [join(folder, installed, script)]);
  return stdout;
}

const isOld = (node: string) => node.startsWith('20.');
const FOUND = /^led 1\n[^]*the kubeconfig cannot be read: \/nowhere[^]*alive/;

function expected(node: string, clientNode: string): RegExp {
  if (clientNode === 'none') {
    const fix = `npm install @kubernetes/client-node${isOld(node) ? '@1' : ''};`;
    return new RegExp(`^led 1\n[^]*which is not installed\\. Fix: ${fix}[^]*alive`);
  }
  if (clientNode === '1.4.0' || !isOld(node)) return FOUND;
  return new RegExp(
    `^led 1\n[^]*installed version 2\\.0\\.1 does not load on Node ${node} \\(its undici .*\\)\\. Fix: ` +
      `run Node 22\\.19 or later.*, or npm install @kubernetes\\/client-node@1;[^]*alive`,
  );
}

const combinations = NODES.flatMap((node) =>
  Object.keys(NESTS).flatMap((nest) =>
    CLIENT_NODES.flatMap((clientNode) =>
      Object.entries(SCRIPTS).map(
        ([script, how]) => [how, nest, node, clientNode, script] as const,
      ),
    ),
  ),
);

describe('when an application leads, and a kubeconfig is to be read', () => {
  it.each(combinations)(
    'by %s with NestJS %s on Node.js %s and client-node %s, it is read or says what to do',
    async (_how, nest, node, clientNode, script) => {
      const text = await said(node, `${nest}-${clientNode}`, script);
      expect(text).toMatch(expected(node, clientNode));
    },
    RUN_LIMIT_MS,
  );

  it('has tried what docs/results/compatibility.md says', () => {
    const page = readFileSync(
      new URL('../../docs/results/compatibility.md', import.meta.url),
      'utf8',
    );
    const rows = [...page.matchAll(/^\| (\d+\.\d+\.\d+) /gm)].map(([, node]) => node);
    expect(rows).toEqual(NODES);
  });
});
