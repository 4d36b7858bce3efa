import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { packedTarball } from './packed-tarball.js';

/**
 * The versions of Node.js and of @kubernetes/client-node that work together, in folders that no `overrides` of this
 * repository reach: with them client-node 2 loads on Node.js 20, which it does nowhere else.
 */

const run = promisify(execFile);
const NODES = ['20.20.2', '22.23.3', '24.21.0', '26.10.0'];
const PEERS = ['@nestjs/common@12.5.1', '@nestjs/core@12.5.1', 'reflect-metadata', 'rxjs'];
const INSTALL_LIMIT_MS = 600_000;

/** Asks for a lock of a kubeconfig that is not there: that is found out only after client-node has been loaded. */
const SCRIPT = `
  .then(async ({ leaseLock }) => {
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
  });
`;

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'client-node-'));
  const tarball = await packedTarball(folder);
  for (const version of NODES) await install(`node-${version}`, [`node@${version}`]);
  await install('client-node-none', [tarball, ...PEERS]);
  for (const version of ['1.4.0', '2.0.1']) {
    const clientNode = `@kubernetes/client-node@${version}`;
    await install(`client-node-${version}`, [tarball, clientNode, ...PEERS]);
  }
}, INSTALL_LIMIT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function install(name: string, packages: string[]): Promise<void> {
  const cwd = join(folder, name);
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'package.json'), '{"private":true}');
  writeFileSync(join(cwd, 'main.mjs'), `import('nestjs-leader-election')${SCRIPT}`);
  const load = `Promise.resolve(require('nestjs-leader-election'))`;
  writeFileSync(join(cwd, 'main.cjs'), `${load}${SCRIPT}`);
  await run('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd });
}

async function said(node: string, clientNode: string, script: string): Promise<string> {
  const binary = join(folder, `node-${node}`, 'node_modules/node/bin/node');
  const { stdout } = await run(binary, [join(folder, `client-node-${clientNode}`, script)]);
  return stdout;
}

const FOUND = /the kubeconfig cannot be read: \/nowhere[^]*alive/;
const TOO_OLD =
  /installed version 2\.0\.1 does not load on Node 20\.20\.2 \(its undici .*\)\. Fix: run Node 22\.19 or later.*, or npm install @kubernetes\/client-node@1;[^]*alive/;
const MISSING = (fix: string) =>
  new RegExp(`which is not installed\\. Fix: npm install @kubernetes/${fix};[^]*alive`);

describe.each(['main.mjs', 'main.cjs'])('when a kubeconfig is to be read, in %s', (script) => {
  it.each<[string, string, RegExp]>([
    ['20.20.2', '1.4.0', FOUND],
    ['22.23.3', '1.4.0', FOUND],
    ['24.21.0', '1.4.0', FOUND],
    ['26.10.0', '1.4.0', FOUND],
    ['20.20.2', '2.0.1', TOO_OLD],
    ['22.23.3', '2.0.1', FOUND],
    ['24.21.0', '2.0.1', FOUND],
    ['26.10.0', '2.0.1', FOUND],
    ['20.20.2', 'none', MISSING('client-node@1')],
    ['24.21.0', 'none', MISSING('client-node')],
  ])('on Node.js %s with client-node %s, it is or says what to do', async (node, version, text) => {
    expect(await said(node, version, script)).toMatch(text);
  });
});
