import { Inject } from '@nestjs/common';

/** What every instance of a class with handlers is told to. */
export interface InstanceArrivals {
  /** @throws LeaderElectionOptionsError when the handlers of the application have been found already */
  arrived(instance: object): void;
}

/** The text is what Nest prints where the module is missing: without it the handlers would be forgotten in silence. */
export const INSTANCE_ARRIVALS = Symbol.for(
  '@OnGranted(), @OnRevoked(), @OnNewLeader() and @LeaderCron() need LeaderElectionModule.forRoot({ role: … }) in the application',
);

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
  Inject(INSTANCE_ARRIVALS)(prototype, INSTANCE_ARRIVALS);
}
