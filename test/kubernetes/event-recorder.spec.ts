import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ClusterEvent, EventRecorder } from '../../lib/kubernetes/event-recorder.js';
import { EmulatedConnection } from '../../proof/api-emulator/emulated-cluster.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { ManualClock } from '../support/manual-clock.js';

interface StoredEvent {
  readonly metadata: { readonly name: string };
  readonly involvedObject: { readonly uid?: string; readonly name: string };
  readonly message: string;
  readonly count: number;
  readonly reason: string;
}

/** A status is answered and nothing is stored; `lost` stores and loses the answer; `hang` does neither. */
type Planted = number | 'hang' | 'lost' | { readonly status: number; readonly reason: string };

/** What the server stores, and how it answers instead where a test plants that. */
let events: Map<string, StoredEvent>;
let requests: string[];
/** The names under which events were sent to be stored. */
let posted: string[];
let planted: ((method: string) => Planted | undefined) | undefined;
let server: Server;
let clock: ManualClock;
let errors: string[];
let recorder: EventRecorder;

beforeEach(async () => {
  [events, requests, posted, errors, planted] = [new Map(), [], [], [], undefined];
  clock = new ManualClock();
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      const { method = '', url = '' } = request;
      const [path] = url.split('?') as [string];
      requests.push(`${method} ${path}`);
      const answer = (status: number, object: unknown): void => {
        response.writeHead(status, {
          'content-type': 'application/json',
          ...(status === 429 && { 'retry-after': '1' }),
        });
        response.end(JSON.stringify(object));
      };
      if (method === 'POST') posted.push((JSON.parse(body) as StoredEvent).metadata.name);
      const fault = planted?.(method);
      if (fault === 'hang') return;
      if (fault !== undefined && fault !== 'lost') {
        const { status, reason } = typeof fault === 'number' ? { status: fault } : fault;
        const message = `planted ${status}`;
        return answer(status, { kind: 'Status', reason, message, code: status });
      }
      const name = path.split('/').at(-1)!;
      if (method === 'GET') return answer(200, { metadata: { uid: 'uid-of-the-lease' } });
      const given = JSON.parse(body) as StoredEvent;
      const status = stores(method, given, name);
      if (fault === 'lost') return request.socket.destroy();
      const reason = { 404: 'NotFound', 409: 'AlreadyExists' }[status];
      const kind = reason === undefined ? 'Event' : 'Status';
      return answer(status, { ...given, kind, reason, code: status });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  recorder = new EventRecorder({
    connection: new EmulatedConnection({ server: url }),
    namespace: async () => 'plans',
    instance: 'plan-1_x',
    clock,
    requestTimeoutMs: 3_000,
    report: ({ message }) => void errors.push(message),
  });
});

/** As the API server does; answers its status. */
function stores(method: string, given: StoredEvent, name: string): number {
  if (method === 'POST') {
    if (events.has(given.metadata.name)) return 409;
    events.set(given.metadata.name, given);
    return 201;
  }
  const stored = events.get(name);
  if (stored === undefined) return 404;
  events.set(name, { ...stored, ...given });
  return 200;
}

afterEach(() => {
  recorder.abandon();
  server.closeAllConnections();
  server.close();
});

const event = (change: Partial<ClusterEvent> = {}): ClusterEvent => ({
  type: 'Normal',
  reason: 'LeaderElection',
  message: 'plan-1_x became leader (term 3)',
  lease: 'plan-scheduler',
  ...change,
});
const stored = (): StoredEvent[] => [...events.values()];
const counts = (): number[] => stored().map(({ count }) => count);
const sent = (method: string): number => requests.filter((each) => each.startsWith(method)).length;
const pausing = () => eventually(() => expect(clock.pendingTimers).toBe(1));

describe('when an event is recorded', () => {
  it('is stored on the Lease, by the uid that kubectl describe looks for', async () => {
    recorder.record(event());
    await recorder.close();
    expect(stored()).toMatchObject([
      {
        involvedObject: {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          namespace: 'plans',
          name: 'plan-scheduler',
          uid: 'uid-of-the-lease',
        },
        type: 'Normal',
        reason: 'LeaderElection',
        message: 'plan-1_x became leader (term 3)',
        count: 1,
        source: { component: 'nestjs-leader-election', host: 'plan-1_x' },
      },
    ]);
  });

  it('is counted when it comes again, and stored again after ten minutes', async () => {
    for (let times = 0; times < 3; times += 1) recorder.record(event());
    await recorder.close();
    expect(counts()).toEqual([3]);
    await clock.advance(600_001);
    recorder.record(event());
    await recorder.close();
    expect(counts()).toEqual([3, 1]);
  });

  it('is stored again if the one before was deleted', async () => {
    recorder.record(event());
    await recorder.close();
    events.clear();
    recorder.record(event());
    await recorder.close();
    expect(counts()).toEqual([1]);
    expect(errors).toEqual([]);
  });
});

/** Answers to writes as they are planted, one after the other, and after that as the server does. */
function plant(...faults: (Planted | undefined)[]): void {
  planted = (method) => (method === 'GET' ? undefined : faults.shift());
}

