import { Injectable } from '@nestjs/common';
import { Gauge, Registry } from 'prom-client';
import { LeaderElectionOptionsError, LeaderOnly } from '../../lib/index.js';
import { leaderElectionWith } from '../../lib/election/leader-election.js';
import { LeaderElector } from '../../lib/elector/leader-elector.js';
import { memoryLock } from '../../lib/election/index.js';
import { LeaderElectionMetricsModule, LeadershipMetrics } from '../../lib/metrics/index.js';
import { LeaderSchedule, LeaderScheduleModule } from '../../lib/schedule/index.js';
import { Elections, ROLE } from '../nest/support/elections.js';

@Injectable()
class Plans {
  @LeaderOnly()
  close(): void {}

  @LeaderOnly({ onFollower: 'throw' })
  insist(): void {}
}

const MINUTE_MS = 60_000;

describe('the metrics of an application', () => {
  let elections: Elections;
  let registry: Registry;
  beforeEach(() => {
    elections = new Elections();
    registry = new Registry();
  });
  afterEach(() => elections.end());

  const started = async (
    options: {
      readonly maxJobs?: number;
      readonly registry?: Registry;
      readonly role?: string;
    } = {},
  ) => {
    const { role = ROLE, ...metrics } = options;
    const application = await elections.start({
      imports: [
        elections.module({ role }),
        LeaderScheduleModule,
        LeaderElectionMetricsModule.forRoot({ registry, ...metrics }),
      ],
      providers: [Plans],
    });
    await elections.clock.settle();
    return application;
  };

  /** `leader_election_` and a name with labels, as the page shows it; undefined if it does not. */
  const scraped = async (series: string, from = registry): Promise<number | undefined> => {
    const lines = (await from.metrics()).split('\n');
    const found = lines.find((line) => line.startsWith(`leader_election_${series} `));
    return found === undefined ? undefined : Number(found.split(' ').at(-1));
  };
  const name = `name="${ROLE}"`;

  describe('when it leads', () => {
    it('shows its term, its validity and its settings', async () => {
      await started();
      expect(await scraped(`master_status{${name}}`)).toBe(1);
      expect(await scraped(`leader_known{${name}}`)).toBe(1);
      expect(await scraped(`term{${name}}`)).toBe(1);
      expect(await scraped(`terms_total{${name}}`)).toBe(1);
      expect(await scraped(`remaining_validity_seconds{${name}}`)).toBeCloseTo(10, 1);
      expect(await scraped(`renew_deadline_seconds{${name}}`)).toBe(10);
      expect(await scraped(`lease_duration_seconds{${name}}`)).toBe(15);
      expect(await scraped(`eligible{${name}}`)).toBe(1);
      expect(await scraped(`members{${name}}`)).toBeUndefined();
      expect(await scraped(`leaderless_seconds_count{${name}}`)).toBe(1);
    });

    it('counts and times its renewals, and none of them late', async () => {
      await started();
      await elections.clock.advance(6_000);
      expect(await scraped(`renewals_total{${name}}`)).toBe(3);
      expect(await scraped(`late_renewals_total{${name}}`)).toBe(0);
      expect(await scraped(`slowpath_total{${name}}`)).toBe(0);
      expect(await scraped(`request_duration_seconds_count{${name},purpose="renew"}`)).toBe(3);
      const applied = `requests_total{${name},purpose="renew",outcome="applied"}`;
      expect(await scraped(applied)).toBe(3);
    });

    it('counts what its gates let through', async () => {
      const application = await started();
      application.get(Plans).close();
      expect(await scraped(`gate_decisions_total{${name},decision="run"}`)).toBe(1);
      expect(await scraped(`gate_decisions_total{${name},decision="skipped"}`)).toBe(0);
    });
  });

  describe('when it gives leadership up', () => {
    it('shows why, how long the term lasted, and how long the handover took', async () => {
      const application = await started();
      await elections.clock.advance(4_000);
      application.leadership().stepDown();
      await elections.clock.advance(100);
      expect(await scraped(`master_status{${name}}`)).toBe(0);
      expect(await scraped(`term{${name}}`)).toBeUndefined();
      expect(await scraped(`terms_ended_total{${name},reason="stepped-down"}`)).toBe(1);
      expect(await scraped(`term_duration_seconds_sum{${name}}`)).toBe(4);
      expect(await scraped(`drain_duration_seconds_count{${name}}`)).toBe(1);
      expect(await scraped(`handover_duration_seconds_count{${name}}`)).toBe(1);
    });
  });

  describe('when it follows', () => {
    it('counts skipped and rejected calls, and the leaders that it sees', async () => {
      const rival = await elections.leadingRival('pod-b');
      const application = await started();
      const plans = application.get(Plans);
      plans.close();
      expect(() => plans.insist()).toThrow('leader');
      expect(await scraped(`master_status{${name}}`)).toBe(0);
      expect(await scraped(`leader_known{${name}}`)).toBe(1);
      expect(await scraped(`gate_decisions_total{${name},decision="skipped"}`)).toBe(1);
      expect(await scraped(`gate_decisions_total{${name},decision="rejected"}`)).toBe(1);
      expect(await scraped(`transitions_total{${name}}`)).toBe(0);
      rival.suspend();
      await elections.clock.advance(5_000);
      expect(await scraped(`master_status{${name}}`)).toBe(1);
      expect(await scraped(`transitions_total{${name}}`)).toBe(1);
    });
  });

  describe('when its jobs run', () => {
    it('shows what becomes of their ticks, and when the next is due', async () => {
      const application = await started();
      const schedule = application.get(LeaderSchedule);
      let isPaper = true;
      const work = (): void => {
        if (!isPaper) throw new Error('no paper');
      };
      schedule.add('print', '* * * * *', work, { timeZone: 'UTC' });
      await elections.clock.advance(MINUTE_MS);
      isPaper = false;
      await elections.clock.advance(MINUTE_MS);
      const job = `${name},job_name="print"`;
      expect(await scraped(`job_scheduled_total{${job}}`)).toBe(2);
      expect(await scraped(`job_claimed_total{${job}}`)).toBe(2);
      expect(await scraped(`job_runs_total{${job},outcome="succeeded"}`)).toBe(1);
      expect(await scraped(`job_runs_total{${job},outcome="failed"}`)).toBe(1);
      expect(await scraped(`job_missed_total{${job},reason="not-started"}`)).toBe(0);
      expect(await scraped(`job_active{${job}}`)).toBe(0);
      expect(await scraped(`job_duration_seconds_count{${job}}`)).toBe(2);
      expect(await scraped(`job_interval_seconds{${job}}`)).toBe(60);
      expect(await scraped(`job_suspended{${job}}`)).toBe(0);
      const success = (await scraped(`job_last_success_timestamp_seconds{${job}}`))!;
      const next = (await scraped(`job_next_tick_timestamp_seconds{${job}}`))!;
      expect(next - success).toBeGreaterThanOrEqual(2 * 60 - 1);
      expect(next - success).toBeLessThanOrEqual(2 * 60);
    });

    it('counts the jobs beyond maxJobs under one label', async () => {
      const application = await started({ maxJobs: 1 });
      const schedule = application.get(LeaderSchedule);
      for (const each of ['a', 'b', 'c']) schedule.add(each, '* * * * *', () => undefined);
      await elections.clock.advance(MINUTE_MS);
      const page = await registry.metrics();
      const jobs = new Set([...page.matchAll(/job_name="([^"]*)"/g)].map(([, job]) => job));
      expect(jobs).toEqual(new Set(['a', 'other']));
      const other = `job_runs_total{${name},job_name="other",outcome="succeeded"}`;
      expect(await scraped(other)).toBe(2);
    });
  });

  describe('when the registry is a provider', () => {
    it('records in it', async () => {
      const REGISTRY = Symbol('registry');
      const Shared = {
        module: class SharedModule {},
        providers: [{ provide: REGISTRY, useValue: registry }],
        exports: [REGISTRY],
      };
      const metrics = LeaderElectionMetricsModule.forRootAsync({
        imports: [Shared],
        inject: [REGISTRY],
        useFactory: (provided: Registry) => ({ registry: provided }),
      });
      await elections.start({ imports: [elections.module(), metrics] });
      await elections.clock.settle();
      expect(await scraped(`master_status{${name}}`)).toBe(1);
    });
  });

  describe('when it has closed', () => {
    it('shows no gauge of the election any more', async () => {
      const application = await started();
      const closing = application.close();
      await elections.clock.advance(1_000);
      await closing;
      expect(await scraped(`master_status{${name}}`)).toBeUndefined();
      expect(await scraped(`terms_total{${name}}`)).toBe(1);
    });
  });

  describe('when a process has two applications', () => {
    it('keeps the metrics of each in its own registry', async () => {
      const second = new Registry();
      await started();
      const other = await started({ registry: second });
      expect(await scraped(`master_status{${name}}`)).toBe(1);
      expect(await scraped(`master_status{${name}}`, second)).toBe(0);
      other.get(LeaderSchedule).add('print', '* * * * *', () => undefined);
      await elections.clock.advance(MINUTE_MS);
      expect(await scraped(`gate_decisions_total{${name},decision="run"}`, second)).toBe(0);
    });

    it('shares the families of one registry where their roles differ, and refuses the same role', async () => {
      await started();
      await started({ role: 'reports' });
      expect(await scraped(`master_status{${name}}`)).toBe(1);
      expect(await scraped('master_status{name="reports"}')).toBe(1);
      await expect(started()).rejects.toThrow(/^LeadershipMetrics: .*\n.*role = "plan-scheduler"/);
    });
  });

  describe('when the registry is cleared, as tests do', () => {
    it('registers again with the next application', async () => {
      await started();
      registry.clear();
      await started();
      expect(await scraped(`leader_known{${name}}`)).toBe(1);
    });
  });

  describe('when options cannot be used', () => {
    it('names each with its value, rule and fix', () => {
      const make = (options: unknown) => () => new LeadershipMetrics(options as never);
      expect(make({ registry: {}, maxJobs: -1, prefix: 'x' })).toThrow(
        /^LeadershipMetrics: 3 configuration errors\n.*prefix.*\n.*registry.*\n.*maxJobs = -1/,
      );
      expect(make(undefined)).toThrow(LeaderElectionOptionsError);
      expect(() => new LeadershipMetrics({ registry }).observe({} as never)).toThrow(
        /observe\.election = an object/,
      );
    });

    it('names the metric that the registry has already', () => {
      new Gauge({ name: 'leader_election_term', help: 'x', registers: [registry] });
      expect(() => new LeadershipMetrics({ registry })).toThrow(/leader_election_term/);
    });
  });
});

describe('the metrics of an election without Nest', () => {
  describe('when it leads and stops', () => {
    it('shows the same', async () => {
      const elections = new Elections();
      const registry = new Registry();
      const { clock, store } = elections;
      const election = await leaderElectionWith(
        { role: 'billing', lock: memoryLock(store) },
        { clock, random: () => 0, makeElector: (...args) => new LeaderElector(...args) },
      );
      new LeadershipMetrics({ registry }).observe(election);
      election.start();
      await clock.settle();
      expect(await registry.metrics()).toContain('leader_election_master_status{name="billing"} 1');
      const stopped = election.stop();
      await clock.advance(1_000);
      await stopped;
      const page = await registry.metrics();
      expect(page).toContain(
        'leader_election_terms_ended_total{name="billing",reason="shutdown"} 1',
      );
      expect(page).not.toContain('leader_election_master_status{');
    });
  });
});
