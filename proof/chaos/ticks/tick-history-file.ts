import { closeSync, openSync, readSync } from 'node:fs';
import type { TickEvent } from './tick-replica-settings.js';

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** What one replica has told so far. A look reads on from where the last one ended. */
export class TickHistoryFile {
  readonly events: TickEvent[] = [];
  isReady = false;
  /** Granted and not revoked since, as far as it has told: a stopped process tells nothing. */
  leads = false;
  /** The latest tick that it has started, of whichever job. */
  latestTick = -Infinity;
  /** Work that runs once, begun and not ended. */
  openOnce = 0;
  /** Orders that it has answered: true if what was asked for is done. */
  readonly answers = new Map<number, boolean>();
  private readonly chunk = Buffer.alloc(CHUNK_BYTES);
  private offset = 0;

  constructor(readonly path: string) {}

  look(): this {
    const file = this.open();
    if (file === undefined) return this;
    try {
      while (this.readOn(file));
    } finally {
      closeSync(file);
    }
    return this;
  }

  /** Answers whether there may be more. A line counts once it is complete. */
  private readOn(file: number): boolean {
    const length = readSync(file, this.chunk, 0, CHUNK_BYTES, this.offset);
    const end = this.chunk.subarray(0, length).lastIndexOf(NEWLINE);
    if (end === -1) return false;
    this.offset += end + 1;
    for (const line of this.chunk.toString('utf8', 0, end).split('\n')) {
      this.take(JSON.parse(line) as TickEvent);
    }
    return length === CHUNK_BYTES;
  }

  private take(event: TickEvent): void {
    this.events.push(event);
    switch (event.event) {
      case 'ready':
        this.isReady = true;
        return;
      case 'granted':
      case 'revoked':
        this.leads = event.event === 'granted';
        return;
      case 'started':
        this.latestTick = Math.max(this.latestTick, event.tick);
        return;
      case 'done':
      case 'failed':
        this.answers.set(event.id, event.event === 'done');
        return;
      case 'once-started':
        this.openOnce += 1;
        return;
      case 'once-ended':
        this.openOnce -= 1;
        return;
      default:
    }
  }

  /** Undefined if the replica has not written yet. */
  private open(): number | undefined {
    try {
      return openSync(this.path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
