import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * `npm run pack:reproduce`: builds and packs the last commit in two clean clones, each as another user would, and compares the
 * tarballs byte by byte. `-- FILE.tgz` compares the first of them with this file, such as the one that was published.
 */
interface Builder {
  readonly folder: string;
  readonly umask: string;
  readonly env: Readonly<Record<string, string>>;
}

const BUILDERS: readonly Builder[] = [
  { folder: 'one', umask: '022', env: { TZ: 'UTC', LC_ALL: 'C' } },
  {
    folder: 'another/one in a longer path',
    umask: '077',
    env: { TZ: 'Asia/Kathmandu', LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR.UTF-8' },
  },
];

const given = process.argv[2];
const workshop = mkdtempSync(join(tmpdir(), 'reproduce-'));
try {
  const first = packedBy(BUILDERS[0]!);
  const second = given === undefined ? packedBy(BUILDERS[1]!) : readFileSync(resolve(given));
  const same = first.equals(second);
  console.log(`${first.length} bytes, sha512-${hashOf(first)}`);
  if (!same) {
    console.log(`${second.length} bytes, sha512-${hashOf(second)}`);
    console.log(differences(first, second).join('\n'));
  }
  console.log(same ? 'the same bytes' : 'NOT the same bytes');
  process.exitCode = same ? 0 : 1;
} finally {
  rmSync(workshop, { recursive: true, force: true });
}

function packedBy({ folder, umask, env }: Builder): Buffer {
  const clone = join(workshop, folder);
  mkdirSync(clone, { recursive: true });
  const commands = [
    `umask ${umask}`,
    `git clone --quiet --no-local "$REPOSITORY" .`,
    'npm ci --ignore-scripts --no-audit --no-fund',
    'npm pack',
  ];
  console.log(`packing under umask ${umask}, ${Object.values(env).join(', ')}`);
  execFileSync('sh', ['-ec', commands.join('\n')], {
    cwd: clone,
    env: { ...process.env, ...env, REPOSITORY: process.cwd() },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const tarball = readdirSync(clone).find((file) => file.endsWith('.tgz'))!;
  return readFileSync(join(clone, tarball));
}

function hashOf(bytes: Buffer): string {
  return createHash('sha512').update(bytes).digest('base64');
}

/** The entries that only one of the two tarballs has, or that differ in mode or content. */
function differences(first: Buffer, second: Buffer): string[] {
  const [ours, theirs] = [first, second].map((bytes, index) => {
    const folder = join(workshop, `unpacked-${index}`);
    mkdirSync(folder);
    execFileSync('tar', ['-xpzf', '-', '-C', folder], { input: bytes });
    const listed = 'find . -type f -printf "%m %p " -exec sha256sum {} \\; | sort -k 2';
    return execFileSync('sh', ['-c', listed], { cwd: folder, encoding: 'utf8' }).split('\n');
  }) as [string[], string[]];
  const different = [
    ...ours.filter((line) => !theirs.includes(line)).map((line) => `- ${line}`),
    ...theirs.filter((line) => !ours.includes(line)).map((line) => `+ ${line}`),
  ];
  return different.length > 0
    ? different
    : ['their files are the same: another version of npm or Node.js packed them in another way'];
}
