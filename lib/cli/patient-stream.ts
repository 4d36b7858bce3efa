import { constants, fstatSync, openSync, write } from 'node:fs';
import { isatty } from 'node:tty';

/** Lines that wait to be written; the oldest make room. */
const MOST_WAITING = 200;
const PAUSE_MS = 20;

/** What writes without waiting for those who read. */
export interface PatientStream {
  write(text: string): void;
  /**
   * Resolves with true once everything is written, or after no line was taken for so long: what waits then is lost. With false
   * if a write holds a thread then, for which Node.js would wait at its end.
   */
  end(idleMs: number): Promise<boolean>;
}

/**
 * Writes to a file descriptor from the thread pool. `process.stderr` writes to a pipe or a terminal at once, and holds the
 * event loop for as long as its reader stands still (`less`, Ctrl+S, a log driver that is stuck): a process that leads would
 * no longer renew, nor end what it runs.
 */
export function patientStream(descriptor: number): PatientStream {
  const own = withoutWaiting(descriptor);
  const waiting: string[] = [];
  let isWriting = false;
  let isOver = false;
  /** Before the next try, after one for which there was no room. */
  let pause: NodeJS.Timeout | undefined;
  let onTaken = (): void => {};
  let onLastTry = (): void => {};

  function next(): void {
    const text = waiting.shift();
    isWriting = text !== undefined;
    onTaken();
    if (text !== undefined) put(Buffer.from(text));
  }

  function put(left: Buffer): void {
    pause = undefined;
    write(own ?? descriptor, left, (error, written) => {
      if (isOver) onLastTry();
      else if (error?.code === 'EAGAIN') pause = setTimeout(() => put(left), PAUSE_MS);
      else if (error === null && written < left.length) put(left.subarray(written));
      // If its reader has gone away, there is no better place for it.
      else next();
    });
  }

  return {
    write(text) {
      waiting.push(text);
      if (waiting.length > MOST_WAITING) waiting.shift();
      if (!isWriting) next();
    },
    end: (idleMs) =>
      new Promise((resolve) => {
        if (!isWriting) return resolve(true);
        const timer = setTimeout(() => {
          isOver = true;
          if (own === undefined) return resolve(false);
          // A try that is under way does not wait for the reader, so it is over at once.
          onLastTry = () => resolve(true);
          if (pause !== undefined) onLastTry();
          clearTimeout(pause);
        }, idleMs);
        onTaken = () => {
          timer.refresh();
          if (isWriting) return;
          clearTimeout(timer);
          resolve(true);
        };
      }),
  };
}

/**
 * Another way to a pipe or a terminal, on which no write waits. That of the descriptor itself is shared with every process
 * that has inherited it, and a program that finds it changed loses what it writes. Undefined if there is none: a socket cannot
 * be opened again, some platforms open nothing but the same, and a file takes what is written to it.
 */
function withoutWaiting(descriptor: number): number | undefined {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    if (!fstatSync(descriptor).isFIFO() && !isatty(descriptor)) return undefined;
    return openSync(`/proc/self/fd/${descriptor}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined;
  }
}
