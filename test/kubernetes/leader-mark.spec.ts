import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LockRequestError } from '../../lib/core/errors.js';
import { LeaderMark, type RoleMark } from '../../lib/kubernetes/leader-mark.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { connectionTo } from '../../proof/api-emulator/emulated-cluster.js';
import { ManualClock } from '../support/manual-clock.js';

const COST = 'controller.kubernetes.io/pod-deletion-cost';
const DEAD = 'plans-2_01234567-89ab-4cde-8f01-23456789abcd';
const PODS = '/api/v1/namespaces/default/pods';

interface Marks {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

let emulator: ApiEmulator;
let clock: ManualClock;
let errors: string[];
let marks: RoleMark[];

beforeEach(async () => {
  emulator = await ApiEmulator.start();
  clock = new ManualClock();
  errors = [];
  marks = [];
});

afterEach(async () => {
  await Promise.all(marks.map((mark) => mark.close()));
  await emulator.stop();
});

async function createPod(name: string, metadata: Marks = {}): Promise<void> {
  const spec = { containers: [{ name: 'a', image: 'a' }] };
  const response = await fetch(`${emulator.url}${PODS}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer t' },
    body: JSON.stringify({ metadata: { name, ...metadata }, spec }),
  });
  expect(response.status).toBe(201);
}

async function marksOf(name: string): Promise<Marks> {
  const headers = { authorization: 'Bearer t' };
  const response = await fetch(`${emulator.url}${PODS}/${name}`, { headers });
  const { metadata } = (await response.json()) as { metadata: Marks };
  return { labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {} };
}

function markOf(podName: string, ...roles: string[]): RoleMark[] {
  const connection = connectionTo(emulator);
  const mark = new LeaderMark({ connection, namespace: 'default', podName, clock });
  const report = (error: LockRequestError) => void errors.push(error.message);
  const joined = roles.map((role) => mark.join(role, 3_000, report));
  marks.push(...joined);
  return joined;
}

async function eventually(check: () => Promise<void>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await check();
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

describe('the mark of the leader’s pod', () => {
  it('is a label for each role, and a deletion cost as long as the process leads any', async () => {
    await createPod('plans-1', { labels: { app: 'plans' }, annotations: { note: 'n' } });
    const [plans, reports] = markOf('plans-1', 'plans', 'reports') as [RoleMark, RoleMark];
    const expects = async (roles: string[], cost: object) =>
      eventually(async () =>
        expect(await marksOf('plans-1')).toEqual({
          labels: {
            app: 'plans',
            ...Object.fromEntries(
              roles.map((role) => [`nestjs-leader-election/${role}`, 'leader']),
            ),
          },
          annotations: { note: 'n', ...cost },
        }),
      );
    plans.lead(undefined);
    await expects(['plans'], { [COST]: '1000' });
    reports.lead(undefined);
    await expects(['plans', 'reports'], { [COST]: '1000' });
    plans.leave();
    await expects(['reports'], { [COST]: '1000' });
    reports.leave();
    await expects([], {});
    expect(errors).toEqual([]);
  });

  it('of a dead leader is removed by its successor, with the cost', async () => {
    const left = { 'nestjs-leader-election/plans': 'leader' };
    await createPod('plans-1');
    await createPod('plans-2', { labels: { app: 'x', ...left }, annotations: { [COST]: '1000' } });
    const [mark] = markOf('plans-1', 'plans') as [RoleMark];
    mark.lead(DEAD);
    await eventually(async () =>
      expect(await marksOf('plans-2')).toEqual({ labels: { app: 'x' }, annotations: {} }),
    );
  });

  it('keeps the cost of a dead leader’s pod that still leads another role', async () => {
    const labels = {
      'nestjs-leader-election/plans': 'leader',
      'nestjs-leader-election/reports': 'leader',
    };
    await createPod('plans-1');
    await createPod('plans-2', { labels, annotations: { [COST]: '1000' } });
    const [mark] = markOf('plans-1', 'plans') as [RoleMark];
    mark.lead(DEAD);
    await eventually(async () =>
      expect(await marksOf('plans-2')).toEqual({
        labels: { 'nestjs-leader-election/reports': 'leader' },
        annotations: { [COST]: '1000' },
      }),
    );
  });

  it.each([
    ['a pod that is gone', DEAD],
    ['an identity that names no pod', 'My own identity'],
    ['this very pod, after its container was restarted', DEAD.replace('plans-2', 'plans-1')],
  ])('is looked for nowhere without an error: %s', async (_, identity) => {
    await createPod('plans-1');
    const [mark] = markOf('plans-1', 'plans') as [RoleMark];
    mark.lead(identity);
    await mark.close();
    expect(await marksOf('plans-1')).toMatchObject({ annotations: { [COST]: '1000' } });
    expect(errors).toEqual([]);
  });

  it('says how to name the pod where there is none of that name, and is set once there is', async () => {
    const [mark] = markOf('node-7', 'plans') as [RoleMark];
    mark.lead(undefined);
    await eventually(async () => {
      expect(errors).toEqual([expect.stringContaining('Set POD_NAME by the downward API')]);
    });
    await createPod('node-7');
    await eventually(async () => {
      await clock.advance(1_000);
      expect(await marksOf('node-7')).toMatchObject({ annotations: { [COST]: '1000' } });
    });
  });
});
