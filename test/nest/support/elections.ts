import type {
  HttpServer,
  INestApplication,
  ModuleMetadata,
  NestApplicationOptions,
  Type,
} from '@nestjs/common';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { resolveElectionOptions } from '../../../lib/core/election-options.js';
import { LeaderElector } from '../../../lib/elector/leader-elector.js';
import {
  getLeadershipToken,
  LeaderElectionModule,
  type LeaderElectionModuleOptions,
  type LeadershipService,
  memoryLock,
} from '../../../lib/index.js';
import { memoryLeaseKey, MemoryLeaseStore } from '../../../lib/locks/memory/memory.lock.js';
import { ELECTION_CLOCK, ELECTION_RANDOM } from '../../../lib/nest/leader-election.tokens.js';
import { editLease } from '../../locks/edit-lease.js';
import { ManualClock } from '../../support/manual-clock.js';
import { drainAndRelease } from '../../support/stop-election.js';

export const ROLE = 'plan-scheduler';

type Application = INestApplication & { leadership(role?: string): LeadershipService };

/** One store of leases, one virtual clock, and the applications and rivals of one test. */
export class Elections {
  readonly clock = new ManualClock();
  readonly store = new MemoryLeaseStore();
  readonly applications: INestApplication[] = [];
  private readonly rivals: LeaderElector[] = [];

  module(options: Partial<LeaderElectionModuleOptions> = {}) {
    return LeaderElectionModule.forRoot({ role: ROLE, lock: memoryLock(this.store), ...options });
  }

  builder(metadata: ModuleMetadata): TestingModuleBuilder {
    return Test.createTestingModule(metadata)
      .overrideProvider(ELECTION_CLOCK)
      .useValue(this.clock)
      .overrideProvider(ELECTION_RANDOM)
      .useValue(() => 0);
  }

  /** An application made, but not initialised. */
  async create(
    metadata: ModuleMetadata,
    adapter?: HttpServer,
    more: NestApplicationOptions = {},
  ): Promise<Application> {
    const compiled = await this.builder(metadata).compile();
    const options = { ...more, logger: false } as const;
    const application =
      adapter === undefined
        ? compiled.createNestApplication(options)
        : compiled.createNestApplication(adapter as never, options);
    this.applications.push(application);
    return Object.assign(application, {
      leadership: (role?: string) =>
        application.get<LeadershipService>(getLeadershipToken(role) as Type<LeadershipService>),
    });
  }

  async start(metadata: ModuleMetadata): Promise<Application> {
    const application = await this.create(metadata);
    await application.init();
    return application;
  }

  /** An application with one role and these providers, initialised, whose first term has been granted. */
  async leading(
    providers: ModuleMetadata['providers'] = [],
    options: Partial<LeaderElectionModuleOptions> = {},
  ): Promise<Application> {
    const application = await this.start({ imports: [this.module(options)], providers });
    await this.clock.settle();
    return application;
  }

  /** Another process that competes for the same lease. */
  rival(identity: string, role = ROLE, address?: string): LeaderElector {
    const config = resolveElectionOptions({ role, identity, address }, identity);
    const lock = memoryLock(this.store)(config) as never;
    const { clock } = this;
    const rival = new LeaderElector(config, { lock, clock, random: () => 0, observer: {} });
    this.rivals.push(rival);
    return rival;
  }

  /** Another process that leads already. */
  async leadingRival(identity: string, role = ROLE, address?: string): Promise<LeaderElector> {
    const rival = this.rival(identity, role, address);
    rival.start();
    await this.clock.settle();
    if (!rival.isLeader()) throw new Error('the rival does not lead');
    return rival;
  }

  /** Somebody with kubectl gives the lease to another. */
  async supersede(holderIdentity: string, role = ROLE): Promise<void> {
    editLease(this.store, key(role), { holderIdentity });
    await this.clock.settle();
  }

  holder(role = ROLE): string | undefined {
    return this.store.read(key(role))?.record.holderIdentity;
  }

  /** Ends everything that this test began. */
  async end(): Promise<void> {
    const closing = Promise.all([
      ...this.applications.map((application) => application.close()),
      ...this.rivals.map((rival) => drainAndRelease(rival)),
    ]);
    await this.clock.advance(60_000);
    await closing;
  }
}

function key(role: string): string {
  return memoryLeaseKey({ leaseName: role, namespace: undefined });
}
