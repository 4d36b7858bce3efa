import { describe, expect, it } from '@jest/globals';
import type { ApiBody, ApiCaller } from './api-caller.js';

/** What is known of ConfigMaps on an API server, stated once for the emulator and for the real one. */
export function describeConfigMapApi(name: string, caller: () => ApiCaller): void {
  const configMaps = '/api/v1/namespaces/default/configmaps';
  let made = 0;
  const create = (fields: object, configMap = `fact-${++made}`) =>
    caller().send('POST', configMaps, { metadata: { name: configMap }, ...fields });
  const existing = async () => (await create({ data: { k: 'v' } })).body;
  const nameOf = (body: ApiBody) => String(body.metadata?.['name']);
  const pathOf = (body: ApiBody) => `${configMaps}/${nameOf(body)}`;
  const send = (method: string, of: ApiBody, body?: object) =>
    caller().send(method, pathOf(of), body);
  const put = (of: ApiBody, data: object, metadata: object = {}) =>
    send('PUT', of, { metadata: { name: nameOf(of), ...metadata }, data });
  const deleted = async () => {
    const configMap = await existing();
    await send('DELETE', configMap);
    return configMap;
  };

  describe(`${name} (ConfigMaps)`, () => {
    it('when one is created, keeps data, binaryData and annotations, and sets no generation', async () => {
      const metadata = { name: 'kept', annotations: { 'x.y/z': '1' } };
      const fields = { data: { k: 'v' }, binaryData: { b: 'AA==' } };
      const { status, body } = await create({ metadata, ...fields, unknown: 1 });
      expect([status, body]).toMatchObject([201, { kind: 'ConfigMap', ...fields, metadata }]);
      expect(body).not.toHaveProperty('unknown');
      expect(body.metadata).not.toHaveProperty('generation');
    });

    it('when the data is empty, has none', async () => {
      expect((await create({ data: {} })).body).not.toHaveProperty('data');
    });

    it('when a value is no text, answers 400', async () => {
      expect(await create({ data: { k: 1 } })).toMatchObject({
        status: 400,
        body: { message: expect.stringContaining('cannot unmarshal number') },
      });
    });

    it('when the data is larger than 1 MiB, answers 422', async () => {
      const { status, body } = await create({ data: { k: 'x'.repeat(1024 * 1024 + 1) } }, 'large');
      expect([status, body.message]).toEqual([
        422,
        'ConfigMap "large" is invalid: []: Too long: may not be more than 1048576 bytes',
      ]);
    });

    it('when a PUT names no version, replaces what is there, annotations too', async () => {
      const configMap = (await create({ metadata: { name: 'bare', annotations: { a: 'b' } } }))
        .body;
      const { status, body } = await put(configMap, { k: 'w' });
      expect([status, body.data]).toEqual([200, { k: 'w' }]);
      expect(body.metadata).not.toHaveProperty('annotations');
    });

    it('when a PUT names an old version, answers 409', async () => {
      const configMap = await existing();
      await put(configMap, { k: 'w' });
      const { status, body } = await put(configMap, { k: 'x' }, configMap.metadata);
      expect([status, body.reason]).toEqual([409, 'Conflict']);
    });

    it('when a PUT names another uid, answers 409 and both uids', async () => {
      const configMap = await existing();
      const { status, body } = await put(configMap, { k: 'w' }, { uid: 'other' });
      const uids = `UID in precondition: other, UID in object meta: ${String(configMap.metadata?.['uid'])}`;
      expect([status, body.message]).toEqual([409, expect.stringContaining(uids)]);
    });

    it.each(['uid', 'resourceVersion', 'name'])(
      'when a PUT with %s meets a deleted one, answers 404 and creates nothing',
      async (field) => {
        const configMap = await deleted();
        const metadata = { [field]: configMap.metadata?.[field] };
        const { status, body } = await put(configMap, { k: 'w' }, metadata);
        expect([status, body.details]).toEqual([
          404,
          { name: nameOf(configMap), kind: 'configmaps' },
        ]);
      },
    );

    it('when a PUT changes nothing, writes nothing', async () => {
      const configMap = await existing();
      const { body } = await put(configMap, { k: 'v' });
      expect(body.metadata?.['resourceVersion']).toBe(configMap.metadata?.['resourceVersion']);
    });

    it.each([
      ['another name', { name: 'other' }],
      ['no name', { name: undefined }],
    ])('when a PUT has %s, answers 400', async (_, metadata) => {
      expect((await put(await existing(), {}, metadata)).status).toBe(400);
    });

    it('when a merge PATCH has null for a key, removes it and keeps the others', async () => {
      const { body } = await create({ data: { a: '1', b: '2' } });
      expect((await send('PATCH', body, { data: { a: null, c: '3' } })).body.data).toEqual({
        b: '2',
        c: '3',
      });
    });

    it('when a merge PATCH names an old version, answers 409', async () => {
      const configMap = await existing();
      await put(configMap, { k: 'w' });
      const { resourceVersion } = configMap.metadata ?? {};
      const patch = { metadata: { resourceVersion }, data: { k: 'x' } };
      expect((await send('PATCH', configMap, patch)).status).toBe(409);
    });

    it('when it is immutable, answers 422 to other data', async () => {
      const { body } = await create({ immutable: true, data: { k: 'v' } });
      const { status, body: refusal } = await send('PATCH', body, { data: { k: 'w' } });
      expect([status, refusal.message]).toEqual([422, expect.stringContaining('is immutable')]);
    });

    it.each([{ uid: 'other' }, { resourceVersion: '1' }])(
      'when a DELETE demands %j, answers 409 and leaves it',
      async (preconditions) => {
        const configMap = await existing();
        expect((await send('DELETE', configMap, { preconditions })).status).toBe(409);
        expect((await send('GET', configMap)).status).toBe(200);
      },
    );

    it('when it is deleted, answers a Status with its uid', async () => {
      const configMap = await existing();
      const { body } = await send('DELETE', configMap);
      const { uid } = configMap.metadata ?? {};
      expect(body).toMatchObject({ kind: 'Status', details: { kind: 'configmaps', uid } });
    });

    it('when a field selector names one, lists that one, without its kind', async () => {
      const configMap = await existing();
      const query = `?fieldSelector=metadata.name%3D${nameOf(configMap)}`;
      const { body } = await caller().send('GET', configMaps + query);
      const { kind: _, apiVersion: __, ...item } = configMap;
      expect(body).toMatchObject({ kind: 'ConfigMapList', items: [item] });
      expect(body.items?.[0]).not.toHaveProperty('kind');
    });

    it('when a field selector names an unknown field, answers 400', async () => {
      const { status, body } = await caller().send('GET', `${configMaps}?fieldSelector=a.b%3Dc`);
      expect([status, body.message]).toEqual([
        400,
        '"a.b" is not a known field selector: only "metadata.name", "metadata.namespace"',
      ]);
    });
  });
}
