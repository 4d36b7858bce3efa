import 'reflect-metadata';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type INestApplicationContext, Injectable } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { LogEntry } from '../../lib/election/log-entry.js';
import { createLeaderElection, type LeaderElection, leaseLock } from '../../lib/election/index.js';
import { LeaderElectionModule } from '../../lib/index.js';
import { isVersionConflict } from '../../lib/kubernetes/api-status.js';
import { collectionPath, eventAddress } from '../../lib/kubernetes/object-request.js';
import { LeaderCron, LeaderScheduleModule, type MissedReport } from '../../lib/schedule/index.js';
import { objectOf } from '../../lib/schedule/ledger/spread-ledger.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { ElectionCluster, NAMESPACE } from '../../proof/fleet/election-cluster.js';
import { readmeRole } from '../../proof/fleet/readme-role.js';

interface StoredEvent {
  readonly involvedObject: object;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
}

let cluster: ElectionCluster;
let elections: LeaderElection[] = [];
let application: INestApplicationContext | undefined;
const warnings: LogEntry[] = [];

beforeAll(async () => {
  cluster = await ElectionCluster.start();
}, FIRST_START_LIMIT_MS);

afterEach(async () => {
  await application?.close();
  application = undefined;
  await Promise.all(elections.map((election) => election.stop()));
  elections = [];
  warnings.length = 0;
});

afterAll(() => cluster?.stop());

async function elected(kubeConfigFile: string, identity: string): Promise<LeaderElection> {
  const nothing = (): void => {};
  const election = await createLeaderElection({
    role: cluster.leaseName,
    namespace: NAMESPACE,
    identity,
    lock: leaseLock({ kubeConfigFile }),
    events: true,
    logger: { debug: nothing, log: nothing, warn: (entry) => warnings.push(entry), error: nothing },
  });
  elections.push(election);
  election.start();
  await election.waitForLeadership();
  return election;
}

const EVENTS = { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] };

const OBJECTS = 2;
const [ON_FIRST, ON_SECOND] = Array.from({ length: OBJECTS }, (_, object) =>
  Array.from({ length: 100 }, (_each, index) => `job-${index}`).find(
    (name) => objectOf(name, OBJECTS) === object,
  ),
) as [string, string];

const EverySecond = (name: string): MethodDecorator =>
  LeaderCron('* * * * * *', {
    name,
    concurrencyPolicy: 'Forbid',
    onMissed(this: Jobs, report: MissedReport) {
      this.reports.push(report);
    },
  });

/** Two jobs that miss ticks until they are let go. */
@Injectable()
class Jobs {
  readonly reports: MissedReport[] = [];
  letGo: () => void = () => {};
  private readonly running = new Promise<void>((resolve) => (this.letGo = resolve));

  @EverySecond(ON_FIRST)
  first(): Promise<void> {
    return this.running;
  }

  @EverySecond(ON_SECOND)
  second(): Promise<void> {
    return this.running;
  }

  /** How often each Event of a job has to be counted, by its message. */
  countsOf(job: string): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const report of this.reports.filter((each) => each.job === job)) {
      const ticks = report.count === 1 ? 'a tick' : 'ticks';
      const message = `job "${job}" missed ${ticks} (${report.reason})`;
      counts[message] = (counts[message] ?? 0) + 1;
    }
    return counts;
  }
}

/** As `kubectl describe lease` asks for them. */
async function eventsOf(uid: string): Promise<StoredEvent[]> {
  const path = `/api/v1/namespaces/${NAMESPACE}/events?fieldSelector=involvedObject.uid%3D${uid}`;
  const { body } = await cluster.server.request('GET', path);
  return (body as unknown as { items: StoredEvent[] }).items;
}

