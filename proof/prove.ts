import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';

type Proof = readonly [command: string, ...args: string[]];

interface Lane {
  readonly proofs: readonly Proof[];
  readonly isBackground?: boolean;
}

/**
 * `npm run prove`: what CI runs after `check`, and how long each took. They are commands of package.json, run without the
 * builds that each begins with: nothing changes in between. The lanes of a row run side by side. What reaches a real server in
 * real time has no other command beside it than what computes on virtual clocks, and that only takes what time is left.
 */
const ROWS: readonly (readonly Lane[])[] = [
  [
    { proofs: [['test:e2e']] },
    {
      isBackground: true,
      proofs: [
        ['simulate:mutants'],
        ['simulate:options'],
        ['simulate', '--schedules', '20000', '--workers', '1'],
        ['simulate:ticks', '--ticks', '50000'],
      ],
    },
  ],
  [
    { proofs: [['simulate:explore'], ['fuzz'], ['test:browser']] },
    { proofs: [['test:package'], ['test:matrix', '--quick']] },
  ],
  [{ proofs: [['chaos', '--minutes', '4', '--judge']] }],
  // Nothing beside them: chaos takes the processor from the machine on purpose.
  [{ proofs: [['chaos', '--lock', 'file', '--minutes', '1', '--judge']] }],
  [{ proofs: [['chaos:ticks', '--handovers', '6', '--fleets', '2']] }],
];

const BUILDS = /^(npm run (-s )?build(:sample|:tools)? && )+/;

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

for (const lanes of ROWS) {
  // What runs beside a proof that fails still ends, and says what it found.
  const ended = await Promise.allSettled(lanes.map(runLane));
  for (const lane of ended) if (lane.status === 'rejected') throw lane.reason;
}

async function runLane({ proofs, isBackground = false }: Lane): Promise<void> {
  for (const proof of proofs) await run(proof, isBackground);
}

/** The output of what runs in the background comes in one piece. */
async function run([command, ...args]: Proof, isBackground: boolean): Promise<void> {
  const title = [command, ...args].join(' ');
  const begun = performance.now();
  const line = `${scripts[command]!.replace(BUILDS, '')} ${args.join(' ')} 2>&1`;
  const child = spawn('nice', ['-n', isBackground ? '19' : '0', 'sh', '-c', line], {
    stdio: ['ignore', isBackground ? 'pipe' : 'inherit', 'inherit'],
  });
  const output = child.stdout === null ? Promise.resolve('') : text(child.stdout);
  const [said, [status, signal]] = await Promise.all([output, once(child, 'exit')]);
  const seconds = Math.round((performance.now() - begun) / 1_000);
  console.log(`${said}${title}: ${seconds} s`);
  if (status !== 0) throw new Error(`${title} ended with ${status ?? signal}`);
}
