import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/**
 * A TCP socket as a plain stream, to run TLS over. TLS that is given the socket itself takes over its handle, and
 * whether the connection can then still be reset depends on the Node version: where it cannot, the kernel goes on
 * delivering what was written. Over this stream the handle stays with the socket, and `resetAndDestroy()` sends RST
 * everywhere (R15).
 */
export class RawSocketStream extends Duplex {
  constructor(private readonly raw: Socket) {
    super();
    raw.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) raw.pause();
    });
    raw.on('end', () => this.push(null));
    raw.on('error', (error) => this.destroy(error));
    raw.on('close', () => this.destroy());
  }

  override _read(): void {
    this.raw.resume();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.raw.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.raw.destroyed) done();
    else this.raw.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.raw.destroy();
    done(error);
  }
}
