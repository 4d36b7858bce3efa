import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import type { ReplicaServer } from '../../proof/fleet/replica-server.js';
import { until } from '../../proof/kubernetes/until.js';
import type { WebSettings } from './support/web-application.js';
import { WebCluster } from './support/web-cluster.js';
import type { WebReplica } from './support/web-replica.js';

/** What Terminus answers, as far as it is asked for here. */
interface HealthAnswer {
  readonly code: number;
  readonly status: string;
  readonly leadership: {
    readonly status: string;
    readonly isLeader: boolean;
    readonly leader?: string;
    readonly term?: number;
    readonly remainingMs: number;
    readonly reason?: string;
  };
}

let web: WebCluster;

beforeAll(async () => {
  web = await WebCluster.start();
}, FIRST_START_LIMIT_MS);
afterEach(() => web.endReplicas());
afterAll(() => web?.stop());

async function start(
  name: string,
  change: Partial<WebSettings> = {},
): Promise<{ readonly replica: WebReplica; readonly server: ReplicaServer }> {
  const server = await web.cluster.connect();
  const { kubeConfigFile } = server;
  return { replica: await web.startReplica(name, { kubeConfigFile, ...change }), server };
}

async function health({ url }: WebReplica, withinMs = 60_000): Promise<HealthAnswer> {
  const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(withinMs) });
  const { status, details } = (await answer.json()) as {
    status: string;
    details: Pick<HealthAnswer, 'leadership'>;
  };
  return { code: answer.status, status, leadership: details.leadership };
}

/** The first answer of that kind. */
async function answerOf(
  replica: WebReplica,
  what: string,
  holds: (answer: HealthAnswer) => boolean,
): Promise<HealthAnswer> {
  let found: HealthAnswer | undefined;
  await until(what, async () => {
    const answer = await health(replica);
    if (holds(answer)) found = answer;
    return found !== undefined;
  });
  return found!;
}

describe('when a probe asks a Terminus application over HTTP', () => {
  it('is answered 200 and up by the leader and by a follower', async () => {
    const { replica: leader } = await start('pod-a');
    await leader.line(/^granted$/);
    const { replica: follower } = await start('pod-b');
    await follower.line(/^leader pod-a$/);
    expect(await health(leader)).toMatchObject({
      code: 200,
      status: 'ok',
      leadership: { status: 'up', isLeader: true, leader: 'pod-a', term: 1 },
    });
    expect(await health(follower)).toMatchObject({
      code: 200,
      status: 'ok',
      leadership: { status: 'up', isLeader: false, leader: 'pod-a', remainingMs: 0 },
    });
  });

  it('is answered 200 and degraded by a leader that is cut off from the API server, and up once that is over', async () => {
    const { replica, server } = await start('pod-a', {
      leaseDurationMs: 120_000,
      renewDeadlineMs: 90_000,
    });
    await replica.line(/^granted$/);
    await server.proxy.refuse();
    server.proxy.reset();
    const cutOff = await answerOf(replica, 'failed renewal', ({ leadership }) => {
      return /^renewals fail .*: update Lease .*ECONNREFUSED/.test(leadership.reason ?? '');
    });
    expect(cutOff).toMatchObject({
      code: 200,
      status: 'degraded',
      leadership: { status: 'degraded', isLeader: true, term: 1 },
    });
    expect(cutOff.leadership.remainingMs).toBeGreaterThan(0);
    await server.proxy.admit();
    const healed = await answerOf(replica, 'up', ({ leadership }) => leadership.status === 'up');
    expect(healed).toMatchObject({ code: 200, leadership: { isLeader: true, term: 1 } });
  });

  it('is answered 200 and degraded by a replica that has had no leader for longer than a lease', async () => {
    const { replica, server } = await start('pod-a', { leaseDurationMs: 3_000 });
    await replica.line(/^granted$/);
    server.proxy.shape('both', { kind: 'blackhole', bytes: 'discard' });
    await replica.line(/^revoked$/);
    const { code, leadership } = await answerOf(replica, 'no leader', (answer) => {
      return answer.leadership.reason?.startsWith('no leader is known') === true;
    });
    expect([code, leadership.status, leadership.isLeader]).toEqual([200, 'degraded', false]);
  });

  it('is not answered while the event loop stands still, then 503 and down, and up after that', async () => {
    const { replica } = await start('pod-a', { leaseDurationMs: 3_000 });
    await replica.line(/^granted$/);
    await fetch(`${replica.url}/health/stall/8000`, { method: 'POST' });
    const stalled = health(replica);
    await replica.line(/^stalls$/);
    await expect(health(replica, 500)).rejects.toThrow(/timeout/i);
    const { code, status, leadership } = await stalled;
    expect([code, status]).toEqual([503, 'error']);
    expect(leadership).toMatchObject({ status: 'down', isLeader: false });
    expect(leadership.reason).toMatch(/^its term was not renewed for .*the event loop is blocked$/);
    await replica.line(/^revoked$/);
    const later = await answerOf(replica, 'up', (answer) => answer.leadership.isLeader);
    expect(later).toMatchObject({ code: 200, leadership: { status: 'up', term: 2 } });
  });

  it('is not answered by a process that has stopped', async () => {
    const { replica } = await start('pod-a');
    await replica.line(/^granted$/);
    replica.signal('SIGSTOP');
    await expect(health(replica, 1_000)).rejects.toThrow(/timeout/i);
    await replica.kill();
    await expect(health(replica)).rejects.toThrow(/fetch failed/);
  });
});
