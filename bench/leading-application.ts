import { setImmediate as nextTurn } from 'node:timers/promises';
import { ConsoleLogger, type INestApplicationContext, type ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { TracerProvider } from '@opentelemetry/sdk-trace';
import { Registry } from 'prom-client';
import type { Clock, Timer } from '../lib/core/clock.js';
import type { ResourceLock } from '../lib/core/resource-lock.js';
import { LeaderElectionModule, LeadershipService, leaseLock, memoryLock } from '../lib/index.js';
import { LeaderElectionMetricsModule } from '../lib/metrics/index.js';
import { ELECTION_CLOCK } from '../lib/nest/leader-election.tokens.js';
import { LeaderElectionTracingModule } from '../lib/tracing/index.js';

/** Everything that this library can tell of itself: metrics, spans, Events, the JSON log. */
export type Told = 'off' | 'on';
export type Store = 'memory' | 'lease';

/** The machine's clock, which stands still between rounds and leaps over each wait. */
export class LeapingClock implements Clock {
  private leapt = 0;
  private frozenAt: number | undefined = 0;
  private readonly timers = new Set<{ readonly at: number; readonly callback: () => void }>();

  now(): number {
    return this.frozenAt ?? performance.now() + this.leapt;
  }

  wallMicros(): number {
    return (performance.timeOrigin + this.now()) * 1_000;
  }

  suspendedMs(): number {
    return 0;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const timer = { at: this.now() + delayMs, callback };
    this.timers.add(timer);
    return { cancel: () => this.timers.delete(timer) };
  }

  freeze(): void {
    this.frozenAt = this.now();
  }

  thaw(): void {
    this.leapt = this.now() - performance.now();
    this.frozenAt = undefined;
  }

  /** Calls what is due next, now. */
  leap(): void {
    let [next] = this.timers;
    for (const timer of this.timers) if (timer.at < next!.at) next = timer;
    if (next === undefined) return;
    this.timers.delete(next);
    this.leapt += Math.max(0, next.at - this.now());
    next.callback();
  }
}

export interface LeaderOptions {
  readonly told: Told;
  readonly store: Store;
  readonly kubeConfigFile: string;
  readonly role: string;
  readonly providers?: ModuleMetadata['providers'];
}

/** An application that leads, in which renewals follow one another without the pauses between them. */
export class LeadingApplication {
  private renewals = 0;
  private unanswered = 0;
  private answered = Promise.resolve();

  private constructor(
    readonly clock: LeapingClock,
    readonly registry: Registry,
  ) {}

  private application: INestApplicationContext | undefined;

  static async start(options: LeaderOptions): Promise<LeadingApplication> {
    const leading = new LeadingApplication(new LeapingClock(), new Registry());
    await leading.begin(options);
    return leading;
  }

  get app(): INestApplicationContext {
    return this.application!;
  }

  get leadership(): LeadershipService {
    return this.app.get(LeadershipService);
  }

  /** Returns when the next renewal has been applied, and everything that hears of it has heard it. */
  async renewal(): Promise<void> {
    const before = this.renewals;
    do await this.next();
    while (this.renewals === before);
  }

  private async begin(options: LeaderOptions): Promise<void> {
    const { told, store, kubeConfigFile, role, providers = [] } = options;
    const isOn = told === 'on';
    const makeLock = store === 'memory' ? memoryLock() : leaseLock({ kubeConfigFile });
    const imports: NonNullable<ModuleMetadata['imports']> = [
      LeaderElectionModule.forRoot({
        role,
        namespace: 'default',
        events: isOn,
        lock: async (requester) => this.counted((await makeLock(requester)) as ResourceLock),
      }),
    ];
    if (isOn) {
      context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
      imports.push(
        LeaderElectionMetricsModule.forRoot({ registry: this.registry }),
        LeaderElectionTracingModule.forRoot({ tracerProvider: new TracerProvider() }),
      );
    }
    const application = await Test.createTestingModule({ imports, providers })
      .overrideProvider(ELECTION_CLOCK)
      .useValue(this.clock)
      .compile();
    application.useLogger(isOn ? new ConsoleLogger({ json: true }) : false);
    this.application = application;
    this.clock.thaw();
    await application.init();
    await this.settled();
    while (!this.leadership.isLeader()) await this.next();
  }

  private counted(lock: ResourceLock): ResourceLock {
    for (const verb of ['read', 'create', 'replace'] as const) {
      const inner = lock[verb].bind(lock) as (...order: unknown[]) => Promise<{ kind: string }>;
      lock[verb] = async (...order: unknown[]): Promise<never> => {
        const answering = inner(...order);
        this.answered = answering.then(() => {});
        this.unanswered += 1;
        const outcome = await answering;
        this.unanswered -= 1;
        if (verb === 'replace' && outcome.kind === 'applied') this.renewals += 1;
        return outcome as never;
      };
    }
    return lock;
  }

  /** Goes on to what is due next, and waits for what that asks: no request is to run into its timeout. */
  private async next(): Promise<void> {
    this.clock.leap();
    await this.settled();
  }

  private async settled(): Promise<void> {
    do {
      await this.answered;
      await nextTurn();
    } while (this.unanswered > 0);
  }
}
