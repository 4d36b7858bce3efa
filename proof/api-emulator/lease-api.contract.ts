import { describe, expect, it } from '@jest/globals';
import type { ApiBody, SendToApi } from './api-caller.js';

const nameOf = (lease: ApiBody) => String(lease.metadata?.['name']);

const SPEC = {
  holderIdentity: 'a',
  leaseDurationSeconds: 15,
  leaseTransitions: 1,
  renewTime: '2026-01-02T03:04:05.678901Z',
};

/** What the locks rely on in an API server, stated once for the emulator and for the real one. */
export function describeLeaseApi(
  name: string,
  sendTo: () => SendToApi,
  namespace = 'default',
): void {
  const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  let made = 0;
  const send: SendToApi = (...request) => sendTo()(...request);
  const create = (spec: object, lease = `fact-${++made}`) =>
    send('POST', leases, { metadata: { name: lease }, spec });
  const existing = async () => (await create(SPEC)).body;
  const pathOf = (lease: ApiBody) => `${leases}/${nameOf(lease)}`;
  const put = (lease: ApiBody, change: object = {}, metadata: object = {}) =>
    send('PUT', pathOf(lease), {
      ...lease,
      metadata: { ...lease.metadata, ...metadata },
      spec: { ...lease.spec, ...change },
    });

  describe(`${name} (what the locks rely on)`, () => {
    it.each(['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.678Z', '2026-01-02T03:04:05.678901234Z'])(
      'when renewTime is %s, answers 400',
      async (renewTime) => {
        const { status, body } = await create({ ...SPEC, renewTime });
        expect([status, body.kind]).toEqual([400, 'Status']);
        expect(body.message).toContain('cannot parse');
      },
    );

    it('when renewTime has six fraction digits, keeps it', async () => {
      const { status, body } = await create(SPEC);
      expect([status, body.spec]).toEqual([201, SPEC]);
    });

    it.each([{ leaseDurationSeconds: 0 }, { leaseTransitions: -1 }])(
      'when the spec has %j, answers 422',
      async (change) => {
        const { status, body } = await create({ ...SPEC, ...change }, 'refused');
        const field = `spec.${Object.keys(change)[0]}`;
        expect([status, body.details]).toMatchObject([
          422,
          { kind: 'Lease', causes: [{ reason: 'FieldValueInvalid', field }] },
        ]);
        expect(body.message).toMatch(
          /^Lease\.coordination\.k8s\.io "refused" is invalid: spec\..*: must be greater than/,
        );
      },
    );

    it('when the holder is empty, keeps it empty', async () => {
      expect((await create({ ...SPEC, holderIdentity: '' })).body.spec?.['holderIdentity']).toBe(
        '',
      );
    });

    it('when nothing changes, writes nothing', async () => {
      const lease = await existing();
      const { status, body } = await put(lease);
      expect([status, body.metadata?.['resourceVersion']]).toEqual([
        200,
        lease.metadata?.['resourceVersion'],
      ]);
    });

    it('when something changes, the resourceVersion grows', async () => {
      const lease = await existing();
      const { body } = await put(lease, { holderIdentity: 'b' });
      expect(Number(body.metadata?.['resourceVersion'])).toBeGreaterThan(
        Number(lease.metadata?.['resourceVersion']),
      );
      expect(body.metadata?.['uid']).toBe(lease.metadata?.['uid']);
    });

    it('when a PUT names no version, answers 422', async () => {
      const lease = await existing();
      const unversioned = { resourceVersion: undefined };
      const { status, body } = await put(lease, { holderIdentity: 'b' }, unversioned);
      expect([status, body.message]).toEqual([
        422,
        `leases.coordination.k8s.io "${nameOf(lease)}" is invalid: metadata.resourceVersion: ` +
          'Invalid value: 0: must be specified for an update',
      ]);
    });

    it('when a PUT names an old version, answers 409', async () => {
      const lease = await existing();
      await put(lease, { holderIdentity: 'b' });
      const { status, body } = await put(lease, { holderIdentity: 'c' });
      expect([status, body.reason]).toEqual([409, 'Conflict']);
    });

    it('when a merge PATCH names no version, applies it', async () => {
      const lease = await existing();
      await put(lease, { holderIdentity: 'b' });
      const { status, body } = await send('PATCH', pathOf(lease), {
        spec: { holderIdentity: 'c' },
      });
      expect([status, body.spec?.['holderIdentity']]).toEqual([200, 'c']);
    });

    it('when a PUT with a uid meets a deleted Lease, answers 409', async () => {
      const lease = await existing();
      await send('DELETE', pathOf(lease));
      const { status, body } = await put(lease);
      expect([status, body.reason]).toEqual([409, 'Conflict']);
      expect(body.message).toMatch(/UID in precondition: [^,]+, UID in object meta: $/);
    });

    it('when a PUT without a uid meets a deleted Lease, creates another', async () => {
      const lease = await existing();
      await send('DELETE', pathOf(lease));
      const { status, body } = await put(lease, {}, { uid: undefined });
      expect(status).toBe(201);
      expect(body.metadata?.['uid']).not.toBe(lease.metadata?.['uid']);
    });

    it('when the spec has an unknown field, drops it', async () => {
      const { status, body } = await create({ ...SPEC, futureField: 1 });
      expect([status, body.spec]).toEqual([201, SPEC]);
    });

    it('when a Lease is updated, sets no generation', async () => {
      const { body } = await put(await existing(), { holderIdentity: 'b' });
      expect(body.metadata?.['generation']).toBeUndefined();
    });

    it('when the Lease exists, refuses to create it', async () => {
      const lease = await existing();
      const { status, body } = await create(SPEC, nameOf(lease));
      expect([status, body.reason]).toEqual([409, 'AlreadyExists']);
    });

    it('when the Lease does not exist, names it in a 404', async () => {
      const { status, body } = await send('GET', `${leases}/nobody`);
      expect([status, body.reason]).toEqual([404, 'NotFound']);
      expect(body.details).toMatchObject({ name: 'nobody', kind: 'leases' });
    });

    it('when the namespace does not exist, names it in the 404 of a create', async () => {
      const elsewhere = leases.replace(`/${namespace}/`, '/nowhere/');
      const { status, body } = await send('POST', elsewhere, {
        metadata: { name: 'x' },
        spec: SPEC,
      });
      expect([status, body.details?.['kind']]).toEqual([404, 'namespaces']);
    });

    it('when a create names a version, answers 500', async () => {
      const metadata = { name: 'versioned', resourceVersion: '5' };
      expect((await send('POST', leases, { metadata, spec: SPEC })).status).toBe(500);
    });

    it('when labels and annotations are sent, keeps them', async () => {
      const kept = { labels: { a: 'b' }, annotations: { 'x.y/z': '1' } };
      const { body } = await put(await existing(), {}, kept);
      expect(body.metadata).toMatchObject(kept);
    });
  });
}
