import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeBinary } from './application.js';
import { KUBECONFIG_NESTS } from './axes.js';
import type { Combination } from './combinations.js';
import type { Trial } from './parts.js';
import { run, type Workshop } from './workshop.js';

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
const ENTRIES: Readonly<Record<string, { readonly file: string; readonly start: string }>> = {
  ESM: {
    file: 'main.mjs',
    start: `
      import 'reflect-metadata';
      void main(await import('@nestjs/core'), await import('nestjs-leader-election'));`,
  },
  require: {
    file: 'main.cjs',
    start: `
      require('reflect-metadata');
      void main(require('@nestjs/core'), require('nestjs-leader-election'));`,
  },
};

/**
 * The versions of Node.js, NestJS and @kubernetes/client-node that work together, in folders that no `overrides` of this
 * repository reach: with them client-node 2 loads on Node.js 20, which it does nowhere else.
 */
export async function kubeconfig(workshop: Workshop, combination: Combination): Promise<Trial> {
  const { NestJS: nest = '', modules = '', 'Node.js': version = '' } = combination;
  const clientNode = combination['client-node']!;
  const optional = clientNode === 'none' ? [] : [`@kubernetes/client-node@${clientNode}`];
  const packages = [workshop.tarball, ...KUBECONFIG_NESTS[nest]!, ...optional];
  const folder = await workshop.install(`client-node-${nest}-${clientNode}`, packages);
  const node = await nodeBinary(workshop, version);
  const { file, start } = ENTRIES[modules]!;
  writeFileSync(join(folder, file), SCRIPT + start);
  return {
    key: [node, folder, file].join(' '),
    run: async () => {
      const said = await run(node, [file], folder);
      if (!expected(version, clientNode).test(said)) throw new Error(said);
    },
  };
}

function expected(node: string, clientNode: string): RegExp {
  const isOld = node.startsWith('20.');
  if (clientNode === 'none') {
    const fix = `npm install @kubernetes/client-node${isOld ? '@1' : ''};`;
    return new RegExp(`^led 1\n[^]*which is not installed\\. Fix: ${fix}[^]*alive`);
  }
  if (clientNode === '1.4.0' || !isOld) {
    return /^led 1\n[^]*the kubeconfig cannot be read: \/nowhere[^]*alive/;
  }
  return new RegExp(
    `^led 1\n[^]*installed version 2\\.0\\.1 does not load on Node ${node} \\(its undici .*\\)\\. Fix: ` +
      `run Node 22\\.19 or later.*, or npm install @kubernetes\\/client-node@1;[^]*alive`,
  );
}