describe('when events: true may write Events', () => {
  it('shows on the Lease who became leader, and who stopped leading and why', async () => {
    const file = await cluster.addAccount('recorder', [...readmeRole().rules, EVENTS]);
    const first = await elected(file, 'plan-1');
    const lease = await cluster.lease();
    await first.stop();
    const second = await elected(file, 'plan-2');
    await cluster.editLease({ holderIdentity: 'a-person' });
    await eventually(() => expect(second.isLeader()).toBe(false), 20_000);
    const { uid } = lease.metadata as { uid: string };
    await eventually(async () => {
      const told = (await eventsOf(uid)).map(({ type, message }) => `${type} ${message}`);
      expect(told).toEqual(
        expect.arrayContaining([
          'Normal plan-1 became leader (term 1)',
          'Normal plan-1 stopped leading (term 1): shutdown',
          'Normal plan-2 became leader (term 2)',
          'Warning plan-2 stopped leading (term 2): superseded',
        ]),
      );
    }, 20_000);
    const [event] = await eventsOf(uid);
    expect(event).toMatchObject({ reason: 'LeaderElection', count: 1 });
    expect(event!.involvedObject).toMatchObject({ kind: 'Lease', name: cluster.leaseName });
    await cluster.deleteLease();
  }, 60_000);

  it('shows missed ticks on the object with the record of their job, and counts them there', async () => {
    const { leaseName } = cluster;
    const objects = [`${leaseName}-schedule`, `${leaseName}-schedule-1`];
    const ofSchedule = {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      resourceNames: objects,
      verbs: ['get', 'update'],
    };
    const rules = [...readmeRole().rules, ofSchedule, EVENTS];
    const kubeConfigFile = await cluster.addAccount('scheduler', rules);
    const options = {
      role: leaseName,
      namespace: NAMESPACE,
      lock: leaseLock({ kubeConfigFile }),
      events: true,
      scheduleObjects: OBJECTS,
    };
    application = await NestFactory.createApplicationContext(
      {
        module: class Scheduler {},
        imports: [LeaderElectionModule.forRoot(options), LeaderScheduleModule],
        providers: [Jobs],
      },
      { logger: false },
    );
    const jobs = application.get(Jobs);
    await eventually(() => {
      for (const job of [ON_FIRST, ON_SECOND]) {
        expect(Math.max(...Object.values(jobs.countsOf(job)))).toBeGreaterThan(1);
      }
    }, 30_000);
    jobs.letGo();
    for (const [index, job] of [ON_FIRST, ON_SECOND].entries()) {
      const path = `${cluster.leasePath.replace(/[^/]+$/, '')}${objects[index]}`;
      const { apiVersion, kind, metadata } = (await cluster.server.request('GET', path)).body;
      const { namespace, name, uid } = metadata as Record<'namespace' | 'name' | 'uid', string>;
      await eventually(async () => {
        const told = await eventsOf(uid);
        const counts = Object.fromEntries(told.map(({ message, count }) => [message, count]));
        expect(counts).toEqual(jobs.countsOf(job));
        expect(told).toHaveLength(Object.keys(counts).length);
        for (const event of told) {
          expect(event).toMatchObject({ type: 'Warning', reason: 'MissedTick' });
          expect(event.involvedObject).toEqual({ apiVersion, kind, namespace, name, uid });
        }
      }, 30_000);
    }
    await application.close();
    await cluster.deleteLease();
  }, 90_000);
});

describe('when an Event is sent again, as its answer was lost', () => {
  it('is told by the server to be stored, in the words by which the recorder knows that', async () => {
    const address = eventAddress(NAMESPACE, 'plans.1');
    const involvedObject = { kind: 'Lease', namespace: NAMESPACE, name: 'plans' };
    const event = { metadata: { name: address.name }, involvedObject, reason: 'LeaderElection' };
    const send = () => cluster.server.request('POST', collectionPath(address), event);
    expect((await send()).status).toBe(201);
    const { status, body } = await send();
    const answer = { status, body: JSON.stringify(body) };
    expect(isVersionConflict('create', answer, address)).toBe(true);
  });
});

describe('when events: true may not write Events', () => {
  it('elects all the same, and says once which rule is missing', async () => {
    const leader = await elected(cluster.kubeConfigFile, 'plan-1');
    await eventually(
      () => expect(warnings.map(({ event }) => event)).toContain('events.failed'),
      20_000,
    );
    expect(leader.isLeader()).toBe(true);
    await leader.stop();
    const failed = warnings.filter(({ event }) => event === 'events.failed');
    expect(failed).toHaveLength(1);
    expect(failed[0]!.msg).toContain('resources: ["events"]');
    expect(failed[0]!.msg).toContain('verbs: ["create"]');
  }, 60_000);
});
