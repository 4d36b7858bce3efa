import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { NodeProgram } from '../../proof/fleet/node-program.js';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const CLI = file('../../dist/cli/main.js');
const PROGRAM = file('support/stubborn-program.sh');
/** The fast profile: validity ends 3.3 s after the last renewal, and another process may lead 5 s after it. */
const FAST = ['--profile', 'fast'];

let cluster: ElectionCluster;
let configMapUser: string;
let directory: string;
let journal: string;
let processes: NodeProgram[];
let leases = 0;
let lease: string;

beforeAll(async () => {
  cluster = await ElectionCluster.start();
  const verbs = ['get', 'create', 'update', 'watch'];
  const configMaps = { apiGroups: [''], resources: ['configmaps'], verbs };
  configMapUser = await cluster.addAccount('config-map', [configMaps]);
}, FIRST_START_LIMIT_MS);
afterAll(() => cluster?.stop());

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cli-run-'));
  journal = join(directory, 'journal');
  processes = [];
  lease = `run-${++leases}`;
  await cluster.deleteLease();
});
afterEach(async () => {
  for (const process of processes) process.signal('SIGCONT');
  await Promise.all(processes.map((process) => process.kill()));
  rmSync(directory, { recursive: true });
});

type Lock = 'file' | 'lease' | 'config-map';

function placeOf(lock: Lock): string[] {
  if (lock === 'file') return ['--lock', lock, '--directory', directory, '--lease', lease];
  const name = lock === 'lease' ? cluster.leaseName : lease;
  const user = lock === 'lease' ? cluster.kubeConfigFile : configMapUser;
  return ['--lock', lock, '--lease', name, '--kubeconfig', user, '--namespace', NAMESPACE];
}

function cli(name: string, args: readonly string[]): NodeProgram {
  const started = new NodeProgram({ name, program: CLI, args });
  processes.push(started);
  return started;
}

function run(
  name: string,
  lock: Lock,
  reaction: 'ignores' | 'obeys' = 'ignores',
  options: readonly string[] = [],
): NodeProgram {
  const own = ['--identity', name, ...FAST, ...options];
  return cli(name, ['run', ...placeOf(lock), ...own, '--', 'sh', PROGRAM, reaction, journal]);
}

/** A leader whose program runs, and a standby. */
async function leaderAndStandby(
  lock: Lock,
  ...program: [('ignores' | 'obeys')?, (readonly string[])?]
): Promise<[NodeProgram, NodeProgram]> {
  const leader = run('first', lock, ...program);
  await leader.line(/^runs in term 1 as first$/);
  const standby = run('second', lock, ...program);
  await standby.line(/follows first/);
  await eventually(() => expect(beats('first').length).toBeGreaterThan(2), 30_000);
  return [leader, standby];
}

