import { fileURLToPath } from 'node:url';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { LeaderElectionModule, LeadershipService } from '../../lib/index.js';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { leaseLockIn } from '../../lib/locks/kubernetes/lease.lock.js';
import { LeaderSchedule, LeaderScheduleModule } from '../../lib/schedule/index.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { NodeProgram } from '../../proof/fleet/node-program.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const LEASES = 'coordination.k8s.io';
const LIMIT_MS = 30_000;

let cluster: ElectionCluster;
let application: string;
let operator: string;
let reader: string;
let applications: INestApplicationContext[];
let lease: string;
let runs = 0;

beforeAll(async () => {
  cluster = await ElectionCluster.start();
  const rule = (verbs: string[]) => ({ apiGroups: [LEASES], resources: ['leases'], verbs });
  const pods = { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] };
  application = await cluster.addAccount('application', [
    rule(['get', 'create', 'update', 'watch']),
    pods,
  ]);
  operator = await cluster.addAccount('operator', [rule(['get', 'update'])]);
  reader = await cluster.addAccount('reader', [rule(['get'])]);
}, FIRST_START_LIMIT_MS);
afterAll(() => cluster?.stop());

beforeEach(() => {
  applications = [];
  lease = `jobs-${++runs}`;
});
afterEach(async () => {
  await Promise.all(applications.map((each) => each.close()));
});

interface Started {
  readonly leadership: LeadershipService;
  readonly schedule: LeaderSchedule;
  readonly ran: string[];
}

/** A replica with two jobs that are not due; runs of `stuck` end when they are aborted. */
async function replica(pod: string, scheduleObjects = 1): Promise<Started> {
  const environment = new PodEnvironment({ POD_NAME: pod }, '/nowhere');
  const lock = leaseLockIn(environment, { kubeConfigFile: application });
  const options = { role: lease, namespace: NAMESPACE, identity: `${pod}_1`, lock } as const;
  const members = { labelSelector: `app=${lease}` };
  const context = await NestFactory.createApplicationContext(
    {
      module: class Replica {},
      imports: [
        LeaderElectionModule.forRoot({ ...options, members, scheduleObjects }),
        LeaderScheduleModule,
      ],
    },
    { logger: false },
  );
  applications.push(context);
  const ran: string[] = [];
  const schedule = context.get(LeaderSchedule);
  schedule.add('report', '0 0 1 1 *', () => void ran.push('report'), { timeZone: 'UTC' });
  schedule.add(
    'stuck',
    '0 0 1 1 *',
    ({ signal }) =>
      new Promise<void>((resolve) => {
        ran.push('stuck');
        signal.addEventListener('abort', () => resolve());
      }),
    { timeZone: 'UTC' },
  );
  return { leadership: context.get(LeadershipService), schedule, ran };
}

async function leader(scheduleObjects = 1): Promise<Started> {
  const started = await replica(`${lease}-a`, scheduleObjects);
  await eventually(() => expect(started.leadership.isLeader()).toBe(true), LIMIT_MS);
  // Recorded once a leader knows them.
  await eventually(async () => {
    const { said } = await cli('jobs');
    expect(said).toMatch(/^report /m);
    expect(said).toMatch(/^stuck /m);
  }, LIMIT_MS);
  return started;
}

interface Ended {
  readonly code: number | string | undefined;
  readonly said: string;
}

async function cliAs(kubeconfig: string, ...args: string[]): Promise<Ended> {
  const place = ['--lease', lease, '--namespace', NAMESPACE, '--kubeconfig', kubeconfig];
  const program = new NodeProgram({ name: args[0]!, program: CLI, args: [...args, ...place] });
  await program.exited;
  return { code: program.outcome, said: program.lines.map(({ text }) => text).join('\n') };
}

const cli = (...args: string[]): Promise<Ended> => cliAs(operator, ...args);

