import { onAbort } from '../../core/abort-signal.js';
import { LockRequestError } from '../../core/errors.js';
import type { LockRequestOptions, ReadOutcome, WriteOutcome } from '../../core/resource-lock.js';
import { fileLockError } from './system-call-failure.js';
import type { ObservedLeaseFile } from './lease-file-record.js';
import type { LeaseFileStore } from './lease-file-store.js';
import type { FileLockDirectory } from './lease-paths.js';

/** Work that cannot be cancelled once it has begun: with the bound that its requester sets, and its true end. */
export class BoundedRequests {
  private readonly unsettled = new Set<Promise<void>>();

  /**
   * When the request is aborted or takes too long, the answer is `abandoned`, and the signal of `operation` is aborted,
   * so that it begins nothing further; it may end later.
   */
  run<T>(
    { timeoutMs, signal }: LockRequestOptions,
    operation: (abandoned: AbortSignal) => Promise<T>,
    abandoned: (why: string) => T,
  ): Promise<T> {
    if (signal.aborted) return Promise.resolve(abandoned('it was aborted'));
    const controller = new AbortController();
    return new Promise<T>((resolve, reject) => {
      const abandon = (why: string) => {
        controller.abort();
        resolve(abandoned(why));
      };
      const timer = setTimeout(() => abandon(`it took longer than ${timeoutMs} ms`), timeoutMs);
      const ignoreAbort = onAbort(signal, () => abandon('it was aborted'));
      void this.track(operation(controller.signal))
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer);
          ignoreAbort();
        });
    });
  }

  track<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => undefined,
      () => undefined, // The caller that asked for the work gets its failure.
    );
    this.unsettled.add(settled);
    void settled.then(() => this.unsettled.delete(settled));
    return work;
  }

  /** Also of those that are no longer awaited. */
  async settled(): Promise<void> {
    await Promise.all(this.unsettled);
  }
}

/** The files of one lease or document, asked with a bound; what fails is an outcome. */
export class FileRequests {
  constructor(
    readonly directory: FileLockDirectory,
    readonly store: LeaseFileStore,
    private readonly requests: BoundedRequests,
    /** Of the messages: `lease files in …`. */
    readonly description: string,
  ) {}

  read(options: LockRequestOptions): Promise<ReadOutcome<ObservedLeaseFile>> {
    const attempt = async (abandoned: AbortSignal): Promise<ReadOutcome<ObservedLeaseFile>> => {
      try {
        await this.prepare();
        const stored = await this.store.look(abandoned);
        return stored === null ? { kind: 'absent' } : { kind: 'found', stored };
      } catch (error) {
        return { kind: 'failed', error: this.explain('read', error) };
      }
    };
    return this.requests.run(options, attempt, (why) => ({
      kind: 'failed',
      error: this.abandoned('reading', why),
    }));
  }

  write(
    action: 'create' | 'replace',
    options: LockRequestOptions,
    write: (abandoned: AbortSignal) => Promise<WriteOutcome<ObservedLeaseFile>>,
  ): Promise<WriteOutcome<ObservedLeaseFile>> {
    const attempt = async (abandoned: AbortSignal): Promise<WriteOutcome<ObservedLeaseFile>> => {
      try {
        await this.prepare();
      } catch (error) {
        return { kind: 'not-applied', error: this.explain(action, error) };
      }
      return write(abandoned);
    };
    return this.requests.run(options, attempt, (why) => ({
      kind: 'unknown',
      error: this.abandoned('writing', why),
    }));
  }

  explain(action: string, error: unknown): LockRequestError {
    if (error instanceof LockRequestError) return error;
    return fileLockError(action, this.store.directory, error);
  }

  private async prepare(): Promise<void> {
    await this.directory.prepare();
    await this.directory.check(this.store.directory);
  }

  private abandoned(action: string, why: string): LockRequestError {
    return new LockRequestError(`Gave up ${action} ${this.description}: ${why}.`, {
      reason: 'unclear',
    });
  }
}
