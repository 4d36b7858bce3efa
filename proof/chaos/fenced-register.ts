import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** Successive writes that one process made with one token. */
export interface AcceptedWrites {
  readonly token: bigint;
  readonly process: string;
  count: number;
}

/**
 * What a fenced resource is: it remembers the highest token that it has seen and refuses lower ones. Over TCP, a line for
 * each request: `write <id> <token> <process>` is answered by `written <id> <accepted>`, `read <id>` by
 * `was <id> <token> <process>`.
 */
export class FencedRegister {
  readonly accepted: AcceptedWrites[] = [];
  refusals = 0;
  private readonly sockets = new Set<Socket>();
  private highest = -1n;
  private writer = '';

  private constructor(private readonly server: Server) {
    server.on('connection', (socket: Socket) => this.serve(socket));
  }

  static async start(): Promise<FencedRegister> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FencedRegister(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  write(token: bigint, process: string): boolean {
    if (token < this.highest) {
      this.refusals += 1;
      return false;
    }
    this.highest = token;
    this.writer = process;
    const last = this.accepted.at(-1);
    if (last?.token === token && last.process === process) last.count += 1;
    else this.accepted.push({ token, process, count: 1 });
    return true;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.setNoDelay().on('error', () => undefined);
    socket.once('close', () => this.sockets.delete(socket));
    const lines = createInterface({ input: socket });
    // It repeats the errors of its input.
    lines.on('error', () => undefined);
    lines.on('line', (line) => {
      const answer = this.answer(line.split(' '));
      if (answer !== undefined && socket.writable) socket.write(`${answer}\n`);
    });
  }

  /** A process that is killed in a write leaves half a line. */
  private answer([verb, id, token, process]: string[]): string | undefined {
    if (verb === 'read' && id !== undefined) return `was ${id} ${this.highest} ${this.writer}`;
    if (verb !== 'write' || !/^\d+$/.test(token ?? '') || process === undefined) return undefined;
    return `written ${id} ${this.write(BigInt(token!), process)}`;
  }
}
