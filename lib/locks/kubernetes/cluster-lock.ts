import type { Clock } from '../../core/clock.js';
import type { MemberSource } from '../../core/member.js';
import type { LockRequestError } from '../../core/errors.js';
import type { EventRecorder } from '../../kubernetes/event-recorder.js';
import type { LeaderMark } from '../../kubernetes/leader-mark.js';
import type { PodEnvironment } from '../../kubernetes/connection/pod-environment.js';
import type { ClusterChoice } from './cluster-choice.js';

/** Which pods are the members, and what messages say of the own one. */
export interface PodSelection {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Undefined: the labels of this process's pod decide. */
  readonly labelSelector: string | undefined;
  readonly podName: string;
  readonly isPodNameCertain: boolean;
}

/** Who records events, and who hears that one could not be recorded. */
export interface EventReporter {
  readonly instance: string;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  readonly report: (error: LockRequestError) => void;
}

/** The pod of this process. */
export interface OwnPod {
  readonly clock: Clock;
  readonly namespace: string;
  readonly podName: string;
}

/**
 * What a lock in an object of a cluster offers beside the lock. It is made there because whatever only a cluster needs is
 * loaded with such a lock. A class, so that no lock of a user's own is taken for one.
 */
export abstract class ClusterLock {
  abstract readonly cluster: ClusterChoice;
  abstract readonly pod: PodEnvironment;

  /** The pods that a selector matches, in the pod's own namespace, or in that of the lock where it is not known. */
  abstract podMembers(selection: PodSelection): MemberSource;

  /** What marks the pod as that of a leader. */
  abstract leaderMark(pod: OwnPod): LeaderMark;

  /** Of Events on the Lease; undefined where the record is in an object of another kind. */
  abstract eventRecorder(reporter: EventReporter): EventRecorder | undefined;
}
