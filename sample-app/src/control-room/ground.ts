import type { ReplicaOrder } from './messages.js';

/** What the replicas elect their leader with. */
export interface Ground {
  readonly lock: 'file' | 'lease';
  /** The way of one lane to the lock; all processes that run there one after the other use it. */
  connect(): Promise<Connection>;
  stop(): Promise<void>;
}

export interface Connection {
  /** What a process needs to find the lock. */
  readonly env: NodeJS.ProcessEnv;
  /** `tell` reaches the process that runs there now. */
  cut(tell: (order: ReplicaOrder) => void): void;
  heal(tell: (order: ReplicaOrder) => void): void;
}

/** A file has no network that could be cut: the replica itself lets its requests wait in vain. */
export const fileGround: Ground = {
  lock: 'file',
  connect: () =>
    Promise.resolve({
      env: { SIMULATED_NETWORK: 'true', MEMBERS: 'true' },
      cut: (tell) => tell({ order: 'cut' }),
      heal: (tell) => tell({ order: 'heal' }),
    }),
  stop: () => Promise.resolve(),
};
