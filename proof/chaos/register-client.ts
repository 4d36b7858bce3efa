import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { HistoryRecorder } from './history-recorder.js';

/** One process' way to the fenced register; writes down when each operation began and when its answer came. */
export class RegisterClient {
  private readonly socket: Socket;

  constructor(
    port: number,
    private readonly process: string,
    private readonly history: HistoryRecorder,
  ) {
    this.socket = connect(port, '127.0.0.1').setNoDelay();
    this.socket.on('error', () => undefined).unref();
    const lines = createInterface({ input: this.socket });
    // It repeats the errors of its input.
    lines.on('error', () => undefined);
    lines.on('line', (line) => this.heard(line.split(' ')));
  }

  write(token: bigint): void {
    const id = this.history.writes(token);
    this.socket.write(`write ${id} ${token} ${this.process}\n`);
  }

  read(): void {
    this.socket.write(`read ${this.history.reads()}\n`);
  }

  private heard([verb, id, first, second = '']: string[]): void {
    if (verb === 'written') this.history.written(Number(id), first === 'true');
    if (verb === 'was') this.history.was(Number(id), BigInt(first!), second);
  }
}
