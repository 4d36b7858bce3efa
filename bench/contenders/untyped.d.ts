/** What is used here of packages that ship no types. */
declare module '@codedependant/kubernetes-leader-election' {
  import type { EventEmitter } from 'node:events';

  class Elector extends EventEmitter {
    constructor(options: {
      auto_close?: boolean;
      identity?: string;
      lease_duration_sec?: number;
      lease_name?: string;
      namespace?: string;
      renew_interval_ms?: number;
    });
    readonly current_leader: boolean;
    start(): Promise<void>;
    stop(): Promise<void>;
  }

  const library: {
    Elector: typeof Elector;
    EVENTS: { readonly LEADERSHIP_ACQUIRED: string; readonly LEADERSHIP_LOST: string };
  };
  export default library;
}

declare module '@nullplatform/k8s-lease-lock' {
  import type { KubeConfig } from '@kubernetes/client-node';

  export class K8SLock {
    constructor(options: {
      kubeConfig?: KubeConfig;
      leaseName: string;
      namespace: string;
      lockLeaserId: string;
      leaseDurationInSeconds?: number;
      refreshLockInterval?: number;
      lockTryInterval?: number;
    });
    readonly keepLocking?: boolean;
    startLocking(): Promise<{ readonly isLocking: boolean } | undefined>;
    stopLocking(): Promise<void>;
  }
}
