import { Inject, Optional } from '@nestjs/common';

/** What every instance of a class with handlers is told to, if the application has the module. */
export interface InstanceArrivals {
  /** @throws LeaderElectionOptionsError when the handlers of the application have been found already */
  arrived(instance: object): void;
}

export const INSTANCE_ARRIVALS = Symbol.for('LEADER_ELECTION: arrivals of instances with handlers');

/**
 * Handlers are found when the application starts. An instance that Nest makes later, as of a lazily loaded module, would
 * never be called: making it fails instead. Nothing is kept on the instance.
 */
export function refuseLateInstances(prototype: object): void {
  if (INSTANCE_ARRIVALS in prototype) return;
  Object.defineProperty(prototype, INSTANCE_ARRIVALS, {
    configurable: true,
    enumerable: false,
    get: () => undefined,
    set(this: object, arrivals: InstanceArrivals) {
      arrivals.arrived(this);
    },
  });
  Optional()(prototype, INSTANCE_ARRIVALS);
  Inject(INSTANCE_ARRIVALS)(prototype, INSTANCE_ARRIVALS);
}
