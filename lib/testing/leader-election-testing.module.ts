import { type DynamicModule, Module } from '@nestjs/common';
import type { LockRequester } from '../core/resource-lock.js';
import type { RevocationReason, Term } from '../core/term.js';
import type { ElectorFactory } from '../elector/leader-elector.js';
import { memoryLock } from '../locks/memory/memory.lock.js';
import { ApplicationMembers } from '../nest/application-members.js';
import { LeaderElectionModule } from '../nest/leader-election.module.js';
import type { LeaderElectionModuleOptions } from '../nest/leader-election.options.js';
import {
  ELECTION_CLOCK,
  ELECTOR_FACTORY,
  RESOLVED_OPTIONS,
  SELECTED_LOCK,
} from '../nest/leader-election.tokens.js';
import type { LockBeside, SelectedLock } from '../locks/lock-selection.js';
import { ControlledElector } from './controlled.elector.js';
import { ControlledMembers, type TestMember } from './controlled-members.js';
import { ManualClock } from '../contracts/manual-clock.js';

/** How a {@link TestElection} begins. */
export interface TestElectionOptions {
  /**
   * Lead from the start of the application.
   * @default false
   * @example
   * isLeader: true
   */
  readonly isLeader?: boolean;
  /**
   * Identity of another process that leads from the start.
   * @default none is known to lead
   * @example
   * leader: 'plan-1'
   */
  readonly leader?: string;
  /**
   * The clock of elections and schedules.
   * @default a new one that shows 2026-01-01T00:00:00Z
   * @example
   * clock: new ManualClock(new Date('2027-01-01T00:00:00Z'))
   */
  readonly clock?: ManualClock;
  /**
   * Milliseconds of real time for which `app.close()` waits for gated work and handlers; what is still running then is
   * logged by name.
   * @default 2_000
   * @example
   * closeTimeoutMs: 5_000
   */
  readonly closeTimeoutMs?: number;
}

/** The part of what `Test.createTestingModule()` returns that `TestElection.control()` uses. */
export interface OverridableBuilder {
  /** As Nest's own: replaces the provider of a token. */
  overrideProvider(token: unknown): {
    useValue(value: unknown): unknown;
    useFactory(options: { factory: (...args: never[]) => unknown; inject?: unknown[] }): unknown;
  };
}

/**
 * The election of an application under test, in which the test decides who leads. Everything above the election is the
 * real thing: services, gates, handlers, streams, the schedule, the order of the shutdown. Nothing competes for a
 * lease, and no timers run except those of {@link clock}, so fake timers neither end leadership nor block the
 * application.
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
  private readonly members: ControlledMembers;
  /** @internal */
  readonly applicationMembers: ApplicationMembers;

  constructor(private readonly options: TestElectionOptions = {}) {
    this.clock = options.clock ?? new ManualClock();
    this.members = new ControlledMembers(this.clock);
    this.applicationMembers = new ApplicationMembers(
      this.clock,
      () => 0,
      () => this.members,
    );
  }

  /** Puts every election of the module under the control of this object, whatever its lock and options. */
  control<B extends OverridableBuilder>(builder: B): B {
    builder.overrideProvider(ELECTOR_FACTORY).useValue(this.electorFactory);
    builder.overrideProvider(ELECTION_CLOCK).useValue(this.clock);
    builder.overrideProvider(ApplicationMembers).useValue(this.applicationMembers);
    builder.overrideProvider(SELECTED_LOCK).useFactory({
      factory: async (requester: LockRequester): Promise<SelectedLock> => {
        const lock = await memoryLock()(requester);
        const beside: LockBeside = async (suffix, identity) => {
          return { lock: lock.leaseBeside!(suffix, identity), isOwnLease: true };
        };
        return { lock, remark: undefined, beside };
      },
      inject: [RESOLVED_OPTIONS],
    });
    return builder;
  }

  /**
   * Makes this process leader, and resolves with the term once its `@OnGranted` handlers have been called. Waits for
   * the work of the previous term. Nothing changes if this process is leader already.
   * @param role may be absent if the application has one role
   * @throws Error if the application has not been initialised, is shutting down or has suspended its candidacy
   */
  async grant(role?: string): Promise<Term> {
    const term = await this.elector(role).grant();
    await this.clock.settle();
    return term;
  }

  /**
   * Ends the leadership of this process, before it returns. The promise settles when `@OnRevoked` handlers and gated
   * work have ended. Nothing changes if this process is not leader.
   * @param reason why the term ends; 'superseded' unless given
   * @param role may be absent if the application has one role
   */
  async revoke(reason: RevocationReason = 'superseded', role?: string): Promise<void> {
    await this.elector(role).revoke(reason);
    await this.clock.settle();
  }

  /**
   * Makes another process leader; with `undefined`, no leader is known.
   * @param role may be absent if the application has one role
   * @throws Error while this process leads
   */
  async setLeader(identity: string | undefined, role?: string): Promise<void> {
    this.elector(role).setLeader(identity);
    await this.clock.settle();
  }

  /**
   * Says who the members are, for roles with the option `members`; with `undefined` they are unknown. A member leads if
   * it is this process (`isSelf`) and leads, or if its name begins the identity given to `setLeader()`.
   */
  async setMembers(members: readonly TestMember[] | undefined): Promise<void> {
    this.members.set(members);
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

/** Those of the real module without its lock, and who leads from the start. */
export interface LeaderElectionTestingModuleOptions
  extends
    Omit<LeaderElectionModuleOptions, 'lock'>,
    Pick<TestElectionOptions, 'isLeader' | 'leader'> {
  /**
   * What decides who leads.
   * @default a new one; `moduleRef.get(TestElection)` returns it
   * @example
   * election: new TestElection({ isLeader: true })
   */
  readonly election?: TestElection;
}

/**
 * `LeaderElectionModule` for tests: the same service, tokens and decorators, with an election that the test decides by
 * its {@link TestElection}. Import it in place of the real one, or replace the real one:
 * `overrideModule(electionModule).useModule(LeaderElectionTestingModule.forRoot({ role }))`, where `electionModule` is
 * what `LeaderElectionModule.forRoot()` returned.
 */
@Module({})
export class LeaderElectionTestingModule {
  /** As `LeaderElectionModule.forRoot()`, for one role; `isLeader` and `leader` only without an `election` of your own. */
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
        { provide: ApplicationMembers, useValue: control.applicationMembers },
      ],
      exports: [...(real.exports ?? []), TestElection],
    };
  }
}
