import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { KUBERNETES_MINORS } from './go-build.js';

/**
 * The end-to-end specs that reach an API server, on one minor of Kubernetes after the other. `--only 1.36` takes one
 * minor; what else is given are spec files that replace the default choice.
 */
const { values, positionals } = parseArgs({
  options: { only: { type: 'string', multiple: true, default: [...KUBERNETES_MINORS] } },
  allowPositionals: true,
});

const specs =
  positionals.length > 0
    ? positionals
    : ['--findRelatedTests', 'proof/control-plane/control-plane.ts'];
const JEST = ['run', '-s', 'jest', '--', '--config', 'jest.e2e.config.js'];
const outcomes: string[] = [];
for (const minor of values.only) {
  process.stderr.write(`Kubernetes ${minor}\n`);
  const jest = spawn(
    'npm',
    // The specs of `npm run test:package`, which that configuration leaves out, as well.
    [...JEST, '--testPathIgnorePatterns', '/node_modules/', ...specs],
    {
      env: { ...process.env, KUBERNETES_MINOR: minor },
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  const [code, signal] = (await once(jest, 'exit')) as [number | null, NodeJS.Signals | null];
  outcomes.push(`${minor}: ${code === 0 ? 'passed' : `FAILED (${signal ?? `exit code ${code}`})`}`);
  if (code !== 0) process.exitCode = 1;
}
process.stdout.write(`Kubernetes ${outcomes.join(', ')}\n`);
