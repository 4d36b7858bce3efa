import { MethodMarks } from './method-marks.js';

/** A method decorated with `@OnGranted`, `@OnRevoked` or `@OnNewLeader`, on one instance. */
export interface LeadershipHandler {
  /** Class and method, e.g. `PlanScheduler.start`. */
  readonly name: string;
  call(...args: readonly unknown[]): unknown;
}

/** Which event a handler is for, named as its decorator is. */
export type HandlerKind = 'OnGranted' | 'OnRevoked' | 'OnNewLeader';

/** The handlers of one role, in the order in which they were found. */
export type LeadershipHandlers = Readonly<Record<HandlerKind, readonly LeadershipHandler[]>>;

/** What a decorator leaves on the method: one entry for each use, as several roles may share a method. */
export interface HandlerMark {
  readonly kind: HandlerKind;
  readonly role: string | undefined;
}

export const HANDLER_MARKS = new MethodMarks<HandlerMark>('nestjs-leader-election:handler-marks');
