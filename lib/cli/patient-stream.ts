import { write } from 'node:fs';

/** Lines that wait to be written; the oldest make room. */
const MOST_WAITING = 200;
const PAUSE_MS = 20;

/**
 * Writes to a file descriptor from the thread pool. `process.stderr` writes to a pipe or a terminal at once, and holds the
 * event loop for as long as its reader stands still (`less`, Ctrl+S, a log driver that is stuck): a process that leads would
 * no longer renew, nor end what it runs.
 */
export function patientStream(descriptor: number): { write(text: string): void } {
  const waiting: string[] = [];
  let isWriting = false;

  function next(): void {
    const text = waiting.shift();
    isWriting = text !== undefined;
    if (text !== undefined) put(Buffer.from(text));
  }

  function put(left: Buffer): void {
    write(descriptor, left, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(() => put(left), PAUSE_MS);
      else if (error === null && written < left.length) put(left.subarray(written));
      else next();
    });
  }

  return {
    write(text) {
      waiting.push(text);
      if (waiting.length > MOST_WAITING) waiting.shift();
      if (!isWriting) next();
    },
  };
}
