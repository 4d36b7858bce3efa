import type { ClusterAccess } from '../http/socket-basics.js';

/** The promise, or a rejection if it takes longer than that; its later outcome is ignored. */
export function within<T>(limitMs: number, promise: Promise<T>, tooLate: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(tooLate()), limitMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Where an API server is and how to prove who is asking: the service account of a pod, or a kubeconfig. */
export interface ClusterConnection {
  /**
   * Asked for before every request, so that rotated tokens and certificates are used at once. Rejects with an
   * explanation for people; the next request asks again.
   */
  access(): Promise<ClusterAccess>;
  /** The server said 401: forget what was kept, so that the next `access()` looks again. */
  refresh(): Promise<void>;
  /** For messages: whose credentials these are, and what can be said of them without revealing them. */
  describeCredentials(): string;
  /** Ends what runs for the credentials (a program). Nothing is asked for afterwards. */
  close?(): void;
}

/** A connection that knows a namespace of its own, which may be none. */
export interface NamespacedConnection extends ClusterConnection {
  namespace(): Promise<string | undefined>;
}
