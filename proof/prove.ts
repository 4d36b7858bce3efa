import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';

type Proof = readonly [command: string, ...args: string[]];

/**
 * `npm run prove`: the proofs that CI runs after `check`, and how long each took. They are commands of package.json, run
 * without the build that each begins with: nothing changes in between. The lanes of a row run side by side: most of what they
 * do uses one core, and none of it depends on how long anything takes.
 */
const ROWS: readonly (readonly (readonly Proof[])[])[] = [
  [[['simulate', '--schedules', '20000', '--workers', '2']]],
  [
    [['simulate:explore'], ['fuzz']],
    [['simulate:mutants'], ['simulate:options'], ['simulate:ticks', '--ticks', '50000']],
  ],
  [[['chaos', '--minutes', '4', '--judge']]],
  [[['chaos', '--lock', 'file', '--minutes', '1', '--judge']]],
  [[['chaos:ticks', '--handovers', '6', '--fleets', '2']]],
];

const BUILD = /^npm run (-s )?build && npm run (-s )?build:tools && /;

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

for (const lanes of ROWS) {
  // What runs beside a proof that fails still ends, and says what it found.
  const ended = await Promise.allSettled(lanes.map(runAll));
  for (const lane of ended) if (lane.status === 'rejected') throw lane.reason;
}

async function runAll(proofs: readonly Proof[]): Promise<void> {
  for (const proof of proofs) await run(proof);
}

/** Its output comes in one piece, as another proof may run beside it. */
async function run([command, ...args]: Proof): Promise<void> {
  const title = [command, ...args].join(' ');
  const begun = performance.now();
  const line = `${scripts[command]!.replace(BUILD, '')} ${args.join(' ')} 2>&1`;
  const child = spawn(line, { shell: true, stdio: ['ignore', 'pipe', 'inherit'] });
  const [output, [status, signal]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const seconds = Math.round((performance.now() - begun) / 1_000);
  console.log(`\n${title}\n${output}${title}: ${seconds} s`);
  if (status !== 0) throw new Error(`${title} ended with ${status ?? signal}`);
}
