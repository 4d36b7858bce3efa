import { fork, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';

const COLOURS = ['cyan', 'magenta', 'yellow'] as const;

/** What Nest says of its own start would hide what this sample is about. */
const FRAMEWORK = /\[(NestFactory|InstanceLoader|RoutesResolver|RouterExplorer|NestApplication)\]/;

/** One replica process and its output, each line with the replica's name and a star while it leads. */
class Replica {
  private readonly process: ChildProcess;
  private isLeader = false;
  readonly ended: Promise<void>;

  constructor(
    private readonly name: string,
    private readonly colour: (typeof COLOURS)[number],
  ) {
    this.process = fork(fileURLToPath(new URL('./main.js', import.meta.url)), {
      // A process group of its own: Ctrl+C reaches this program alone, which then ends each replica once.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Named, so that it runs anywhere: in a container, with NODE_ENV=production, in a pod.
      env: { LOCK: 'file', ...process.env, ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }) },
    });
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (!FRAMEWORK.test(line)) this.print(line);
      });
    }
    this.process.on('message', (message: { isLeader: boolean }) => this.report(message.isLeader));
    this.ended = new Promise((resolve) => {
      this.process.on('exit', (code, signal) => {
        this.print(`has ended (${signal ?? `exit code ${code}`})`);
        resolve();
      });
    });
  }

  stop(): void {
    this.process.kill('SIGTERM');
  }

  private report(isLeader: boolean): void {
    if (isLeader && !this.isLeader) {
      const { pid } = this.process;
      print(
        'green',
        `★ ${this.name} leads. To see another take over: kill -9 ${pid} (a crash) or kill ${pid} (a handover)`,
      );
    }
    this.isLeader = isLeader;
  }

  private print(line: string): void {
    print(this.colour, `${this.name} ${this.isLeader ? '★' : '·'} `, line);
  }
}

function print(colour: (typeof COLOURS)[number] | 'green', prefix: string, line = ''): void {
  const text = process.stdout.isTTY ? styleText(colour, prefix) : prefix;
  process.stdout.write(`${text}${line}\n`);
}

const replicas = COLOURS.map((colour, index) => new Replica(`replica-${index + 1}`, colour));

function stopAll(): void {
  print('green', 'Stopping: the leader stops its work first, then hands over.');
  for (const replica of replicas) replica.stop();
}
process.once('SIGINT', stopAll);
process.once('SIGTERM', stopAll);
await Promise.all(replicas.map((replica) => replica.ended));
