import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import typescript from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));
const specs = join(root, 'test', 'package', 'scaffolds', 'specs');
const compilerOptions = {
  module: typescript.ModuleKind.ESNext,
  target: typescript.ScriptTarget.ES2022,
};

let folder: string;

beforeAll(() => {
  mkdirSync(join(root, '.tools'), { recursive: true });
  // Within the package, whose name leads to its own build from there.
  folder = mkdtempSync(join(root, '.tools', 'contracts-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a source of the scaffolds as JavaScript. */
function compile(name: string, change: (source: string) => string): string {
  const source = change(readFileSync(join(specs, `${name}.ts`), 'utf8'));
  const { outputText } = typescript.transpileModule(source, { compilerOptions });
  const file = join(folder, `${name}.js`);
  writeFileSync(file, outputText);
  return file;
}

/** Runs the suites of docs/own-lock.md with the runner of Node.js, which has no globals. */
function runWithNode(changeLock: (source: string) => string = (source) => source, only = '.') {
  compile('sqlite.lock', changeLock);
  const imports = `import { describe, it } from 'node:test';\n`;
  const file = compile('own-lock.spec', (source) => imports + source);
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;
  const { stdout } = spawnSync(
    process.execPath,
    ['--test', '--test-reporter=tap', `--test-name-pattern=${only}`, file],
    {
      cwd: root,
      encoding: 'utf8',
      env,
    },
  );
  const counted = (what: string) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(stdout)?.[1]);
  return { passed: counted('pass'), failed: counted('fail'), stdout };
}

// Jest runs the same file in this suite, and Vitest in the scaffold of Nest 12.
describe('when the contract suites run under node:test', () => {
  it('passes a lock that keeps them', () => {
    const { passed, failed } = runWithNode();
    expect(failed).toBe(0);
    expect(passed).toBeGreaterThan(90);
  });

  it('fails one that calls a write not applied of which nothing is known', () => {
    const { failed, stdout } = runWithNode(
      (source) => source.replace(`{ kind: 'unknown', error`, `{ kind: 'not-applied', error`),
      'the answer to a write is lost',
    );
    expect(failed).toBeGreaterThan(0);
    expect(stdout).toMatch(/^ *not ok \d+ - when the answer to a write is lost, answers unknown/m);
  });
});
