import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { packedTarball } from './packed-tarball.js';

const run = promisify(execFile);
const OLDEST_NODE = '20.19.0';
const ABSENT = ['@nestjs/common', '@nestjs/core', 'rxjs', 'reflect-metadata'];
const INSTALL_LIMIT_MS = 300_000;
const RUN_LIMIT_MS = 60_000;

/** It leads, works, steps down and stops; prints what came of it. */
const BODY = `
const events = [];
const election = await createLeaderElection({ role: 'worker', lock: fileLock({ directory: process.argv[2] }) });
election.on('granted', ({ number }) => events.push('granted ' + number));
election.on('revoked', (term, reason) => events.push('revoked ' + reason));
election.start();
const { number } = await election.waitForLeadership();
const work = await election.runIfLeader(async (term) => term.number);
const { status } = election.health();
await election.stop();
const failed = await createLeaderElection({ role: 7 }).catch(({ code }) => code);
console.log(JSON.stringify({ number, work, status, events, failed, version: process.version }));
`;
const PROGRAMS = {
  'worker.mjs': `import { createLeaderElection, fileLock } from 'nestjs-leader-election/core';${BODY}`,
  'worker.cjs': `const { createLeaderElection, fileLock } = require('nestjs-leader-election/core');(async () => {${BODY}})();`,
};

let folder: string;
let node: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plain-node-'));
  const tarball = await packedTarball(folder);
  writeFileSync(join(folder, 'package.json'), '{"private":true,"name":"worker"}');
  const packages = [tarball, `node@${OLDEST_NODE}`, 'typescript@6.0.3', '@types/node@20.19.43'];
  const options = ['--no-audit', '--no-fund', '--omit=peer', '--foreground-scripts'];
  await run('npm', ['install', ...options, ...packages], { cwd: folder });
  node = join(folder, 'node_modules', 'node', 'bin', 'node');
  for (const [name, text] of Object.entries(PROGRAMS)) writeFileSync(join(folder, name), text);
}, INSTALL_LIMIT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('when the package is installed without NestJS, RxJS and reflect-metadata', () => {
  it('has none of them beside it', () => {
    const found = ABSENT.filter((name) => existsSync(join(folder, 'node_modules', name)));
    expect(found).toEqual([]);
  });

  it.each(Object.keys(PROGRAMS))(
    `elects a leader and ends by itself on Node.js ${OLDEST_NODE}: %s`,
    async (program) => {
      const { stdout, stderr } = await run(node, [program, join(folder, 'leases')], {
        cwd: folder,
      });
      expect(stderr).toBe('');
      expect(JSON.parse(stdout)).toEqual({
        number: expect.any(Number),
        work: expect.any(Number),
        status: 'up',
        events: [expect.stringMatching(/^granted \d+$/), 'revoked shutdown'],
        failed: 'ERR_LEADER_ELECTION_OPTIONS',
        version: `v${OLDEST_NODE}`,
      });
    },
    RUN_LIMIT_MS,
  );

  it(
    `runs a program while leader by the command line, on Node.js ${OLDEST_NODE}`,
    async () => {
      const cli = join(folder, 'node_modules', '.bin', 'nestjs-leader-election');
      const place = ['--lock', 'file', '--directory', join(folder, 'leases'), '--lease', 'cli'];
      const program = ['sh', '-c', 'echo "term $LEADER_ELECTION_TERM"; exit 7'];
      const ended = run(node, [cli, 'run', ...place, '--', ...program], { cwd: folder });
      await expect(ended).rejects.toMatchObject({ code: 7, stdout: 'term 1\n' });
    },
    RUN_LIMIT_MS,
  );

  it(
    'compiles, with the types of libraries checked',
    async () => {
      const page = readFileSync(join('docs', 'plain-node.md'), 'utf8');
      const [example] = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!);
      writeFileSync(
        join(folder, 'worker.mts'),
        `declare function consumeQueue(options: { signal: AbortSignal; fence: bigint }): Promise<void>;\n${example}`,
      );
      const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022'];
      const tsc = join('node_modules', 'typescript', 'bin', 'tsc');
      const program = [tsc, ...flags, '--types', 'node', 'worker.mts'];
      const compiled = run(process.execPath, program, { cwd: folder });
      await expect(compiled).resolves.toMatchObject({ stdout: '' });
    },
    RUN_LIMIT_MS,
  );
});
