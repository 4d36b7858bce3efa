import { setTimeout as delay } from 'node:timers/promises';
import {
  type LeaseWatch,
  type LeaseWatchObserver,
  LockRequestError,
  type LockRequestOptions,
  type ReadOutcome,
  type ResourceLock,
  type ResourceLockFactory,
  type Store,
  type WriteOutcome,
} from 'nestjs-leader-election';

/** Between this process and its lock. While it is cut nothing arrives, and no one says so: requests run out of time. */
class SimulatedNetwork {
  private isCut = false;
  private readonly watches = new Set<DistantWatch>();

  before(factory: ResourceLockFactory): ResourceLockFactory {
    return async (requester) => this.beforeLock(await factory(requester));
  }

  cut(): void {
    this.isCut = true;
    for (const watch of this.watches) watch.cut();
  }

  heal(): void {
    this.isCut = false;
    for (const watch of this.watches) watch.heal();
  }

  /** Undefined if the request may be made; otherwise what came of it. */
  async lost({ timeoutMs, signal }: LockRequestOptions): Promise<LockRequestError | undefined> {
    if (!this.isCut) return undefined;
    await delay(timeoutMs, undefined, { signal, ref: false }).catch(() => undefined);
    const message = `no answer within ${Math.round(timeoutMs)} ms: the control room has cut the network of this replica`;
    return new LockRequestError(message, { reason: 'unclear' });
  }

  private beforeLock(lock: ResourceLock): ResourceLock {
    return {
      ...new DistantStore(lock, this).methods,
      watch: (observer, options) => {
        const watch = new DistantWatch(observer, (each) => lock.watch!(each, options));
        this.watches.add(watch);
        if (this.isCut) watch.cut();
        else watch.heal();
        return {
          close: () => {
            this.watches.delete(watch);
            watch.close();
          },
        };
      },
      sibling: (suffix) => new DistantStore(lock.sibling!(suffix), this).methods,
      competitors: () => lock.competitors!(),
      close: () => lock.close?.() ?? Promise.resolve(),
    };
  }
}

class DistantStore<Content, Version> {
  constructor(
    private readonly store: Store<Content, Version>,
    private readonly network: SimulatedNetwork,
  ) {}

  get methods(): Store<Content, Version> {
    const { store } = this;
    return {
      read: async (options): Promise<ReadOutcome<Version>> => {
        const error = await this.network.lost(options);
        return error === undefined ? store.read(options) : { kind: 'failed', error };
      },
      create: (content, options) => this.write(options, () => store.create(content, options)),
      replace: (content, expected, options) =>
        this.write(options, () => store.replace(content, expected, options)),
      describe: () => store.describe(),
    };
  }

  /** Who gets no answer does not know whether the write has arrived. */
  private async write(
    options: LockRequestOptions,
    perform: () => Promise<WriteOutcome<Version>>,
  ): Promise<WriteOutcome<Version>> {
    const error = await this.network.lost(options);
    return error === undefined ? perform() : { kind: 'unknown', error };
  }
}

class DistantWatch implements LeaseWatch {
  private watch: LeaseWatch | undefined;

  constructor(
    private readonly observer: LeaseWatchObserver,
    private readonly open: (observer: LeaseWatchObserver) => LeaseWatch,
  ) {}

  cut(): void {
    this.close();
    this.observer.interrupted(
      new LockRequestError('the control room has cut the network of this replica', {
        reason: 'unreachable',
      }),
    );
  }

  heal(): void {
    this.watch ??= this.open(this.observer);
  }

  close(): void {
    this.watch?.close();
    this.watch = undefined;
  }
}

export const simulatedNetwork = new SimulatedNetwork();
