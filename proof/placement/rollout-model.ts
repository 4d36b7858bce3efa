import { newestMember } from '../../lib/core/placement.js';
import type { RandomStream } from '../simulation/random-stream.js';

/**
 * Who follows when the leader's pod ends: as `placement` says, or whoever comes first, as with client-go. By the rule
 * that was refuted the newest leads as soon as it is Ready.
 */
export type Choice = 'newest' | 'any' | 'newest at once';

export interface Rollout {
  readonly replicas: number;
  readonly surge: number;
  readonly unavailable: number;
}

interface Pod {
  readonly uid: string;
  readonly createdAt: Date;
  readonly version: number;
  isReady: boolean;
}

/** A deployment and its leader, while a controller replaces or removes its pods one after the other. */
export class ModelledDeployment {
  moves = 0;
  private pods: Pod[] = [];
  private leader: Pod;
  private created = 0;
  private version = 0;

  constructor(
    private readonly choice: Choice,
    private readonly random: RandomStream,
    replicas: number,
  ) {
    for (let pod = 0; pod < replicas; pod++) this.create().isReady = true;
    this.leader = random.pick(this.pods);
  }

  /** A rolling update: as many new pods as the surge allows, as few Ready ones as `unavailable` allows. */
  rollOut({ replicas, surge, unavailable }: Rollout): void {
    this.version++;
    const isOld = ({ version }: Pod): boolean => version < this.version;
    while (this.pods.some((pod) => isOld(pod) || !pod.isReady)) {
      const fresh = this.pods.filter((pod) => !isOld(pod)).length;
      const room = Math.min(replicas + surge - this.pods.length, replicas - fresh);
      for (let pod = 0; pod < room; pod++) this.create();
      // What may end at once ends together: no pod that is terminating is named.
      const ending = this.ready.length - (replicas - unavailable);
      if (ending > 0) this.end(this.random.shuffle(this.pods.filter(isOld)).slice(0, ending));
      const starting = this.pods.filter(({ isReady }) => !isReady);
      if (starting.length > 0) this.random.pick(starting).isReady = true;
      if (this.choice === 'newest at once') this.follow(newestMember(this.ready)!);
    }
  }

  /**
   * As a ReplicaSet does, the youngest first; with a deletion cost the leader's pod last. One change of `replicas` ends all
   * pods that are too many at the same time.
   */
  scaleDown(
    replicas: number,
    { hasDeletionCost = false }: { hasDeletionCost?: boolean } = {},
  ): void {
    const leaderLast = (pod: Pod): number => (hasDeletionCost && pod === this.leader ? 1 : 0);
    const inOrder = this.pods.toSorted(
      (a, b) => leaderLast(a) - leaderLast(b) || b.createdAt.getTime() - a.createdAt.getTime(),
    );
    this.end(inOrder.slice(0, Math.max(0, this.pods.length - replicas)));
  }

  private get ready(): Pod[] {
    return this.pods.filter(({ isReady }) => isReady);
  }

  private create(): Pod {
    this.created++;
    const pod: Pod = {
      uid: String(this.created),
      createdAt: new Date(this.created * 1_000),
      version: this.version,
      isReady: false,
    };
    this.pods.push(pod);
    return pod;
  }

  private end(ending: readonly Pod[]): void {
    this.pods = this.pods.filter((pod) => !ending.includes(pod));
    if (!ending.includes(this.leader)) return;
    this.follow(this.choice === 'any' ? this.random.pick(this.ready) : newestMember(this.ready)!);
  }

  private follow(next: Pod): void {
    if (next !== this.leader) this.moves++;
    this.leader = next;
  }
}
