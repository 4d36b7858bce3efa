/** A container, as the record of its process names it, so that its end can be proved (R24). */
export interface ContainerMark {
  /** `metadata.uid` of its pod. */
  readonly podUid: string;
  /** Name of the container in the pod. */
  readonly containerName: string;
  /** As the kubelet writes it, with the runtime: `containerd://…`. */
  readonly containerId: string;
}

/** Why it is not known in which container this process runs. */
export interface ContainerUnknown {
  /** The end of a sentence that begins with "because". */
  readonly why: string;
  /** Another answer may come later: the request failed, or the status may still be that of the container before. */
  readonly mayPass: boolean;
}

/** Proof that all processes of a container have ended. */
export interface ContainerEnd {
  readonly podUid: string;
  readonly containerId: string;
  /** By the clock of the node, which the holder's renew times come from as well, in whole seconds. */
  readonly finishedAtMicros: number;
}

export function isSameEnd(some: ContainerEnd, other: ContainerEnd): boolean {
  return (
    some.podUid === other.podUid &&
    some.containerId === other.containerId &&
    some.finishedAtMicros === other.finishedAtMicros
  );
}
