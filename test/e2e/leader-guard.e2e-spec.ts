import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { FIRST_START_LIMIT_MS } from '../../proof/control-plane/control-plane.js';
import { WebCluster } from './support/web-cluster.js';
import type { WebReplica } from './support/web-replica.js';

let web: WebCluster;

beforeAll(async () => {
  web = await WebCluster.start();
}, FIRST_START_LIMIT_MS);
afterEach(() => web.endReplicas());
afterAll(() => web?.stop());

const start = (name: string, saysAddress: boolean): Promise<WebReplica> =>
  web.startReplica(name, { saysAddress });

const close = ({ url }: WebReplica, redirect: 'follow' | 'manual' = 'follow') =>
  fetch(`${url}/plans/a%20b/close?by=anna%26co`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ reason: 'expired' }),
    redirect,
  });

const ADDRESS = 'nestjs-leader-election/address';

async function writtenAddress(): Promise<string> {
  const { annotations } = (await web.cluster.lease()).metadata as Record<string, object>;
  return (annotations as Record<string, string>)[ADDRESS]!;
}

/** What the handler answers, whoever was asked first. */
const closedBy = (leader: string, term: number) => ({
  plan: 'a b',
  by: 'anna&co',
  body: { reason: 'expired' },
  closedBy: leader,
  term,
});

describe('when a request for the leader comes to a follower in another process', () => {
  it('is led to the leader by a 307, with its path, query and body, also after a handover', async () => {
    const first = await start('pod-a', true);
    await first.line(/^granted$/);
    const second = await start('pod-b', true);
    await second.line(/^leader pod-a$/);
    expect((await close(second, 'manual')).headers.get('location')).toBe(
      `${first.url}/plans/a%20b/close?by=anna%26co`,
    );
    const answer = await close(second);
    expect([answer.status, await answer.json()]).toEqual([201, closedBy('pod-a', 1)]);
    first.signal('SIGTERM');
    await second.line(/^granted$/);
    const third = await start('pod-c', true);
    await third.line(/^leader pod-b$/);
    expect(await (await close(third)).json()).toEqual(closedBy('pod-b', 2));
  });

  it('is refused while the leader says no address, though the one before it did', async () => {
    const first = await start('pod-a', true);
    await first.line(/^granted$/);
    expect(await writtenAddress()).toContain(first.url);
    const second = await start('pod-b', false);
    await second.line(/^leader pod-a$/);
    await first.kill();
    await second.line(/^granted$/);
    const third = await start('pod-c', true);
    await third.line(/^leader pod-b$/);
    expect((await close(third, 'manual')).status).toBe(503);
    expect((await close(second)).status).toBe(201);
  });

  it('is led to no address with a user, which someone wrote on the lease', async () => {
    const first = await start('pod-a', true);
    await first.line(/^granted$/);
    const second = await start('pod-b', true);
    await second.line(/^leader pod-a$/);
    const forged = (await writtenAddress()).replace(first.url, 'http://anna:secret@evil.example');
    await web.cluster.server.request('PATCH', web.cluster.leasePath, {
      metadata: { annotations: { [ADDRESS]: forged } },
    });
    const location = async () => (await close(second, 'manual')).headers.get('location');
    const seen = new Set<string | null>();
    for (let round = 0; round < 20; round += 1) seen.add(await location());
    // The next renewal puts its own address back.
    expect([...seen].filter((each) => each !== null && !each.startsWith(first.url))).toEqual([]);
  });
});