describe('when the answer to a write is lost', () => {
  const toldAfter = async (pauses: number): Promise<void> => {
    recorder.record(event());
    for (let pause = 0; pause < pauses; pause += 1) {
      await pausing();
      await clock.advance(5_000);
    }
    await recorder.close();
  };

  it('stores an event once, though it is sent again', async () => {
    plant('lost');
    await toldAfter(1);
    expect(sent('POST')).toBe(2);
    expect(counts()).toEqual([1]);
    await toldAfter(0);
    expect(counts()).toEqual([2]);
  });

  it('stores an event once, though the server was too busy for the attempt between', async () => {
    plant('lost', 429);
    await toldAfter(2);
    expect(sent('POST')).toBe(3);
    expect(counts()).toEqual([1]);
    await toldAfter(0);
    expect(counts()).toEqual([2]);
  });

  it('counts an event once, though its count is sent again', async () => {
    await toldAfter(0);
    plant('lost');
    await toldAfter(1);
    expect(sent('PATCH')).toBe(2);
    expect(counts()).toEqual([2]);
  });

  it('counts an event once, though ten minutes are over when its count is sent again', async () => {
    await toldAfter(0);
    await clock.advance(599_000);
    plant('lost');
    await toldAfter(1);
    expect(counts()).toEqual([2]);
  });
});

describe('when the server answers 409', () => {
  it('stores the event under another name, as the one that has its name is not of this process', async () => {
    plant({ status: 409, reason: 'AlreadyExists' });
    recorder.record(event());
    await pausing();
    await recorder.close();
    expect(new Set(posted).size).toBe(2);
    expect(counts()).toEqual([1]);
    expect(errors).toEqual([]);
  });

  it('takes the event for stored only if its name is taken: a quota answers 409 too', async () => {
    plant(500, { status: 409, reason: 'Conflict' });
    recorder.record(event());
    await pausing();
    await recorder.close();
    recorder.record(event());
    await recorder.close();
    expect(sent('PATCH')).toBe(0);
    expect(counts()).toEqual([1]);
  });
});

describe('when there are many events', () => {
  it('tells those that differ in their message alone as one, after the tenth', async () => {
    for (let term = 1; term <= 20; term += 1) recorder.record(event({ message: `term ${term}` }));
    await recorder.close();
    expect(stored()).toHaveLength(11);
    const { message, count } = stored().at(-1)!;
    expect(message).toBe('(combined from similar events): term 20');
    expect(count).toBe(10);
  });

  it('stores 25 about one object, then one in five minutes, and does not mind other objects', async () => {
    const flood = async (lease: string): Promise<void> => {
      for (let times = 0; times < 40; times += 1) recorder.record(event({ lease }));
      await recorder.close();
    };
    await flood('plan-scheduler');
    const counted = (lease: string): number =>
      stored()
        .filter(({ involvedObject }) => involvedObject.name === lease)
        .reduce((sum, { count }) => sum + count, 0);
    expect(counted('plan-scheduler')).toBe(25);
    await clock.advance(300_000);
    await flood('plan-scheduler');
    expect(counted('plan-scheduler')).toBe(26);
    await flood('mails');
    expect(counted('mails')).toBe(25);
  });
});

describe('when the API server does not take events', () => {
  it('reports a missing right once, with the rule to add, and tries that event no more', async () => {
    planted = (method) => (method === 'POST' ? 403 : undefined);
    for (let term = 1; term <= 3; term += 1) {
      recorder.record(event({ message: `term ${term}` }));
      await recorder.close();
    }
    expect(sent('POST')).toBe(3);
    expect(errors).toEqual([expect.stringContaining('create events of namespace plans')]);
  });

  it('tries again after a pause, three times in all', async () => {
    planted = (method) => (method === 'POST' ? 500 : undefined);
    recorder.record(event());
    for (const expected of [1, 2]) {
      await pausing();
      expect(sent('POST')).toBe(expected);
      await clock.advance(5_000);
    }
    await recorder.close();
    expect(sent('POST')).toBe(3);
    expect(errors).toHaveLength(1);
  });

  it('tries at once when it is closed in a pause, and pauses again after that', async () => {
    planted = (method) => (method === 'POST' ? 500 : undefined);
    recorder.record(event());
    await pausing();
    const closing = recorder.close();
    await eventually(() => expect(sent('POST')).toBe(2));
    await pausing();
    await clock.advance(4_999);
    expect(clock.pendingTimers).toBe(1);
    expect(sent('POST')).toBe(2);
    await clock.advance(1);
    await closing;
    expect(sent('POST')).toBe(3);
  });

  it('holds nothing back: record() returns at once, and abandon() ends what hangs', async () => {
    planted = () => 'hang';
    for (let times = 0; times < 100; times += 1)
      recorder.record(event({ message: `term ${times}` }));
    await eventually(() => expect(requests).toHaveLength(1));
    const closing = recorder.close();
    recorder.abandon();
    await closing;
    recorder.record(event());
    expect(requests).toHaveLength(1);
    expect(errors).toEqual([]);
  });
});
