import { Module, type DynamicModule } from '@nestjs/common';
import { LeaderElectionModule } from '../nest/leader-election.module.js';
import { ELECTION_CLOCK, ELECTOR_FACTORY } from '../nest/leader-election.tokens.js';
import type { LeaderElectionModuleOptions } from '../nest/leader-election.options.js';
import { TestElection, type TestElectionOptions } from './test-election.js';

export interface LeaderElectionTestingModuleOptions
  extends
    Omit<LeaderElectionModuleOptions, 'lock'>,
    Pick<TestElectionOptions, 'isLeader' | 'leader'> {
  /** @default a new one, to be had by `moduleRef.get(TestElection)` */
  readonly election?: TestElection;
}

/**
 * `LeaderElectionModule` for tests: the same service, tokens and decorators, and an election that the test decides by
 * its {@link TestElection}. Import it in the place of the real one, or put it there:
 * `overrideModule(electionModule).useModule(LeaderElectionTestingModule.forRoot({ role }))`, where `electionModule` is
 * what `LeaderElectionModule.forRoot()` returned.
 */
@Module({})
export class LeaderElectionTestingModule {
  static forRoot({
    election,
    isLeader,
    leader,
    ...options
  }: LeaderElectionTestingModuleOptions): DynamicModule {
    const control = election ?? new TestElection({ isLeader, leader });
    const real = LeaderElectionModule.forRoot({ ...options, lock: 'memory' });
    return {
      ...real,
      module: LeaderElectionTestingModule,
      providers: [
        ...(real.providers ?? []),
        { provide: TestElection, useValue: control },
        { provide: ELECTOR_FACTORY, useValue: control.electorFactory },
        { provide: ELECTION_CLOCK, useValue: control.clock },
      ],
      exports: [...(real.exports ?? []), TestElection],
    };
  }
}
