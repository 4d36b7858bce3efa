import { describe, expect, it } from '@jest/globals';
import type { ApiBody, ApiCaller } from './api-caller.js';

const PODS = '/api/v1/namespaces/default/pods';
const SPEC = { containers: [{ name: 'c', image: 'i' }] };

/** What is known of Pods on an API server without a kubelet, for the emulator and for the real one. */
export function describePodApi(name: string, caller: () => ApiCaller): void {
  let made = 0;
  const create = async (spec: object = {}, fields: object = {}) => {
    const pod = { metadata: { name: `fact-${++made}` }, spec: { ...SPEC, ...spec }, ...fields };
    return (await caller().send('POST', PODS, pod)).body;
  };
  const nameOf = (pod: ApiBody) => String(pod.metadata?.['name']);
  const send = (method: string, pod: ApiBody, body?: object, part = '') =>
    caller().send(method, `${PODS}/${nameOf(pod)}${part}`, body);
  const setStatus = (pod: ApiBody, status: object) => send('PATCH', pod, { status }, '/status');
  const version = (pod: ApiBody) => pod.metadata?.['resourceVersion'];

  describe(`${name} (Pods)`, () => {
    it('when one is created with a status, makes it Pending all the same', async () => {
      expect(await create({}, { status: { phase: 'Running' } })).toMatchObject({
        kind: 'Pod',
        metadata: { generation: 1 },
        spec: { restartPolicy: 'Always', terminationGracePeriodSeconds: 30 },
        status: { phase: 'Pending' },
      });
    });

    it('when it has no container, answers 422', async () => {
      const answer = await caller().send('POST', PODS, { metadata: { name: 'hollow' } });
      expect(answer).toMatchObject({
        status: 422,
        body: {
          message: 'Pod "hollow" is invalid: spec.containers: Required value',
          details: { causes: [{ reason: 'FieldValueRequired', field: 'spec.containers' }] },
        },
      });
    });

    it('when the status is sent to the Pod itself, ignores it', async () => {
      const pod = await create();
      const { status, body } = await send('PATCH', pod, { status: { phase: 'Failed' } });
      expect([status, body.status, version(body)]).toEqual([200, pod.status, version(pod)]);
    });

    it('when a PUT to status names no version, replaces status and metadata but not the spec', async () => {
      const pod = await create();
      const metadata = { name: nameOf(pod), annotations: { a: 'b' } };
      const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
      const answer = await send('PUT', pod, { metadata, status }, '/status');
      expect(answer).toMatchObject({ status: 200, body: { metadata, spec: pod.spec, status } });
    });

    it('when a PUT to status names an old version, answers 409', async () => {
      const pod = await create();
      await setStatus(pod, { phase: 'Running' });
      expect((await send('PUT', pod, pod, '/status')).status).toBe(409);
    });

    it('when a merge PATCH to status has a list, replaces the list and keeps the rest', async () => {
      const pod = await create();
      await setStatus(pod, { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] });
      const { body } = await setStatus(pod, { conditions: [{ type: 'Other', status: 'False' }] });
      expect(body.status).toMatchObject({ phase: 'Running', conditions: [{ type: 'Other' }] });
    });

    it('when a container is said to have ended, keeps how', async () => {
      const terminated = { exitCode: 137, reason: 'OOMKilled' };
      const containerStatuses = [{ name: 'c', image: 'i', imageID: '', state: { terminated } }];
      const all = containerStatuses.map((each) => ({ ...each, ready: false, restartCount: 0 }));
      const { body } = await setStatus(await create(), { phase: 'Failed', containerStatuses: all });
      expect(body.status).toMatchObject({ phase: 'Failed', containerStatuses: all });
    });

    it('when the node changes, answers 422', async () => {
      const pod = await create({ nodeName: 'one' });
      expect((await send('PATCH', pod, { spec: { nodeName: 'two' } })).status).toBe(422);
    });

    it('when nobody of that name is there, answers 404 to a PUT and to its status', async () => {
      const nobody = { metadata: { name: 'nobody' } };
      expect((await send('PUT', nobody, { ...nobody, spec: SPEC })).status).toBe(404);
      expect((await send('PUT', nobody, nobody, '/status')).status).toBe(404);
      expect((await setStatus(nobody, {})).status).toBe(404);
    });

    it('when its status is to be deleted, answers 405', async () => {
      expect((await send('DELETE', await create(), undefined, '/status')).status).toBe(405);
    });

    it('when it runs nowhere, a DELETE removes it and answers the Pod', async () => {
      const pod = await create();
      const { body } = await send('DELETE', pod);
      expect(body).toMatchObject({ kind: 'Pod', metadata: { deletionGracePeriodSeconds: 0 } });
      expect((await send('GET', pod)).status).toBe(404);
    });

    it('when it has ended, a DELETE removes it', async () => {
      const pod = await create({ nodeName: 'one' });
      await setStatus(pod, { phase: 'Succeeded' });
      await send('DELETE', pod);
      expect((await send('GET', pod)).status).toBe(404);
    });

    it('when it is on a node, a DELETE marks it, and one without grace removes it', async () => {
      const pod = await create({ nodeName: 'one' });
      await send('DELETE', pod);
      const { body } = await send('GET', pod);
      expect(body.metadata).toMatchObject({
        generation: 2,
        deletionGracePeriodSeconds: 30,
        deletionTimestamp: expect.stringMatching(/:\d\dZ$/),
      });
      expect(version((await send('DELETE', pod)).body)).toBe(version(body));
      await send('DELETE', pod, { gracePeriodSeconds: 0 });
      expect((await send('GET', pod)).status).toBe(404);
    });

    it('when a field selector names phase, node or name, lists those that match', async () => {
      const pod = await create({ nodeName: 'listed' });
      await setStatus(pod, { phase: 'Running' });
      const found = async (selector: string) => {
        const query = new URLSearchParams({ fieldSelector: selector });
        const { body } = await caller().send('GET', `${PODS}?${query.toString()}`);
        return body.items?.map(nameOf);
      };
      expect(await found('spec.nodeName=listed,status.phase=Running')).toEqual([nameOf(pod)]);
      expect(await found('spec.nodeName==listed,status.phase!=Running')).toEqual([]);
      expect(await found(`metadata.name=${nameOf(pod)}`)).toEqual([nameOf(pod)]);
    });
  });
}
