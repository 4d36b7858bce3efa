import { Injectable, Module } from '@nestjs/common';
import type { LeaderElectionModuleAsyncOptions, LockRequester } from '../../lib/index.js';
import {
  type LeaderElectionFactoryOptions,
  LeaderElectionModule,
  type LeaderElectionOptionsFactory,
  memoryLock,
  type ResourceLock,
} from '../../lib/index.js';
import { localIdentity } from '../../lib/election/own-names.js';
import { RESOLVED_OPTIONS } from '../../lib/nest/leader-election.tokens.js';
import { Elections, ROLE } from './support/elections.js';

const OPTIONS: LeaderElectionFactoryOptions = {
  leaseName: 'nightly',
  namespace: 'jobs',
  identity: 'pod-a',
  application: 'plans',
  leaseDurationMs: 30_000,
  renewDeadlineMs: 20_000,
  drainTimeoutMs: 0,
  strict: true,
  autoStart: false,
  createLease: true,
  podLabel: false,
  lock: memoryLock(),
};

@Injectable()
class OptionsSource implements LeaderElectionOptionsFactory {
  createLeaderElectionOptions(): Promise<LeaderElectionFactoryOptions> {
    return Promise.resolve(OPTIONS);
  }
}
@Module({
  providers: [OptionsSource, { provide: 'name', useValue: 'nightly' }],
  exports: [OptionsSource, 'name'],
})
class ConfigModule {}

describe('the options of LeaderElectionModule', () => {
  let elections: Elections;
  beforeEach(() => (elections = new Elections()));
  afterEach(() => elections.end());

  const asyncForm = (options: Omit<LeaderElectionModuleAsyncOptions, 'role'>) =>
    LeaderElectionModule.forRootAsync({ role: ROLE, ...options });

  const forms = {
    forRoot: () => LeaderElectionModule.forRoot({ role: ROLE, ...OPTIONS }),
    useFactory: () =>
      asyncForm({
        imports: [ConfigModule],
        inject: ['name'],
        useFactory: (leaseName: string) => ({ ...OPTIONS, leaseName }),
      }),
    'an async useFactory that repeats the role': () =>
      asyncForm({ useFactory: async () => Promise.resolve({ role: ROLE, ...OPTIONS }) }),
    useClass: () => asyncForm({ useClass: OptionsSource }),
    useExisting: () => asyncForm({ imports: [ConfigModule], useExisting: OptionsSource }),
  };

  describe('when given in any of the forms', () => {
    it.each(Object.entries(forms))('come to the same: %s', async (_form, make) => {
      const app = await elections.start({ imports: [make()] });
      expect(app.get(RESOLVED_OPTIONS, { strict: false })).toEqual({
        ...OPTIONS,
        role: ROLE,
        retryPeriodMs: 2_000,
        requestTimeoutMs: 3_000,
        releaseOnShutdown: true,
        ineligibleGraceMs: 5_000,
        events: false,
        eligibility: [],
        podWatch: false,
        placement: 'any',
        placementCooldownMs: 30_000,
        watchdog: false,
        gateSchedules: false,
        scheduleObjects: 1,
        mode: 'enforce',
      });
      await elections.clock.advance(60_000);
      expect(app.leadership().isLeader()).toBe(false);
      app.leadership().start();
      await elections.clock.advance(31_000);
      expect(app.leadership().term).toMatchObject({ role: ROLE, holderIdentity: 'pod-a' });
    });
  });

  describe('when only the role is given', () => {
    it('complete themselves, with an identity that no other election has', async () => {
      const app = await elections.start({
        imports: [elections.module(), elections.module({ role: 'second' })],
      });
      const [first, second] = [app.leadership(ROLE), app.leadership('second')];
      expect(first.identity).toMatch(/^.+_[0-9a-f-]{36}$/);
      expect(first.identity).not.toBe(second.identity);
    });
  });

  describe('when an identity is made', () => {
    it.each([
      [{ POD_NAME: 'pod', HOSTNAME: 'host' }, /^pod_[0-9a-f-]{36}$/],
      [{ POD_NAME: ' ', HOSTNAME: 'host' }, /^host_/],
      [{ POD_NAME: 'po\nd', HOSTNAME: 'host' }, /^host_/],
      [{ POD_NAME: 'x'.repeat(300), HOSTNAME: 'host' }, /^host_/],
      [{}, /^[^_].*_[0-9a-f-]{36}$/],
    ])('takes the name from %p', (env, shape) => {
      expect(localIdentity(env)).toMatch(shape);
      expect(localIdentity(env)).not.toBe(localIdentity(env));
    });
  });

  describe('when a lock is chosen', () => {
    it('is told the lease, the namespace and the identity', async () => {
      const requests: LockRequester[] = [];
      await elections.start({
        imports: [
          elections.module({
            ...OPTIONS,
            lock: (asked) => {
              requests.push(asked);
              return memoryLock()(asked);
            },
          }),
        ],
      });
      expect(requests).toEqual([
        expect.objectContaining({ leaseName: 'nightly', namespace: 'jobs', identity: 'pod-a' }),
      ]);
    });

    it('by a factory that makes none, stops the start', async () => {
      const lock = () => ({}) as ResourceLock;
      await expect(elections.create({ imports: [elections.module({ lock })] })).rejects.toThrow(
        /made no lock for plan-scheduler/,
      );
    });
  });
});
