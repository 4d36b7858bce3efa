import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LockRequestError } from '../../lib/core/errors.js';
import { LeaderMark, type RoleMark } from '../../lib/kubernetes/leader-mark.js';
import { type ApiRequest, KubernetesTransport } from '../../lib/kubernetes/kubernetes-transport.js';
import type { ApiAnswer } from '../../lib/kubernetes/object-request.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { connectionTo } from '../../proof/api-emulator/emulated-cluster.js';
import { ManualClock } from '../support/manual-clock.js';

const COST = 'controller.kubernetes.io/pod-deletion-cost';
const DEAD = 'plans-2_01234567-89ab-4cde-8f01-23456789abcd';
const PODS = '/api/v1/namespaces/default/pods';
const LABEL = 'nestjs-leader-election/plans';
const MARKED: Marks = { labels: { [LABEL]: 'leader' }, annotations: { [COST]: '1000' } };
const UNMARKED: Marks = { labels: {}, annotations: {} };

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
  const identity = `${podName}_1`;
  const joined = roles.map((role) =>
    mark.join(role, { requestTimeoutMs: 3_000, identity, report }),
  );
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
    plans.lead();
    await expects(['plans'], { [COST]: '1000' });
    reports.lead();
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
    mark.follow(DEAD);
    mark.lead();
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
    mark.follow(DEAD);
    mark.lead();
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
    mark.follow(identity);
    mark.lead();
    await quiet();
    expect(await marksOf('plans-1')).toMatchObject({ annotations: { [COST]: '1000' } });
    expect(errors).toEqual([]);
  });

  it('says how to name the pod where there is none of that name, and is set once there is', async () => {
    const [mark] = markOf('node-7', 'plans') as [RoleMark];
    mark.lead();
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

const patchesOf = (name: string) =>
  emulator.requestsOf('patch').filter(({ path }) => path.endsWith(`/pods/${name}`));

type SendArguments = Parameters<KubernetesTransport['send']>;
type Send = (this: KubernetesTransport, ...request: SendArguments) => Promise<ApiAnswer>;

const realSend = Reflect.get(KubernetesTransport.prototype, 'send') as Send;

afterEach(() => {
  KubernetesTransport.prototype.send = realSend;
});

/** Calls after each answer, before the sender sees it. */
function afterAnswers(call: (request: ApiRequest) => void): void {
  KubernetesTransport.prototype.send = async function (this: KubernetesTransport, ...request) {
    const answer = await realSend.apply(this, request);
    call(request[0]);
    return answer;
  };
}

/** Lets the next requests end, however many there are, without any time going by. */
async function quiet(): Promise<void> {
  for (let seen = -1; seen !== emulator.requests.length;) {
    seen = emulator.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('when the mark of a dead leader cannot be removed', () => {
  it('tries again at a slowing pace, and reports the same error once', async () => {
    await createPod('plans-1');
    await createPod('plans-2', MARKED);
    const isOther = ({ verb, path }: { verb: string; path: string }) =>
      verb === 'patch' && path.endsWith('/plans-2');
    emulator.fail({ fault: { kind: 'answer', status: 500 }, on: isOther, times: 3 });
    const [mark] = markOf('plans-1', 'plans') as [RoleMark];
    mark.follow(DEAD);
    mark.lead();
    await eventually(async () => {
      await clock.advance(1_000);
      expect(await marksOf('plans-2')).toEqual(UNMARKED);
    });
    expect(errors).toEqual([expect.stringContaining('patch Pod default/plans-2')]);
  });

  it('waits for as long as the server asks to', async () => {
    await createPod('plans-1');
    const headers = { 'retry-after': '30' };
    emulator.fail({ fault: { kind: 'answer', status: 429, headers }, on: () => true, times: 1 });
    const [mark] = markOf('plans-1', 'plans') as [RoleMark];
    mark.lead();
    await eventually(async () => expect(errors).toHaveLength(1));
    await clock.advance(29_000);
    await quiet();
    expect(patchesOf('plans-1')).toHaveLength(1);
    await clock.advance(1_000);
    await eventually(async () => expect(await marksOf('plans-1')).toEqual(MARKED));
  });
});

describe('when this container was killed as the leader, and starts again in its pod', () => {
  it('removes its mark once another pod leads', async () => {
    await createPod('plans-1', MARKED);
    const [mark] = markOf('plans-1', 'plans') as [RoleMark];
    mark.follow(DEAD);
    await eventually(async () => expect(await marksOf('plans-1')).toEqual(UNMARKED));
    mark.follow(undefined);
    mark.follow(DEAD);
    await quiet();
    expect(patchesOf('plans-1')).toHaveLength(2);
  });

  it('leaves it while the lease is still that of its pod', async () => {
    await createPod('plans-1', MARKED);
    const [mark] = markOf('plans-1', 'plans') as [RoleMark];
    mark.follow('plans-1_0');
    await quiet();
    expect(await marksOf('plans-1')).toEqual(MARKED);
  });

  it('writes nothing where there is no mark, and keeps the deletion cost that others set', async () => {
    const others = { labels: { app: 'plans' }, annotations: { [COST]: '7' } };
    await createPod('plans-1', others);
    const [mark] = markOf('plans-1', 'plans') as [RoleMark];
    mark.follow(DEAD);
    await quiet();
    expect(patchesOf('plans-1')).toHaveLength(1);
    expect(await marksOf('plans-1')).toEqual(others);
  });
});

describe('when leadership changes while a mark is being written', () => {
  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8])(
    'does not lose the change that comes %i microtasks later',
    async (ticks) => {
      await createPod('plans-1');
      const [mark] = markOf('plans-1', 'plans') as [RoleMark];
      let leave = async (): Promise<void> => {
        leave = async () => undefined;
        for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
        mark.leave();
      };
      afterAnswers(() => void leave());
      mark.lead();
      await eventually(async () => expect(patchesOf('plans-1')).toHaveLength(2));
      await eventually(async () => expect(await marksOf('plans-1')).toEqual(UNMARKED));
    },
  );
});

describe('when a pod that was taken for dead leads again', () => {
  it('keeps its mark, though its successor has just read that it is marked', async () => {
    await createPod('plans-1');
    await createPod('plans-2', MARKED);
    const [mark] = markOf('plans-1', 'plans') as [RoleMark];
    afterAnswers(({ path }) => {
      if (!path.endsWith('/plans-2') || patchesOf('plans-2').length > 1) return;
      emulator.pods.patch('default', 'plans-2', { metadata: { annotations: { a: 'b' } } }, 'test');
    });
    mark.follow(DEAD);
    mark.lead();
    await eventually(async () => expect(patchesOf('plans-2')).toHaveLength(2));
    await quiet();
    expect(await marksOf('plans-2')).toMatchObject(MARKED);
    mark.leave();
    mark.follow(DEAD);
    await clock.advance(120_000);
    await quiet();
    expect(await marksOf('plans-2')).toMatchObject(MARKED);
    expect(errors).toEqual([]);
  });

  it('is marked again, though its own request to remove the mark was refused and its successor removed it', async () => {
    await createPod('plans-1');
    const [mark] = markOf('plans-1', 'plans') as [RoleMark];
    mark.lead();
    await eventually(async () => expect(await marksOf('plans-1')).toEqual(MARKED));
    emulator.fail({ fault: { kind: 'answer', status: 429 }, on: () => true, times: 1 });
    mark.leave();
    await eventually(async () => expect(errors).toHaveLength(1));
    const annotations = { [COST]: null };
    const metadata = { labels: { [LABEL]: null }, annotations };
    emulator.pods.patch('default', 'plans-1', { metadata }, 'test');
    mark.lead();
    await eventually(async () => expect(await marksOf('plans-1')).toEqual(MARKED));
  });
});

describe('when identities do not begin with the names of pods', () => {
  it('asks for no pod but its own', async () => {
    await createPod('plans-1');
    await createPod('redis', MARKED);
    const connection = connectionTo(emulator);
    const mark = new LeaderMark({ connection, namespace: 'default', podName: 'plans-1', clock });
    const role = mark.join('plans', {
      requestTimeoutMs: 3_000,
      identity: 'my-own',
      report: (error) => void errors.push(error.message),
    });
    marks.push(role);
    role.follow('redis');
    role.lead();
    await eventually(async () => expect(await marksOf('plans-1')).toEqual(MARKED));
    await quiet();
    expect(patchesOf('redis')).toEqual([]);
  });
});
