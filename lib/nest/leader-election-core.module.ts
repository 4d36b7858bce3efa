import { Global, Module } from '@nestjs/common';
import { type ElectorFactory, LeaderElector } from '../elector/leader-elector.js';
import { atHome, SystemClock } from '../elector/system-clock.js';
import { kernelRandom } from '../locks/kernel-entropy.js';
import { ApplicationReadiness } from './application-readiness.js';
import { BeginningWatchModule } from './beginning-watch.module.js';
import { ELECTION_CLOCK, ELECTION_RANDOM, ELECTOR_FACTORY } from './leader-election.constants.js';
import { LeaderElectionEdgeModule } from './leader-election-edge.module.js';
import { LeaderElectionLifecycle } from './leader-election.lifecycle.js';
import { INSTANCE_ARRIVALS } from './late-instances.js';
import { LeadershipHandlersExplorer } from './leadership-handlers.explorer.js';
import { RoleRegistry } from './role-registry.js';
import { TransportRefusals } from './transport-refusals.js';

const makeElector: ElectorFactory = (config, dependencies) =>
  atHome(() => new LeaderElector(config, dependencies));

/**
 * What all roles of one application share; exists once per application however many roles there are.
 *
 * It is global even for a role with `isGlobal: false`, because Nest runs the shutdown hooks of global modules last:
 * the leases must outlive the application's own hooks.
 */
@Global()
@Module({
  imports: [BeginningWatchModule, LeaderElectionEdgeModule],
  providers: [
    { provide: ELECTION_CLOCK, useFactory: () => atHome(() => new SystemClock()) },
    { provide: ELECTION_RANDOM, useValue: kernelRandom },
    { provide: ELECTOR_FACTORY, useValue: makeElector },
    ApplicationReadiness,
    RoleRegistry,
    { provide: INSTANCE_ARRIVALS, useExisting: RoleRegistry },
    LeadershipHandlersExplorer,
    LeaderElectionLifecycle,
    TransportRefusals,
  ],
  exports: [
    ELECTION_CLOCK,
    ELECTION_RANDOM,
    ELECTOR_FACTORY,
    ApplicationReadiness,
    RoleRegistry,
    INSTANCE_ARRIVALS,
  ],
})
export class LeaderElectionCoreModule {}
