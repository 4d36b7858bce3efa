import { handlerDecorator } from './handler.decorator.js';

/**
 * Called with the identity of the leader whenever one is seen to lead that was not seen before it: another process or
 * this one. Calls begin in the order of the changes and are not awaited by anything. Before the application has been
 * initialised they wait, and then report only the current leader.
 *
 * @param role may be absent if the application has one role
 */
export function OnNewLeader(role?: string): MethodDecorator {
  return handlerDecorator('OnNewLeader', role);
}
