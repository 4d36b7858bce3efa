import { type ContainerEnd, type ContainerMark, isSameEnd } from './container.js';
import type { Observation } from './election-state.js';
import { containerOf, type ObservedLease } from './lease-record.js';
import type { Step } from './step.js';

/**
 * Proof that the process which holds the lease has ended, and the lease need not be waited out. A lock may have it for one
 * timing key. The end of a container is proof for every record that names that container (R24), those that its process sent
 * before it died and that are stored after the proof included.
 *
 * The end of another container, or of one that a live process names by mistake, must be no proof: a record counts only if
 * it was not renewed after that end.
 */

/** The kubelet cuts off what is less than a second. */
const FINISHED_AT_RESOLUTION_MICROS = 1_000_000;

/** The record names one container, and what ended long ago proves nothing about it. */
const REMEMBERED_ENDS = 256;

/** True if the container that this version names has ended, and its process has not renewed since. */
export function namesEndedContainer(step: Step, lease: ObservedLease | null): boolean {
  if (lease === null) return false;
  const container = containerOf(lease.record);
  const { renewTimeMicros } = lease.record;
  if (container === undefined || renewTimeMicros === null) return false;
  return step.state.endedContainers.some(
    (end) =>
      isEndOf(end, container) &&
      end.finishedAtMicros + FINISHED_AT_RESOLUTION_MICROS >= renewTimeMicros,
  );
}

function isEndOf(end: ContainerEnd, { podUid, containerId }: ContainerMark): boolean {
  return end.podUid === podUid && end.containerId === containerId;
}

export function onHolderDied(step: Step, timingKey: string): void {
  if (step.state.observation?.lease?.timingKey === timingKey) markHolderDied(step, 'lock');
}

export function onContainerEnded(step: Step, end: ContainerEnd): void {
  const { endedContainers } = step.state;
  // Every change of a pod's status tells of it again.
  if (endedContainers.some((known) => isSameEnd(known, end))) return;
  step.state.endedContainers = [...endedContainers, end]
    .toSorted((some, other) => some.finishedAtMicros - other.finishedAtMicros)
    .slice(-REMEMBERED_ENDS);
  if (namesEndedContainer(step, step.state.observation?.lease ?? null)) {
    markHolderDied(step, 'container');
  }
}

function markHolderDied(step: Step, by: NonNullable<Observation['deathShownBy']>): void {
  const { observation, tenure } = step.state;
  // It says nothing to the holder itself, and a repetition is no reason to try again sooner (R21).
  if (tenure !== null || observation === null || observation.deathShownBy !== null) return;
  const deathShownAt = observation.deathShownAt ?? step.now;
  step.state.observation = { ...observation, deathShownBy: by, deathShownAt };
  step.state.nextAttemptAt = step.now;
}
