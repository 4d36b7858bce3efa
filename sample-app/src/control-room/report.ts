import type { ReplicaMessage } from './messages.js';

/** To the program that started this replica, if it is still there. What is sent is in the pipe when this returns. */
export function report(message: ReplicaMessage): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
