import { type DynamicModule, Module } from '@nestjs/common';
import type { LockRequester } from '../core/resource-lock.js';
import type { RevocationReason, Term } from '../core/term.js';
import type { ElectorFactory } from '../elector/leader-elector.js';
import { memoryLock } from '../locks/memory/memory.lock.js';
import { LeaderElectionModule } from '../nest/leader-election.module.js';
import type { LeaderElectionModuleOptions } from '../nest/leader-election.options.js';
import {
  ELECTION_CLOCK,
  ELECTOR_FACTORY,
  RESOLVED_OPTIONS,
  SELECTED_LOCK,
} from '../nest/leader-election.tokens.js';
import type { SelectedLock } from '../nest/lock-selection.js';
import { ControlledElector } from './controlled.elector.js';
import { ManualClock } from './manual-clock.js';

export interface TestElectionOptions {
  /** Lead from the start of the application. @default false */
  readonly isLeader?: boolean;
  /** Another process leads from the start. */
  readonly leader?: string;
  /** The clock of elections and schedules. @default a new one that shows 2026-01-01T00:00:00Z */
  readonly clock?: ManualClock;
  /**
   * Milliseconds of real time for which `app.close()` waits for gated work and handlers; what is still running then is
   * logged by name. @default 2000
   */
  readonly closeTimeoutMs?: number;
}

/** What `Test.createTestingModule()` returned, as far as it is used here. */
export interface OverridableBuilder {
  overrideProvider(token: unknown): {
    useValue(value: unknown): unknown;
    useFactory(options: { factory: (...args: never[]) => unknown; inject?: unknown[] }): unknown;
  };
}

/**
 * The election of an application under test: the test says who leads. Everything above the election is the real thing:
 * services, gates, handlers, streams, the schedule, the order of the shutdown. Nothing competes for any lease, and no
 * timer but those of {@link clock} runs, so fake timers neither end leadership nor hang the application.
 *
 * @example
 * const election = new TestElection();
 * const app = await election.control(Test.createTestingModule({ imports: [AppModule] })).compile();
 * await app.init();
 * await election.grant();
 */
export class TestElection {
  /** Time as elections and `@LeaderCron` jobs see it. It moves by `await clock.advance(ms)` alone. */
  readonly clock: ManualClock;
  private readonly electors = new Map<string, ControlledElector>();

  constructor(private readonly options: TestElectionOptions = {}) {
    this.clock = options.clock ?? new ManualClock();
  }

  /** Puts every election of the module under this control, whatever lock and options it was registered with. */
  control<B extends OverridableBuilder>(builder: B): B {
    builder.overrideProvider(ELECTOR_FACTORY).useValue(this.electorFactory);
    builder.overrideProvider(ELECTION_CLOCK).useValue(this.clock);
    builder.overrideProvider(SELECTED_LOCK).useFactory({
      factory: async (requester: LockRequester): Promise<SelectedLock> => ({
        lock: await memoryLock()(requester),
        remark: undefined,
      }),
      inject: [RESOLVED_OPTIONS],
    });
    return builder;
  }

  /**
   * This process becomes leader; the term, when its `@OnGranted` handlers have been called. Waits for the work of the
   * term before. Nothing changes if it leads already.
   * @param role may be absent if the application has one role
   * @throws Error if the application has not been initialised, is shutting down or has suspended its candidacy
   */
  async grant(role?: string): Promise<Term> {
    const term = await this.elector(role).grant();
    await this.clock.settle();
    return term;
  }

  /**
   * This process ceases to lead: it has when this returns. The promise settles when `@OnRevoked` handlers and gated work
   * have ended. Nothing changes if it does not lead.
   * @param reason @default 'superseded'
   * @param role may be absent if the application has one role
   */
  async revoke(reason: RevocationReason = 'superseded', role?: string): Promise<void> {
    await this.elector(role).revoke(reason);
    await this.clock.settle();
  }

  /**
   * Another process leads, or with `undefined` none is known to.
   * @param role may be absent if the application has one role
   * @throws Error while this process leads
   */
  async setLeader(identity: string | undefined, role?: string): Promise<void> {
    this.elector(role).setLeader(identity);
    await this.clock.settle();
  }

  /** @internal */
  readonly electorFactory: ElectorFactory = (config, dependencies) => {
    const { isLeader = false, closeTimeoutMs } = this.options;
    const elector = new ControlledElector(config, dependencies, isLeader, closeTimeoutMs);
    elector.setLeader(this.options.leader);
    this.electors.set(config.role, elector);
    return elector;
  };

  private elector(role: string | undefined): ControlledElector {
    const roles = [...this.electors.keys()];
    const named = role ?? (roles.length === 1 ? roles[0] : undefined);
    const elector = named === undefined ? undefined : this.electors.get(named);
    if (elector !== undefined) return elector;
    const known = roles.map((each) => JSON.stringify(each)).join(', ');
    if (roles.length === 0) {
      throw new Error(
        'TestElection controls no election yet: pass the builder to control() before compile(), or import LeaderElectionTestingModule.',
      );
    }
    throw new Error(
      role === undefined
        ? `TestElection controls several roles: ${known}. Name the one you mean.`
        : `TestElection controls no role ${JSON.stringify(role)}, only ${known}.`,
    );
  }
}

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
