import { existsSync, readFileSync } from 'node:fs';
import { PodEnvironment } from '../kubernetes/connection/in-cluster.connection.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** What test runners set in the processes of the tests, and what those start. */
const TEST_RUNNERS: readonly (readonly [variable: string, runner: string])[] = [
  ['JEST_WORKER_ID', 'Jest'],
  ['VITEST', 'Vitest'],
  ['NODE_TEST_CONTEXT', 'node:test'],
  ['MOCHA_WORKER_ID', 'Mocha'],
];

/** Mocha sets nothing where it runs in one process. */
const MOCHA_PROGRAM = /[\\/](_?mocha)(\.js|\.cjs)?$/;

/** Files that container engines put into every container. */
const CONTAINER_FILES = ['/.dockerenv', '/run/.containerenv'];

const CONTAINER_CGROUP = /docker|kubepods|containerd|libpod|podman|lxc|crio|ecs|garden/;

/** Looks at the files of the machine; none of them is changed. */
export interface MachineFiles {
  exists(path: string): boolean;
  /** Empty if it cannot be read. */
  text(path: string): string;
}

const ownMachine: MachineFiles = {
  exists: existsSync,
  text(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      // Not on Linux, or not for this user: it says nothing then.
      return '';
    }
  },
};

/** What a process can tell of where and what for it runs. All of it comes in as arguments for the tests. */
export class ProcessSurroundings {
  constructor(
    private readonly env: Environment = process.env,
    private readonly program: string = process.argv[1] ?? '',
    private readonly files: MachineFiles = ownMachine,
    readonly pod: PodEnvironment = new PodEnvironment(env),
  ) {}

  /** `NODE_ENV=production`. */
  get isProduction(): boolean {
    return this.env['NODE_ENV'] === 'production';
  }

  /** The test runner that this process belongs to, if any. */
  testRunner(): string | undefined {
    const known = TEST_RUNNERS.find(([variable]) => Boolean(this.env[variable]));
    if (known !== undefined) return known[1];
    return MOCHA_PROGRAM.test(this.program) ? 'Mocha' : undefined;
  }

  /** What shows that this is a container, e.g. `/.dockerenv`; undefined where nothing does. */
  containerSign(): string | undefined {
    const file = CONTAINER_FILES.find((path) => this.files.exists(path));
    if (file !== undefined) return file;
    if (this.env['container']) return `the environment variable container=${this.env['container']}`;
    if (CONTAINER_CGROUP.test(this.files.text('/proc/1/cgroup'))) return '/proc/1/cgroup';
    const root = this.files.text('/proc/self/mountinfo').split('\n').find(isRootMount);
    return root?.includes(' - overlay ') ? 'an overlay as the root file system' : undefined;
  }
}

/** The fifth field of a line of mountinfo is where the file system is mounted. */
function isRootMount(line: string): boolean {
  return line.split(' ')[4] === '/';
}
