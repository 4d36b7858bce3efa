import { StringDecoder } from 'node:string_decoder';

/** Far above any Lease; a stream with a longer line is not a watch. */
const MAX_LINE_CHARS = 4 * 1024 * 1024;

/** Cuts a byte stream into lines, wherever its chunks (and the bytes of one character) happen to be split. */
export class JsonLines {
  private readonly decoder = new StringDecoder('utf8');
  private rest = '';

  /** The lines that this chunk completes, without blank ones. */
  push(chunk: Buffer): string[] {
    const lines = (this.rest + this.decoder.write(chunk)).split('\n');
    this.rest = lines.pop() ?? '';
    if (this.rest.length > MAX_LINE_CHARS) {
      throw new Error(`a line is longer than ${MAX_LINE_CHARS} characters`);
    }
    return lines.filter((line) => line.trim() !== '');
  }

  /** True if the stream ended inside a line. */
  get isTruncated(): boolean {
    return (this.rest + this.decoder.end()).trim() !== '';
  }
}
