import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { NodeProgram } from '../../proof/fleet/node-program.js';
import { Guide } from './guide.js';
import { packedTarball } from './packed-tarball.js';
import { Reader, unmarked } from './reader.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const scaffolds = join(root, 'test', 'package', 'scaffolds');

let folder: string;
let tarball: string;
const installations = new Map<string, Promise<string>>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'scaffolds-'));
  tarball = await packedTarball(folder);
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

// The settings of both are those that `nest new` wrote in November 2026: Jest 30 with ts-jest and CommonJS, Vitest 4 with ESM.
describe.each([
  ['jest-nest-11', 'vitest'],
  ['vitest-nest-12', 'jest'],
])(
  'when the packed tarball is installed in a project as nest new makes it (%s)',
  (name, otherRunner) => {
    it('passes the specs of the project with no setting of its own', async () => {
      const cwd = await installed(name);
      cpSync(join(scaffolds, 'specs'), join(cwd, 'src'), {
        recursive: true,
        filter: (file) => !file.endsWith(`.${otherRunner}.spec.ts`),
      });
      if (name === 'jest-nest-11') importWithoutExtensions(join(cwd, 'src', 'own-lock.spec.ts'));
      // Type errors too: ts-jest would report them, and Vitest would not.
      await run(process.execPath, ['node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'], {
        cwd,
      });
      const { stdout, stderr } = await run('npm', ['test'], { cwd, env: unmarked() });
      expect(stdout + stderr).toMatch(/Tests:? +12\d passed/);
    }, 300_000);
  },
);

/** The folder of a scaffold with its packages and the tarball, which are installed once. */
function installed(name: string): Promise<string> {
  const install = async (): Promise<string> => {
    const cwd = join(folder, name);
    cpSync(join(scaffolds, name), cwd, { recursive: true });
    await run('npm', ['install', '--no-audit', '--no-fund', tarball], { cwd });
    return cwd;
  };
  const installation = installations.get(name) ?? install();
  installations.set(name, installation);
  return installation;
}

/** As the CommonJS of Nest 11 writes the imports of its own files. */
function importWithoutExtensions(file: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replace(/(from '\.\/.*)\.js'/, "$1'"));
}

const ticksOf = ({ lines }: NodeProgram): number =>
  lines.filter(({ text }) => text.includes('closing expired plans')).length;

describe('when a reader does what docs/getting-started.md says', () => {
  let reader: Reader | undefined;
  afterEach(async () => {
    for (const replica of reader?.replicas ?? []) await replica.kill();
  });

  it('has a job that one of two replicas runs, also after a crash and after Ctrl+C, and sees who leads', async () => {
    const guide = new Guide('docs/getting-started.md', { until: '## 6. In a cluster' });
    const me = new Reader(guide, folder);
    reader = me;
    await me.makeApplication(await installed('vitest-nest-12'));
    const [install] = guide.commands();
    expect(install).toBe('npm install nestjs-leader-election @nestjs/schedule');
    await me.sh(install!.replace('nestjs-leader-election', tarball));
    for (const _file of ['the job', 'the module', 'main.ts']) me.write();

    const first = await me.carryOut();
    await me.sees(first);

    const second = await me.carryOut();
    await me.sees(second);
    const ticks = ticksOf(first);
    await first.until('two more ticks', () => ticksOf(first) >= ticks + 2);
    expect(ticksOf(second)).toBe(0);

    const [kill] = guide.commands();
    expect(kill).toBe('kill -9 4711');
    expect(first.lines.find(({ text }) => text.startsWith('[Nest]'))!.text).toMatch(
      new RegExp(`^\\[Nest\\] ${first.pid} `),
    );
    first.signal('SIGKILL');
    await me.sees(second);

    const third = await me.carryOut();
    await third.line(/\[LeaderElection\] follows /);
    second.signal('SIGINT');
    await me.sees(second);
    await me.sees(third);
    await second.exited;

    const [status] = guide.commands();
    const [header, row] = (await me.sh(status!)).trim().split('\n');
    const [shownHeader, shownRow] = guide.output();
    expect(header!.split(/ +/)).toEqual(shownHeader!.split(/ +/));
    const [lease, , term] = row!.split(/ {2,}/);
    const [shownLease, , shownTerm] = shownRow!.split(/ {2,}/);
    expect([lease, term]).toEqual([shownLease, shownTerm]);

    third.signal('SIGINT');
    await third.exited;
    me.write();
    const withDashboard = await me.carryOut();
    await withDashboard.line(/successfully started/);
    const page = await fetch(`http://localhost:${await me.portOf('3001')}/leader`);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('<title>')]);
    expect(me.replicas.map(({ crash }) => crash)).toEqual(me.replicas.map(() => undefined));
    expect(guide.isAtItsEnd).toBe(true);
  }, 300_000);
});