describe.each([1, 3])('when the jobs of a role are in %d objects', (scheduleObjects) => {
  it('lists, suspends and resumes them, for the whole fleet', async () => {
    const { schedule } = await leader(scheduleObjects);
    const listed = await cli('jobs');
    expect(listed.code).toBe(0);
    expect(listed.said.split('\n')[0]).toMatch(
      /^JOB +SCHEDULE +STATE +LAST +SUCCESS +ACTIVE +MISSED +NEXT$/,
    );
    for (const line of listed.said.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    const suspended = await cli('suspend', 'report', '--reason', 'the bank is closed');
    expect(suspended).toEqual({
      code: 0,
      said: 'report is suspended: no tick of it starts, whoever leads',
    });
    expect((await schedule.inspect('report')).suspension).toMatchObject({
      isSuspended: true,
      reason: 'the bank is closed',
    });
    expect((await cli('jobs')).said).toMatch(/^report: suspended by .*: the bank is closed$/m);
    // The leader has read it: it was told to.
    await eventually(() => {
      const report = schedule.list().find(({ name }) => name === 'report');
      expect(report).toMatchObject({ suspended: true });
    }, LIMIT_MS);
    expect((await cli('resume', 'report')).code).toBe(0);
    expect((await schedule.inspect('report')).suspension).toMatchObject({ isSuspended: false });
  });

  it('triggers a run on the leader, and tells how it ended', async () => {
    const { ran } = await leader(scheduleObjects);
    const done = await cli('trigger', 'report', '--wait');
    expect(done.said).toBe(`report: ${lease}-a_1 has started a run\nreport: succeeded`);
    expect(done.code).toBe(0);
    expect(ran).toEqual(['report']);
  });

  it('cancels a run, after it has refused another beside it', async () => {
    const { ran } = await leader(scheduleObjects);
    expect((await cli('trigger', 'stuck')).code).toBe(0);
    const second = await cli('trigger', 'stuck');
    expect(second.code).toBe(1);
    expect(second.said).toMatch(/started no run: another run is active/);
    const cancelled = await cli('cancel', 'stuck', '--reason', 'it is stuck');
    expect(cancelled).toEqual({ code: 0, said: 'stuck: 1 cancelled, and ended' });
    expect(ran).toEqual(['stuck']);
    expect((await cli('cancel', 'stuck')).said).toBe('stuck: no run is active');
    const { jobs } = JSON.parse((await cli('jobs', '--json')).said) as { jobs: { name: string }[] };
    expect(jobs.find(({ name }) => name === 'stuck')).toMatchObject({
      active: [],
      history: [{ outcome: 'cancelled', isTriggered: true }],
    });
  });
});

describe('when a command cannot do what it is asked for', () => {
  it('names the jobs that there are', async () => {
    await leader();
    const { code, said } = await cli('suspend', 'repotr');
    expect(code).toBe(1);
    expect(said).toMatch(/no job repotr; there are report, stuck/);
  });

  it.each([
    ['suspend', ['suspend', 'report'], () => `${lease}-schedule`],
    ['trigger', ['trigger', 'report'], () => `${lease}-schedule`],
    ['cancel', ['cancel', 'stuck'], () => `${lease}-schedule`],
    ['step-down', ['step-down'], () => lease],
  ])('names the rule to add for %s, if update is missing', async (_, args, object) => {
    const { schedule } = await leader();
    void schedule.trigger('stuck');
    await eventually(async () => {
      expect((await schedule.inspect('stuck')).active).toHaveLength(1);
    }, LIMIT_MS);
    const { code, said } = await cliAs(reader, ...args);
    expect(code).toBe(1);
    expect(said).toMatch(/403/);
    expect(said).toMatch(/verbs: \["?update"?\]/);
    expect(said).toContain(object());
  });

  it('takes a request back that no leader answers', async () => {
    const { schedule, leadership } = await leader();
    leadership.suspend();
    await eventually(() => expect(leadership.leader).toBeUndefined(), LIMIT_MS);
    const { code, said } = await cli('trigger', 'report', '--timeout-ms', '1000');
    expect(code).toBe(75);
    expect(said).toMatch(/no process leads at present/);
    expect(said).toMatch(/no leader started a run within 1000 ms, and the request was taken back/);
    leadership.resume();
    await eventually(() => expect(leadership.isLeader()).toBe(true), LIMIT_MS);
    expect((await schedule.inspect('report')).history).toEqual([]);
  });
});

describe('when a person asks for a handover to a pod', () => {
  async function createPod(name: string): Promise<void> {
    const { status } = await cluster.server.request('POST', PODS, {
      metadata: { name, labels: { app: lease } },
      spec: { nodeName: 'node-1', containers: [{ name: 'c', image: 'i' }] },
    });
    expect(status).toBe(201);
  }
  const ready = (name: string) =>
    cluster.server.request('PATCH', `${PODS}/${name}/status`, {
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    });

  it('moves leadership to that pod, and refuses one that is not fit', async () => {
    const names = ['a', 'b', 'c', 'd'].map((name) => `${lease}-${name}`);
    for (const name of names) await createPod(name);
    for (const name of names.slice(0, 3)) await ready(name);
    const first = await leader();
    const others = [await replica(names[1]!), await replica(names[2]!)];
    const refused = await cli('step-down', '--to', names[3]!);
    expect(refused.code).toBe(1);
    expect(refused.said).toMatch(/refused: \S+-d is not fit to lead: the pod is not Ready/);
    expect(first.leadership.isLeader()).toBe(true);
    for (const [index, pod] of [names[2]!, names[1]!].entries()) {
      const moved = await cli('step-down', '--to', pod);
      expect(moved.code).toBe(0);
      expect(moved.said).toMatch(new RegExp(`^${pod}_1 leads now$`, 'm'));
      expect(others[1 - index]!.leadership.isLeader()).toBe(true);
    }
  });
});
