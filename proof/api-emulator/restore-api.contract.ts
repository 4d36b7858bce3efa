import { describe, expect, it } from '@jest/globals';
import type { ApiCaller } from './api-caller.js';

/** Keeps what the server has stored; what it answers puts that back. */
export type TakeSnapshot = () => Promise<() => Promise<void>>;

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/default/leases';

/** What a server is after its data was put back to what it was before. */
export function describeRestoreApi(
  name: string,
  caller: () => ApiCaller,
  takeSnapshot: TakeSnapshot,
): void {
  const create = (lease: string) =>
    caller().send('POST', LEASES, { metadata: { name: lease }, spec: { holderIdentity: 'a' } });

  describe(`${name} (restored)`, () => {
    it('when its data is put back, versions go back, and those lost since are conflicts', async () => {
      const before = (await create('restored')).body;
      const restore = await takeSnapshot();
      const spec = { holderIdentity: 'b' };
      const lost = (await caller().send('PUT', `${LEASES}/restored`, { ...before, spec })).body;
      await create('lost');
      await restore();
      expect((await caller().send('GET', `${LEASES}/restored`)).body).toEqual(before);
      expect((await caller().send('GET', `${LEASES}/lost`)).status).toBe(404);
      expect((await caller().send('PUT', `${LEASES}/restored`, lost)).status).toBe(409);
      const again = await caller().send('PUT', `${LEASES}/restored`, { ...before, spec });
      expect(again).toMatchObject({ status: 200, body: { spec } });
    });
  });
}
