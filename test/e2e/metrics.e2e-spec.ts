import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findBinary } from '../../proof/control-plane/binaries.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { findFreePort } from '../../proof/control-plane/free-port.js';
import { ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { NodeProgram } from '../../proof/fleet/node-program.js';
import type { MetricsSettings } from './support/metrics-application.js';
import { Scrapes } from './support/scrapes.js';

const PROGRAM = fileURLToPath(
  new URL('../../.tools/test/e2e/support/metrics-application.js', import.meta.url),
);
const ALERTS = 'monitoring/alerts.yaml';
const KILLS = 5;

let promtool: string;
beforeAll(async () => {
  promtool = await findBinary('promtool');
}, FIRST_START_LIMIT_MS);

const run = (...args: string[]): string => {
  try {
    return execFileSync(promtool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`promtool ${args.join(' ')}\n${stdout}\n${stderr}`, { cause: error });
  }
};

describe('when Prometheus reads the alert rules', () => {
  it('accepts them', () => {
    expect(run('check', 'rules', ALERTS)).toContain('8 rules found');
  });

  it('raises each alert when it should, and none of a healthy fleet', () => {
    expect(run('test', 'rules', 'test/metrics/alerts.test.yaml')).toContain('SUCCESS');
  });
});

describe('when three replicas are scraped while their leader is killed again and again', () => {
  let scrapes: Scrapes;
  let scraping: Promise<void> | undefined;
  let isOver = false;
  const at = { chaosEnded: 0, suspended: 0, beforeDeath: 0, end: 0 };
  let cluster: ElectionCluster;
  let directory: string;
  let kubeConfigFile: string;
  let replicas: Replica[] = [];
  let started = 0;

  class Replica extends NodeProgram {
    constructor(private readonly settings: MetricsSettings) {
      const env = { METRICS_SETTINGS: JSON.stringify(settings) };
      super({ name: settings.identity, program: PROGRAM, env });
    }

    get target(): string {
      return `namespace="${NAMESPACE}",pod="${this.name}"`;
    }

    async ask(method: string, path: string): Promise<string | undefined> {
      try {
        const url = `http://127.0.0.1:${this.settings.port}/${path}`;
        const answer = await fetch(url, { method, signal: AbortSignal.timeout(900) });
        return await answer.text();
      } catch {
        // Killed, or about to be: Prometheus would find it down.
        return undefined;
      }
    }
  }

  const start = async (): Promise<void> => {
    const { leaseName } = cluster;
    const identity = `replica-${(started += 1)}`;
    const port = await findFreePort();
    const replica = new Replica({ kubeConfigFile, leaseName, identity, port });
    replicas.push(replica);
    await replica.line(/^listens$/);
  };

  /** As kube-state-metrics shows it. */
  const leasePage = async (): Promise<string | undefined> => {
    const { spec } = (await cluster.lease()) as {
      spec?: { holderIdentity?: string; renewTime?: string };
    };
    if (spec?.renewTime === undefined) return undefined;
    const lease = `lease="${cluster.leaseName}"`;
    return [
      `kube_lease_renew_time{${lease}} ${Date.parse(spec.renewTime) / 1_000}`,
      `kube_lease_owner{${lease},lease_holder="${spec.holderIdentity ?? ''}"} 1`,
    ].join('\n');
  };

  const scrape = async (second: number): Promise<void> => {
    const answers = replicas.map(
      async (replica) => [replica.target, await replica.ask('GET', 'metrics')] as const,
    );
    const pages = new Map<string, string | undefined>(await Promise.all(answers));
    pages.set(`namespace="${NAMESPACE}"`, await leasePage());
    scrapes.store(second, pages);
  };

  /** Once a second, whatever else happens. */
  const scrapeOn = async (): Promise<void> => {
    let last = -1;
    while (!isOver) {
      const { second } = scrapes;
      if (second > last) await scrape((last = second));
      await delay(50);
    }
  };

  const leader = async (): Promise<Replica> => {
    for (let tries = 0; tries < 120; tries += 1) {
      await delay(500);
      for (const replica of replicas) {
        const page = await replica.ask('GET', 'metrics');
        if (page !== undefined && /^leader_election_master_status\{.*\} 1$/m.test(page)) {
          return replica;
        }
      }
    }
    throw new Error('no replica leads');
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'metrics-'));
    cluster = await ElectionCluster.start();
    kubeConfigFile = await cluster.addAccount('measured', [
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        verbs: ['get', 'list', 'watch', 'create', 'update'],
      },
    ]);
    for (let count = 0; count < 3; count += 1) await start();
    scrapes = new Scrapes();
    scraping = scrapeOn();
    for (let kills = 0; kills < KILLS; kills += 1) {
      const killed = await leader();
      await delay(2_000);
      await killed.kill();
      replicas = replicas.filter((each) => each !== killed);
      await start();
    }
    await leader();
    await delay(3_000);
    at.chaosEnded = scrapes.second;
    await Promise.all(replicas.map((replica) => replica.ask('POST', 'suspend')));
    at.suspended = scrapes.second;
    await delay(70_000);
    at.beforeDeath = scrapes.second - 1;
    await Promise.all(replicas.map((replica) => replica.kill()));
    await delay(65_000);
    isOver = true;
    await scraping;
    at.end = scrapes.second - 1;
  }, FIRST_START_LIMIT_MS);

  afterAll(async () => {
    isOver = true;
    await scraping?.catch(() => undefined);
    await Promise.all(replicas.map((replica) => replica.kill()));
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const firing = (alert: string): string => `ALERTS{alertname="${alert}",alertstate="firing"}`;

  /** Has promtool evaluate the rules on what was scraped. */
  const evaluate = (expectations: readonly { expr: string; second: number; value?: number }[]) => {
    const file = join(directory, 'scraped.json');
    const test = {
      interval: '1s',
      input_series: scrapes.inputSeries,
      promql_expr_test: expectations.map(({ expr, second, value }) => ({
        expr,
        eval_time: `${second}s`,
        exp_samples: value === undefined ? [] : [{ labels: '{}', value }],
      })),
    };
    const rules = { rule_files: [resolve(ALERTS)], evaluation_interval: '1s', tests: [test] };
    writeFileSync(file, JSON.stringify(rules));
    return run('test', 'rules', file);
  };

  it('says that leadership flaps', () => {
    const expr = `count(${firing('LeaderElectionFlapping')})`;
    // It holds for a minute before it is an alert.
    expect(evaluate([{ expr, second: at.beforeDeath, value: 1 }])).toContain('SUCCESS');
  });

  it('says by the lease alone that its holder flaps', () => {
    const expr = `count(${firing('LeaderElectionLeaseHolderFlaps')})`;
    expect(evaluate([{ expr, second: at.beforeDeath, value: 1 }])).toContain('SUCCESS');
  });

  it('never says that two replicas lead, and nothing of no leader while others take over', () => {
    const ever = (alert: string, second: number) => ({
      expr: `count(count_over_time(${firing(alert)}[1h]))`,
      second,
    });
    evaluate([
      ever('LeaderElectionTwoLeaders', at.end),
      ever('LeaderElectionNoLeader', at.chaosEnded),
      ever('LeaderElectionLeaseExpired', at.chaosEnded),
    ]);
    const most = `max_over_time((sum(leader_election_master_status))[1h:1s])`;
    expect(evaluate([{ expr: most, second: at.end, value: 1 }])).toContain('SUCCESS');
  });

  it('says that there is no leader when all replicas are suspended, and not before a minute has passed', () => {
    const expr = `count(${firing('LeaderElectionNoLeader')})`;
    const before = { expr, second: at.suspended + 50 };
    expect(evaluate([before, { expr, second: at.beforeDeath, value: 1 }])).toContain('SUCCESS');
  });

  it('says by the lease alone that all replicas are dead', () => {
    const expr = `count(${firing('LeaderElectionLeaseExpired')})`;
    const gone = { expr: 'count(leader_election_master_status)', second: at.end };
    const before = { expr, second: at.suspended + 100 };
    expect(evaluate([before, gone, { expr, second: at.end, value: 1 }])).toContain('SUCCESS');
  });

  it('has counted the terms, the renewals and the runs of its jobs', () => {
    const names = new Set(scrapes.inputSeries.map(({ series }) => series.split('{')[0]));
    for (const name of ['terms_total', 'renewals_total', 'job_runs_total', 'job_claimed_total']) {
      expect(names).toContain(`leader_election_${name}`);
    }
    const runs =
      'sum(max_over_time(leader_election_job_runs_total{outcome="succeeded"}[1h])) > bool 0';
    const terms = 'sum(max_over_time(leader_election_terms_total[1h]))';
    const expected = [
      { expr: runs, second: at.end, value: 1 },
      { expr: terms, second: at.end, value: KILLS + 1 },
    ];
    expect(evaluate(expected)).toContain('SUCCESS');
  });
});
