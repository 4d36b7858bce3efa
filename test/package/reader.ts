import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findFreePort } from '../../proof/control-plane/free-port.js';
import { NodeProgram } from '../../proof/fleet/node-program.js';
import { type Guide, isShownAs } from './guide.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

interface Manifest {
  devDependencies: Record<string, string>;
}

/** A reader of a guide, who has the commands of the page carried out in a folder of this test. */
export class Reader {
  readonly replicas: NodeProgram[] = [];
  private cwd: string;
  /** Of each port of the page, one that is free. */
  private readonly ports = new Map<string, number>();

  constructor(
    private readonly guide: Guide,
    private readonly folder: string,
  ) {
    this.cwd = folder;
  }

  /** Makes the application of the page, with the packages of a scaffold, which loses them. */
  async makeApplication(scaffold: string): Promise<void> {
    const [make, enter] = this.guide.commands();
    const cli = 'npx @nestjs/cli@12';
    if (!make!.startsWith(`${cli} new `))
      throw new Error(`not how an application is made: ${make}`);
    await this.sh(`${make!.replace(cli, 'nest')} --skip-install`);
    this.cwd = join(this.cwd, enter!.replace(/^cd /, ''));
    renameSync(join(scaffold, 'node_modules'), join(this.cwd, 'node_modules'));
    const manifest = join(this.cwd, 'package.json');
    const made = JSON.parse(readFileSync(manifest, 'utf8')) as Manifest;
    const { devDependencies } = JSON.parse(
      readFileSync(join(scaffold, 'package.json'), 'utf8'),
    ) as Manifest;
    // Formatters, linters and reports of coverage, which the page does not use, take their time.
    const used = Object.keys(made.devDependencies).filter((name) => name in devDependencies);
    made.devDependencies = Object.fromEntries(
      used.map((name) => [name, made.devDependencies[name]!]),
    );
    writeFileSync(manifest, JSON.stringify(made));
  }

  write(): void {
    const { path, text } = this.guide.file();
    mkdirSync(dirname(join(this.cwd, path)), { recursive: true });
    writeFileSync(join(this.cwd, path), text);
  }

  /** Carries out a block. The replica that it starts in the end is the answer. */
  async carryOut(): Promise<NodeProgram> {
    let replica: NodeProgram | undefined;
    for (const command of this.guide.commands()) {
      const [, port, program] = /^PORT=(\d+) node (\S+)$/.exec(command) ?? [];
      if (port === undefined) await this.sh(command);
      else replica = await this.start(port, program!);
    }
    return replica!;
  }

  async sh(command: string): Promise<string> {
    const { PATH } = process.env;
    const { stdout } = await run('sh', ['-c', command], {
      cwd: this.cwd,
      env: {
        ...unmarked(),
        PATH: `${PATH}:${join(root, 'node_modules', '.bin')}`,
        TMPDIR: this.folder,
        npm_config_prefer_offline: 'true',
      },
    });
    return stdout;
  }

  /** Waits until the replica has printed the lines that the page shows next, in their order. */
  async sees(replica: NodeProgram): Promise<void> {
    const shown = this.guide.output();
    await replica.until(`output as on the page:\n${shown.join('\n')}`, () => {
      const left = [...shown];
      for (const { text } of replica.lines) if (isShownAs(text, left[0] ?? '')) left.shift();
      return left.length === 0;
    });
  }

  async portOf(port: string): Promise<number> {
    const free = this.ports.get(port) ?? (await findFreePort());
    this.ports.set(port, free);
    return free;
  }

  private async start(port: string, program: string): Promise<NodeProgram> {
    const replica = new NodeProgram({
      name: `the replica on ${port}`,
      program: join(this.cwd, program),
      env: { PORT: String(await this.portOf(port)), TMPDIR: this.folder },
    });
    this.replicas.push(replica);
    return replica;
  }
}

/** Without the flags and marks that this runner gave its own process. */
export function unmarked(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, JEST_WORKER_ID: _worker, NODE_ENV: _env, ...rest } = process.env;
  return { ...rest, NO_COLOR: '1' };
}
