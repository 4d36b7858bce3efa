import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadYaml } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findFreePort } from '../../proof/control-plane/free-port.js';
import { NodeProgram } from '../../proof/fleet/node-program.js';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const DOCKERFILE = readFileSync(join(REPOSITORY, 'sample-app/Dockerfile'), 'utf8');

/** A stage of the Dockerfile, carried out in a folder in the place of an image. */
interface Stage {
  readonly root: string;
  workdir: string;
  readonly env: Record<string, string>;
  /** What an instruction says that only describes the image. */
  readonly says: Record<string, string>;
}

/** What `.dockerignore` lets through: it excludes all, and names what is not excluded. */
function contextPaths(): string[] {
  const lines = readFileSync(join(REPOSITORY, '.dockerignore'), 'utf8').trim().split('\n');
  const [first, ...rest] = lines.filter((line) => !line.startsWith('#'));
  expect(first).toBe('*');
  return rest.map((line) => /^!([\w./-]+)$/.exec(line)![1]!);
}

class Build {
  readonly folder = mkdtempSync(join(tmpdir(), 'sample-image-'));
  readonly stages: Stage[] = [];
  private readonly named = new Map<string, Stage>();

  async carryOut(): Promise<Stage> {
    const context = join(this.folder, 'context');
    for (const path of contextPaths()) {
      cpSync(join(REPOSITORY, path), join(context, path), { recursive: true });
    }
    for (const line of DOCKERFILE.split('\n')) {
      if (line === '' || line.startsWith('#')) continue;
      const [, instruction, rest] = /^([A-Z]+) (.+)$/.exec(line)!;
      await this.perform(instruction!, rest!, context);
    }
    return this.stages.at(-1)!;
  }

  private async perform(instruction: string, rest: string, context: string): Promise<void> {
    if (instruction === 'FROM') {
      const [image, , name] = rest.split(' ');
      const root = join(this.folder, `stage-${this.stages.length}`);
      const stage: Stage = { root, workdir: root, env: {}, says: { FROM: image! } };
      this.stages.push(stage);
      if (name !== undefined) this.named.set(name, stage);
      return;
    }
    const stage = this.stages.at(-1)!;
    switch (instruction) {
      case 'WORKDIR':
        stage.workdir = join(stage.root, rest);
        mkdirSync(stage.workdir, { recursive: true });
        break;
      case 'ENV':
        for (const pair of rest.split(' ')) {
          const [name, value] = pair.split('=');
          stage.env[name!] = value!;
        }
        break;
      case 'COPY':
        this.copy(stage, rest.split(' '), context);
        break;
      case 'RUN':
        await this.run(stage, rest);
        break;
      default:
        stage.says[instruction] = rest;
    }
  }

  private copy({ workdir }: Stage, args: string[], context: string): void {
    const from = args[0]!.startsWith('--from=') ? args.shift()!.slice('--from='.length) : undefined;
    const source = from === undefined ? context : this.named.get(from)!.root;
    const target = args.pop()!;
    for (const path of args) {
      // Docker copies what a folder contains, and a file by its name.
      const isInto = target.endsWith('/') && path !== '.';
      const to = isInto ? join(workdir, target, basename(path)) : join(workdir, target);
      mkdirSync(dirname(to), { recursive: true });
      cpSync(join(source, path), to, { recursive: true });
    }
  }

  private async run({ workdir, env }: Stage, command: string): Promise<void> {
    const { PATH, HOME } = process.env;
    await promisify(execFile)('sh', ['-c', command], {
      cwd: workdir,
      env: { PATH, HOME, ...env },
      maxBuffer: 16 * 1024 * 1024,
    });
  }
}

interface Container {
  readonly ports: { readonly containerPort: number }[];
  readonly env: { readonly name: string; readonly value?: string }[];
}
interface Deployment {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly securityContext: { readonly runAsUser: number; readonly runAsGroup: number };
        readonly containers: readonly [Container];
      };
    };
  };
}

describe('the image of the sample', () => {
  let build: Build;
  let image: Stage;

  beforeAll(async () => {
    build = new Build();
    image = await build.carryOut();
  }, 600_000);

  afterAll(() => rmSync(build.folder, { recursive: true, force: true }));

  const command = (): string[] => JSON.parse(image.says['ENTRYPOINT']!) as string[];

  it('runs as the user and listens on the port that the manifests say, on a Node.js that the package supports', () => {
    const path = join(REPOSITORY, 'sample-app/k8s/base/deployment.yaml');
    const { securityContext, containers } = loadYaml<Deployment>(readFileSync(path, 'utf8')).spec
      .template.spec;
    const [{ ports, env }] = containers;
    expect(image.says['USER']).toBe(`${securityContext.runAsUser}:${securityContext.runAsGroup}`);
    expect(image.says['EXPOSE']).toBe(String(ports[0]!.containerPort));
    expect(image.env).toEqual(
      Object.fromEntries(env.flatMap(({ name, value }) => (value ? [[name, value]] : []))),
    );
    expect(new Set(build.stages.map(({ says }) => says['FROM']))).toEqual(
      new Set(['node:24-slim']),
    );
  });

  it('has the production dependencies alone', () => {
    const modules = readdirSync(join(image.workdir, 'node_modules'));
    expect(modules).toContain('rxjs');
    expect(modules).not.toContain('typescript');
    expect(modules).not.toContain('@kubernetes');
  });

  it('leads, answers the probes, ends on SIGTERM with its lease released, and writes nothing into itself', async () => {
    const files = () => readdirSync(image.root, { recursive: true, encoding: 'utf8' }).toSorted();
    const before = files();
    const directory = join(build.folder, 'lease');
    mkdirSync(directory);
    const port = await findFreePort();
    const [node, program, ...args] = command();
    expect(node).toBe('node');
    const replica = new NodeProgram({
      name: 'the sample',
      program: join(image.workdir, program!),
      args,
      env: { ...image.env, PORT: String(port), LOCK: 'file', LOCK_DIRECTORY: directory },
    });
    try {
      await replica.line(/tick 1: closing expired plans/);
      const response = await fetch(`http://127.0.0.1:${port}/health`);
      expect(await response.json()).toMatchObject({ status: 'up', isLeader: true });
      replica.signal('SIGTERM');
      await replica.exited;
      expect(replica.crash).toBeUndefined();
      expect(replica.said()).toContain('released the lease (term 1)');
    } finally {
      await replica.kill();
    }
    expect(files()).toEqual(before);
  }, 120_000);
});
