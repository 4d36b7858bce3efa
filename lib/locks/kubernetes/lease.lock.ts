import { LockRequestError } from '../../core/errors.js';
import type {
  DocumentStore,
  LeaseWatch,
  LeaseWatchObserver,
  LockRequestOptions,
  ReadOutcome,
  ResourceLock,
  ResourceLockFactory,
  WriteOutcome,
} from '../../core/resource-lock.js';
import { encodeNewLease, encodeReplacement } from './lease-record.codec.js';
import type { LeaseRecord, ObservedLease } from '../../core/lease-record.js';
import { readOutcome, writeOutcome } from './api-outcome.js';
import type { Asked } from './kubernetes-error.js';
import { KubernetesTransport, type ApiAnswer } from './kubernetes-transport.js';
import {
  checkLeaseLockOptions,
  chooseCluster,
  type LeaseLockOptions,
} from './lease-lock-options.js';
import { LeaseDocumentStore } from './lease.document-store.js';
import { LeaseTarget } from './lease-target.js';
import { KubernetesLeaseWatch } from './lease-watch.js';
import { collectionPath, objectPath } from './object-address.js';
import { PodEnvironment } from './pod-environment.js';

/**
 * The lock that Kubernetes' own components use: a Lease of `coordination.k8s.io/v1`. Needs the verbs get, create and
 * update on it; with watch a hand-over takes milliseconds instead of a retry period.
 */
export function leaseLock(options: LeaseLockOptions = {}): ResourceLockFactory {
  return leaseLockIn(new PodEnvironment(), options);
}

/** `leaseLock()` in a pod of one's choice. */
export function leaseLockIn(pod: PodEnvironment, options: LeaseLockOptions): ResourceLockFactory {
  checkLeaseLockOptions(options);
  return async (requester) =>
    new LeaseLock(await LeaseTarget.find(chooseCluster(options, pod), requester, pod));
}

/** GET, POST and PUT of one Lease. No PATCH, no DELETE, no write without a version (R6). */
class LeaseLock implements ResourceLock {
  private readonly transport: KubernetesTransport;

  constructor(private readonly target: LeaseTarget) {
    this.transport = new KubernetesTransport(target.connection);
  }

  /** Without a resourceVersion parameter the answer comes from etcd and not from a cache (A6). */
  async read(options: LockRequestOptions): Promise<ReadOutcome> {
    const asked = await this.target.ask('get');
    if (asked instanceof LockRequestError) return { kind: 'failed', error: asked };
    const request = { method: 'GET', path: objectPath(asked.address) } as const;
    return readOutcome(asked, await this.transport.send(request, options));
  }

  create(record: LeaseRecord, options: LockRequestOptions): Promise<WriteOutcome> {
    return this.write('create', options, ({ address }) =>
      this.transport.send(
        {
          method: 'POST',
          path: collectionPath(address),
          body: encodeNewLease(record, address),
        },
        options,
      ),
    );
  }

  replace(
    record: LeaseRecord,
    expected: ObservedLease,
    options: LockRequestOptions,
  ): Promise<WriteOutcome> {
    return this.write('update', options, ({ address }) =>
      this.transport.send(
        {
          method: 'PUT',
          path: objectPath(address),
          body: encodeReplacement(record, expected, address),
        },
        options,
      ),
    );
  }

  watch(observer: LeaseWatchObserver, options: { readonly silenceLimitMs: number }): LeaseWatch {
    return new KubernetesLeaseWatch(observer, {
      connection: this.target.connection,
      resolveAddress: () => this.target.address(),
      silenceLimitMs: options.silenceLimitMs,
    });
  }

  sibling(suffix: string): DocumentStore {
    return new LeaseDocumentStore(this.target.sibling(suffix), this.transport);
  }

  describe(): string {
    return this.target.describe();
  }

  close(): Promise<void> {
    this.transport.close();
    return Promise.resolve();
  }

  private async write(
    verb: 'create' | 'update',
    { signal }: LockRequestOptions,
    send: (asked: Asked) => Promise<ApiAnswer>,
  ): Promise<WriteOutcome> {
    const asked = await this.target.ask(verb);
    if (asked instanceof LockRequestError) return { kind: 'not-applied', error: asked };
    return writeOutcome(asked, await send(asked), signal);
  }
}
