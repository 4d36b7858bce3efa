import { setTimeout as delay } from 'node:timers/promises';
import {
  CoordinationV1Api,
  type KubeConfig,
  type V1Lease,
  V1LeaseSpec,
  V1MicroTime,
} from '@kubernetes/client-node';
import type { Elector } from './candidate.js';

export interface PollLoopSettings {
  readonly config: KubeConfig;
  readonly leaseName: string;
  readonly namespace: string;
  readonly identity: string;
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly retryMs: number;
  /** After each write that makes or keeps it the leader. */
  readonly written?: () => void;
}

/** What a careful person writes by hand: a loop over the Lease with `@kubernetes/client-node`. */
export class PollLoop implements Elector {
  private readonly api: CoordinationV1Api;
  private readonly lease: { readonly name: string; readonly namespace: string };
  private readonly stopped = new AbortController();
  private leadsUntil = 0;
  /** When this process saw the lease change: the clocks of others say nothing. */
  private seen = { version: '', at: 0 };
  private readonly loop: Promise<void>;

  constructor(private readonly settings: PollLoopSettings) {
    this.api = settings.config.makeApiClient(CoordinationV1Api);
    this.lease = { name: settings.leaseName, namespace: settings.namespace };
    this.loop = this.run();
  }

  leads(): boolean {
    return performance.now() < this.leadsUntil;
  }

  async leave(): Promise<void> {
    this.stopped.abort();
    await this.loop;
    if (!this.leads()) return;
    this.leadsUntil = 0;
    const lease = await this.read();
    if (lease.spec?.holderIdentity !== this.settings.identity) return;
    await this.replace(lease, { holderIdentity: '' });
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      const begun = performance.now();
      await this.step(begun).catch((error: unknown) => console.error(String(error)));
      const restMs = begun + this.settings.retryMs - performance.now();
      await delay(Math.max(0, restMs), undefined, { signal }).catch(() => undefined);
    }
  }

  private async step(now: number): Promise<void> {
    const { identity, leaseMs, renewMs } = this.settings;
    const lease = await this.read();
    const { holderIdentity: holder, leaseTransitions = 0 } = lease.spec ?? {};
    const version = lease.metadata!.resourceVersion!;
    if (version !== this.seen.version) this.seen = { version, at: performance.now() };
    const isMine = holder === identity;
    if (!isMine) this.leadsUntil = 0;
    if (!isMine && holder && performance.now() < this.seen.at + leaseMs) return;
    const taken = { acquireTime: new V1MicroTime(), leaseTransitions: leaseTransitions + 1 };
    await this.replace(lease, { holderIdentity: identity, ...(isMine ? {} : taken) });
    this.leadsUntil = now + renewMs;
    this.settings.written?.();
  }

  private async read(): Promise<V1Lease> {
    return this.bounded(this.api.readNamespacedLease(this.lease)).catch((error: unknown) => {
      if ((error as { code?: unknown }).code !== 404) throw error;
      const { name, namespace } = this.lease;
      return this.bounded(
        this.api.createNamespacedLease({ namespace, body: { metadata: { name } } }),
      );
    });
  }

  /** With its resourceVersion: the server refuses it if another process was faster. */
  private replace(lease: V1Lease, change: object): Promise<V1Lease> {
    const leaseDurationSeconds = this.settings.leaseMs / 1_000;
    const renewed = { leaseDurationSeconds, renewTime: new V1MicroTime(), ...change };
    lease.spec = Object.assign(new V1LeaseSpec(), lease.spec, renewed);
    return this.bounded(this.api.replaceNamespacedLease({ ...this.lease, body: lease }));
  }

  /** The client itself waits without a limit. */
  private bounded<T>(request: Promise<T>): Promise<T> {
    const limit = delay(this.settings.renewMs / 2, undefined, { ref: false });
    return Promise.race([request, limit.then(() => Promise.reject(new Error('no answer')))]);
  }
}
