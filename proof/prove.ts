import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * `npm run prove`: the proofs that CI runs after `check`, one after the other, and how long each took. They are commands
 * of package.json, run without the build that each begins with: nothing changes in between.
 */
const PROOFS: readonly (readonly [command: string, ...args: string[]])[] = [
  ['simulate', '--schedules', '20000', '--workers', '2'],
  ['simulate:mutants'],
  ['simulate:explore'],
  ['simulate:options'],
  ['simulate:ticks', '--ticks', '50000'],
  ['fuzz'],
  ['chaos', '--minutes', '4', '--judge'],
  ['chaos', '--lock', 'file', '--minutes', '1', '--judge'],
  ['chaos:ticks', '--handovers', '6', '--fleets', '2'],
];

const BUILD = /^npm run (-s )?build && npm run (-s )?build:tools && /;

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

for (const [command, ...args] of PROOFS) {
  const title = [command, ...args].join(' ');
  const begun = performance.now();
  const line = `${scripts[command]!.replace(BUILD, '')} ${args.join(' ')}`;
  console.log(`\n${title}`);
  const { status, signal } = spawnSync(line, { shell: true, stdio: 'inherit' });
  const seconds = Math.round((performance.now() - begun) / 1_000);
  console.log(`${title}: ${seconds} s`);
  if (status !== 0) throw new Error(`${title} ended with ${status ?? signal}`);
}
