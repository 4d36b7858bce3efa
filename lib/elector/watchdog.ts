import type { Worker } from 'node:worker_threads';

/** The memory that both threads see: [end of validity on the machine's monotonic clock in ns, 0: none; number of changes]. */
const CELLS = 2;

interface WatchdogSettings {
  readonly memory: SharedArrayBuffer;
  readonly toleranceMs: number;
  readonly what: string;
}

/**
 * Ends the process with SIGKILL when a term has run out and the main thread, which should have ended it, does not answer:
 * a handler that blocks the event loop would otherwise continue its leader's work beside the next leader (R16). A thread
 * of its own, as nothing of the main one runs then.
 *
 * It guarantees nothing when the whole process stands still: both threads continue together, and the main one is given the
 * tolerance to notice.
 */
export class Watchdog {
  private readonly cells = new BigInt64Array(
    new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT),
  );
  private worker: Worker | undefined;

  /** @param what is watched, for the last words on stderr */
  constructor(
    private readonly toleranceMs: number,
    private readonly what: string,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** @throws what Node.js throws where it may start no thread: nothing would watch */
  start(): void {
    this.worker ??= this.started();
  }

  /** The term is valid for this long from now, in milliseconds. */
  validFor(remainingMs: number): void {
    this.set(process.hrtime.bigint() + BigInt(Math.ceil(remainingMs * 1e6)));
  }

  /** The term has ended. */
  rest(): void {
    this.set(0n);
  }

  async close(): Promise<void> {
    this.rest();
    await this.worker?.terminate();
  }

  private set(until: bigint): void {
    Atomics.store(this.cells, 0, until);
    Atomics.add(this.cells, 1, 1n);
    Atomics.notify(this.cells, 1);
  }

  private started(): Worker {
    const { toleranceMs, what } = this;
    const memory = this.cells.buffer as SharedArrayBuffer;
    const workerData: WatchdogSettings = { memory, toleranceMs, what };
    // Not imported: an application without a watchdog needs no threads.
    const { Worker: Thread } = process.getBuiltinModule('node:worker_threads');
    // Without the loaders and flags of the application, which would be run a second time.
    const worker = new Thread(`(${watch.toString()})(require)`, {
      eval: true,
      workerData,
      execArgv: [],
      name: 'leader-election-watchdog',
    });
    worker.on('error', (error) => this.onError(error));
    worker.unref();
    return worker;
  }
}

/** Runs in the worker, as text: it knows nothing but its own. */
function watch(load: NodeJS.Require): void {
  const { workerData } = load('node:worker_threads') as { workerData: WatchdogSettings };
  const { writeSync } = load('node:fs') as typeof import('node:fs');
  const { memory, toleranceMs, what } = workerData;
  const cells = new BigInt64Array(memory);
  for (;;) {
    const seen = Atomics.load(cells, 1);
    const until = Atomics.load(cells, 0);
    const leftMs = until === 0n ? Infinity : Number(until - process.hrtime.bigint()) / 1e6;
    if (leftMs > 0) {
      Atomics.wait(cells, 1, seen, leftMs === Infinity ? undefined : Math.ceil(leftMs));
    } else if (Atomics.wait(cells, 1, seen, toleranceMs) === 'timed-out') {
      writeSync(
        2,
        `the term ran out and the main thread did not answer for ${toleranceMs} ms: the watchdog ends this process [${what}]\n`,
      );
      process.kill(process.pid, 'SIGKILL');
    }
  }
}