/** When the program and its child said that they ran, in seconds since the machine was started. */
function beats(name: string): number[] {
  if (!existsSync(journal)) return [];
  return readFileSync(journal, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${name} `))
    .map((line) => Number(line.split(' ')[2]));
}

/** Once the next program runs: whether the first has run beside it. */
async function overlapsWith(standby: NodeProgram): Promise<boolean> {
  await standby.line(/^runs in term 2 as second$/);
  await eventually(() => expect(beats('second').length).toBeGreaterThan(2), 30_000);
  return beats('first').at(-1)! > beats('second')[0]!;
}

/** The guard of the program is its only child. */
function guardOf({ pid }: NodeProgram): number {
  return Number(execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }));
}

/** A pipe of which nothing reads, yet: an end for the processes, and one of the test that never waits. */
function unreadPipe(): { readonly stderr: number; readonly reader: number } {
  const pipe = join(directory, 'unread');
  execFileSync('mkfifo', [pipe]);
  const reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  return { stderr: openSync(pipe, 'r+'), reader };
}

function fill(reader: number): void {
  try {
    for (;;) writeSync(reader, '.');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
}

function takenFrom(reader: number): string {
  const taken = Buffer.alloc(1_048_576);
  try {
    return taken.toString('utf8', 0, readSync(reader, taken));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
    throw error;
  }
}

describe('when nothing reads what is written to stderr', () => {
  it('ends with the code of its program, and a command that reports waits for its reader', async () => {
    const { stderr, reader } = unreadPipe();
    fill(reader);
    const ended = (child: ChildProcess): Promise<number | null> =>
      new Promise((resolve) => child.once('exit', resolve));
    const help = spawn(process.execPath, [CLI, 'doctor', '--help'], {
      stdio: ['ignore', stderr, stderr],
    });
    const own = ['run', ...placeOf('file'), '--identity', 'first', ...FAST];
    const program = spawn(process.execPath, [CLI, ...own, '--', 'sh', '-c', 'exit 3'], {
      stdio: ['ignore', 'ignore', stderr],
    });
    try {
      const endOfHelp = ended(help);
      expect(await ended(program)).toBe(3);
      expect(help.exitCode).toBeNull();
      let text = '';
      await eventually(() => {
        text += takenFrom(reader).replace(/^\.+/, '');
        expect(text).toMatch(/--help +show this text\n$/);
      }, 30_000);
      expect(await endOfHelp).toBe(0);
      expect(text).not.toContain('the program exited');
    } finally {
      for (const child of [help, program]) child.kill('SIGKILL');
      for (const each of [stderr, reader]) closeSync(each);
    }
  });

  it('is killed in time all the same', async () => {
    const { stderr, reader } = unreadPipe();
    const fills = `head -c 4000000 /dev/zero >&2 & exec sh "${PROGRAM}" ignores "${journal}"`;
    const own = ['run', ...placeOf('file'), '--identity', 'first', ...FAST];
    const leader = spawn(process.execPath, [CLI, ...own, '--', 'sh', '-c', fills], {
      stdio: ['ignore', 'ignore', stderr],
    });
    try {
      await eventually(() => expect(beats('first').length).toBeGreaterThan(2), 30_000);
      const standby = run('second', 'file');
      await standby.line(/follows first/);
      leader.kill('SIGSTOP');
      expect(await overlapsWith(standby)).toBe(false);
    } finally {
      leader.kill('SIGKILL');
      for (const each of [stderr, reader]) closeSync(each);
    }
  });
});

describe.each<Lock>(['file', 'lease'])(
  'when a program runs only while leader, on the %s lock',
  (lock) => {
    it('is killed with its children when it ignores SIGTERM, and the lease is released after that', async () => {
      const [leader, standby] = await leaderAndStandby(lock, 'ignores', [
        '--drain-timeout-ms',
        '1500',
      ]);
      const at = leader.signal('SIGTERM');
      await leader.line(/did not end within 1500 ms: killed it/, { since: at });
      await leader.line(/released the lease/, { since: at });
      await leader.exited;
      expect(leader.outcome).toBe(128 + 9);
      expect(await overlapsWith(standby)).toBe(false);
    });

    it('has ended before the next one starts, when the holder is killed', async () => {
      const [leader, standby] = await leaderAndStandby(lock);
      await leader.kill();
      expect(await overlapsWith(standby)).toBe(false);
    });

    it('has ended before the next one starts, when the holder is stopped, and stays so', async () => {
      const [leader, standby] = await leaderAndStandby(lock);
      leader.signal('SIGSTOP');
      expect(await overlapsWith(standby)).toBe(false);
      const at = leader.signal('SIGCONT');
      await leader.line(/lost leadership .*renew-deadline/, { since: at });
      await leader.line(/follows second/, { since: at });
      expect(beats('second')[0]).toBeGreaterThanOrEqual(beats('first').at(-1)!);
    });

    it('has ended before the next one starts, when its guard is killed', async () => {
      const [leader, standby] = await leaderAndStandby(lock);
      process.kill(guardOf(leader), 'SIGKILL');
      await leader.exited;
      expect(await overlapsWith(standby)).toBe(false);
    });

    it('has ended before the next one starts, when its guard is stopped and the program is asked to end', async () => {
      const [leader, standby] = await leaderAndStandby(lock, 'ignores', [
        '--drain-timeout-ms',
        '1500',
      ]);
      const guard = guardOf(leader);
      process.kill(guard, 'SIGSTOP');
      try {
        leader.signal('SIGTERM');
        expect(await overlapsWith(standby)).toBe(false);
      } finally {
        try {
          process.kill(-guard, 'SIGKILL');
        } catch {
          // It has ended.
        }
      }
    });

    it('hands over when a person asks for it, and competes again', async () => {
      const [leader, standby] = await leaderAndStandby(lock, 'obeys');
      const asking = cli('step-down', ['step-down', ...placeOf(lock)]);
      await asking.exited;
      expect(asking.outcome).toBe(0);
      expect(asking.lines.map(({ text }) => text)).toEqual([
        'first has stepped down (term 1)',
        'second leads now',
      ]);
      await leader.line(/^stopping$/);
      await leader.line(/was asked to step down by /);
      expect(await overlapsWith(standby)).toBe(false);
      standby.signal('SIGTERM');
      await leader.line(/^runs in term 3 as first$/);
      await standby.exited;
      expect(standby.outcome).toBe(0);
    });
  },
);

/** A zombie does not: the first process of a container may reap none. */
function runs(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !/\) [ZX] /.test(readFileSync(stat, 'latin1'));
}

describe('when the lock is a ConfigMap', () => {
  it('hands over when a person asks for it', async () => {
    const [leader, standby] = await leaderAndStandby('config-map', 'obeys');
    const asking = cli('step-down', ['step-down', ...placeOf('config-map')]);
    await asking.exited;
    expect(asking.lines.map(({ text }) => text)).toEqual([
      'first has stepped down (term 1)',
      'second leads now',
    ]);
    await leader.line(/^stopping$/);
    expect(await overlapsWith(standby)).toBe(false);
  });
});

describe('when the program ends by itself', () => {
  const ends = (options: readonly string[], ...program: string[]): NodeProgram =>
    cli('one', ['run', ...placeOf('file'), ...FAST, ...options, '--', ...program]);

  it.each([
    ['its own code', ['sh', '-c', 'exit 7'], 7],
    ['0', ['true'], 0],
    ['128 and the number of its signal', ['sh', '-c', 'kill -9 $$'], 137],
    ['127, as there is no such program', ['no-such-program'], 127],
    ['126, as it may not be run', ['/etc/passwd'], 126],
  ])('releases the lease, and ends with %s', async (_, program, code) => {
    const one = ends([], ...program);
    await one.exited;
    expect(one.outcome).toBe(code);
    expect(one.said()).toMatch(/released the lease/);
  });

  it('ends what it has left behind, before the lease is released', async () => {
    const limit = ['--drain-timeout-ms', '1000'];
    const one = ends(limit, 'sh', '-c', '(trap "" TERM; sleep 600) & echo left $!');
    const { match } = await one.line(/^left (\d+)$/);
    await one.exited;
    expect(one.outcome).toBe(0);
    expect(runs(Number(match[1]))).toBe(false);
  });

  it('starts it again with --restart, and keeps the lease', async () => {
    const one = ends(['--restart', 'on-failure'], 'sh', '-c', 'echo began; exit 3');
    const { at } = await one.line(/^began$/);
    await one.line(/^began$/, { since: at + 1 });
    expect(one.said()).not.toMatch(/released/);
  });

  it('gives it its term in the environment, and passes stdin and stdout on', async () => {
    const one = ends(['--identity', 'me'], 'sh', '-c', 'env | grep LEADER_ELECTION | sort');
    await one.exited;
    const said = one.lines.map(({ text }) => text).filter((text) => text.startsWith('LEADER'));
    expect(said).toEqual([
      expect.stringMatching(/^LEADER_ELECTION_FENCING_TOKEN=\d+$/),
      'LEADER_ELECTION_IDENTITY=me',
      `LEADER_ELECTION_LEASE=${lease}`,
      `LEADER_ELECTION_ROLE=${lease}`,
      'LEADER_ELECTION_TERM=1',
    ]);
  });

  it('ends with 75 when leadership ends and --once is set', async () => {
    const one = run('one', 'file', 'obeys', ['--once']);
    await one.line(/^runs in term 1/);
    const asking = cli('step-down', ['step-down', ...placeOf('file'), '--timeout-ms', '8000']);
    await one.exited;
    expect(one.outcome).toBe(75);
    await asking.exited;
    // No other process competes.
    expect(asking.outcome).toBe(75);
    expect(asking.said()).toMatch(/one has stepped down \(term 1\)\nno process leads yet/);
  });
});

describe('when a leader is asked for what it does not do', () => {
  it('refuses a member that it does not know, says why, and still leads', async () => {
    const [leader] = await leaderAndStandby('file', 'obeys');
    const asking = cli('step-down', ['step-down', ...placeOf('file'), '--to', 'second']);
    await asking.exited;
    expect(asking.outcome).toBe(1);
    expect(asking.said()).toMatch(/first \(term 1\) refused: this leader knows no other members/);
    expect(leader.said()).not.toMatch(/lost leadership/);
  });

  it('is said not to have answered, if it is stopped, and does not hear of it later', async () => {
    const leader = run('first', 'file');
    await leader.line(/^runs in term 1/);
    leader.signal('SIGSTOP');
    const asking = cli('step-down', ['step-down', ...placeOf('file'), '--timeout-ms', '600']);
    await asking.exited;
    leader.signal('SIGCONT');
    expect(asking.outcome).toBe(75);
    expect(asking.said()).toMatch(/did not answer within 600 ms.*The request was taken back/);
  });
});
