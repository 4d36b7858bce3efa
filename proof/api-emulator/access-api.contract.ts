import { describe, expect, it } from '@jest/globals';
import type { PolicyRule } from '../control-plane/access-control.js';
import type { ApiCaller } from './api-caller.js';

/** Gives a service account of the namespace `default` these rights, and answers its token. */
export type GrantAccess = (account: string, rules: readonly PolicyRule[]) => Promise<string>;

const CORE = '/api/v1/namespaces/default';
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
const ACCOUNT = 'accessor';
const RULES: PolicyRule[] = [
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'], resourceNames: ['named'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['patch'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
];

const refusals: [string, string, string, string, string][] = [
  ['another name', 'GET', `${CORE}/configmaps/other`, 'configmaps "other"', 'get'],
  ['another verb', 'DELETE', `${CORE}/configmaps/named`, 'configmaps "named"', 'delete'],
  ['a list', 'GET', `${CORE}/configmaps`, 'configmaps', 'list'],
  [
    'a watch of a name',
    'GET',
    `${CORE}/configmaps?watch=true&fieldSelector=metadata.name%3Dnamed`,
    'configmaps "named"',
    'watch',
  ],
  ['a create', 'POST', `${CORE}/configmaps`, 'configmaps', 'create'],
  ['another group', 'GET', LEASES, 'leases.coordination.k8s.io', 'list'],
  ['a sub-resource', 'PATCH', `${CORE}/pods/p/status`, 'pods "p"', 'patch'],
  ['another namespace', 'POST', LEASES.replace('default', 'kube-system'), 'leases', 'create'],
];

/** What RBAC answers, stated once for the emulator and for the real server. */
export function describeAccessApi(name: string, caller: () => ApiCaller, grant: GrantAccess): void {
  let token: Promise<string> | undefined;
  const account = async () => caller().as(await (token ??= grant(ACCOUNT, RULES)));

  describe(`${name} (access)`, () => {
    it.each(refusals)(
      'when %s is not granted, says what is',
      async (_, method, path, what, verb) => {
        const { status, body } = await (await account()).send(method, path, {});
        expect([status, body.kind, body.reason]).toEqual([403, 'Status', 'Forbidden']);
        expect(body.message?.startsWith(what)).toBe(true);
        const user = `User "system:serviceaccount:default:${ACCOUNT}"`;
        expect(body.message).toContain(`is forbidden: ${user} cannot ${verb} resource "`);
      },
    );

    it('when a sub-resource is refused, names it in the message but not in the details', async () => {
      const { body } = await (await account()).send('PATCH', `${CORE}/pods/p/status`, {});
      expect(body.message).toContain('resource "pods/status" in API group "" in the namespace');
      expect(body.details).toEqual({ name: 'p', kind: 'pods' });
    });

    it('when a collection of a group is refused, the details have the group and no name', async () => {
      const { body } = await (await account()).send('GET', LEASES);
      expect(body.details).toEqual({ group: 'coordination.k8s.io', kind: 'leases' });
    });

    it.each([
      [404, 'GET', '/configmaps/named'],
      [200, 'GET', '/configmaps?fieldSelector=metadata.name%3Dnamed'],
      [404, 'PATCH', '/pods/nobody'],
    ])('when it is granted, answers %d to %s %s', async (status, method, path) => {
      const body = method === 'GET' ? undefined : {};
      expect((await (await account()).send(method, CORE + path, body)).status).toBe(status);
    });

    it('when the token is unknown, answers 401', async () => {
      await account();
      const { status, body } = await caller().as('unknown').send('GET', LEASES);
      expect([status, body]).toMatchObject([401, { message: 'Unauthorized' }]);
      expect(body).not.toHaveProperty('details');
    });

    it('when there is no token, names the anonymous user in a 403', async () => {
      await account();
      const { status, body } = await caller().as(undefined).send('GET', LEASES);
      expect([status, body.message]).toEqual([
        403,
        expect.stringContaining('User "system:anonymous" cannot list resource "leases"'),
      ]);
    });
  });
}
