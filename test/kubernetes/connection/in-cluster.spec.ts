import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LockRequestError } from '../../../lib/core/errors.js';
import { InClusterConnection } from '../../../lib/kubernetes/connection/in-cluster.connection.js';
import { KubernetesTransport } from '../../../lib/kubernetes/kubernetes-transport.js';
import { PodEnvironment } from '../../../lib/kubernetes/connection/pod-environment.js';
import { ApiEmulator } from '../../../proof/api-emulator/api-emulator.js';
import { selfSignedCertificate } from '../../../proof/api-emulator/certificate.js';
import { withBusyThreadPool } from '../../support/busy-thread-pool.js';

const ENV = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' };

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'service-account-'));
  mount('token', 'first-token\n');
  mount('ca.crt', 'CA 1');
  mount('namespace', 'plans\n');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function mount(file: string, text: string): void {
  writeFileSync(join(directory, file), text);
}

function unmount(file: string): void {
  rmSync(join(directory, file));
}

const pod = (env: Record<string, string> = ENV) => new PodEnvironment(env, directory);

describe('PodEnvironment', () => {
  it.each<[string, Record<string, string>, string, unknown]>([
    ['the address', ENV, '/nowhere', expect.stringContaining('KUBERNETES_SERVICE_HOST is set')],
    ['the mount', {}, '', expect.stringContaining('is mounted')],
    [
      'the mount and an empty address',
      { KUBERNETES_SERVICE_HOST: '' },
      '',
      expect.stringContaining('is mounted'),
    ],
    ['neither', {}, '/nowhere', undefined],
  ])('when there is %s, says whether that shows a pod', (_, env, other, sign) => {
    expect(new PodEnvironment(env, other || directory).sign()).toEqual(sign);
  });

  it('when the mount has a namespace, takes it', () => {
    expect(pod().namespace()).toBe('plans');
  });

  const tokenWith = (claims: object): string =>
    ['x', Buffer.from(JSON.stringify(claims)).toString('base64url'), 'x'].join('.');
  const bound = tokenWith({ 'kubernetes.io': { pod: { name: 'plans-1', uid: 'uid-of-token' } } });

  it.each<[string, string, Record<string, string>, string | undefined]>([
    ['the token alone', bound, {}, 'uid-of-token'],
    [
      'the environment of another pod, as after a restored checkpoint',
      bound,
      { POD_UID: 'uid-of-original' },
      'uid-of-token',
    ],
    ['POD_UID alone', 'static', { POD_UID: ' uid-said ' }, 'uid-said'],
    ['a token of no pod', tokenWith({ 'kubernetes.io': {} }), { POD_UID: 'uid-said' }, 'uid-said'],
    ['nothing', 'static', { POD_UID: ' ' }, undefined],
  ])('when the uid of the pod is told by %s, finds it so', (_, token, env, uid) => {
    mount('token', token);
    expect(pod(env).uid()).toBe(uid);
  });

  it('when no token is mounted, takes the uid that POD_UID says', () => {
    unmount('token');
    expect(pod({ POD_UID: 'uid-said' }).uid()).toBe('uid-said');
  });

  it('when POD_NAMESPACE says it, takes that', () => {
    expect(pod({ ...ENV, POD_NAMESPACE: 'said' }).namespace()).toBe('said');
  });

  it('when nothing says it, does not guess', () => {
    unmount('namespace');
    expect(pod().namespace()).toBeUndefined();
  });
});

describe('InClusterConnection', () => {
  it.each([
    ['10.0.0.1', '6443', 'https://10.0.0.1:6443'],
    ['fd00::1', '443', 'https://[fd00::1]'],
    ['kubernetes.default.svc', '', 'https://kubernetes.default.svc'],
  ])('when the host is %s and the port %j, asks %s', async (host, port, origin) => {
    const env = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port };
    expect((await new InClusterConnection(pod(env)).access()).server.origin).toBe(origin);
  });

  it('when the address makes no URL, says so', async () => {
    const connection = new InClusterConnection(pod({ KUBERNETES_SERVICE_HOST: 'a b' }));
    await expect(connection.access()).rejects.toThrow(/KUBERNETES_SERVICE_HOST/);
  });

  it('when it is asked, gives token and CA as the files have them', async () => {
    expect(await new InClusterConnection(pod()).access()).toMatchObject({
      headers: { Authorization: 'Bearer first-token' },
      tls: { ca: 'CA 1' },
    });
  });

  it('when the files are replaced, gives the new ones with the next request', async () => {
    const connection = new InClusterConnection(pod());
    await connection.access();
    mount('token', 'other-token');
    mount('ca.crt', 'CA 2');
    expect(await connection.access()).toMatchObject({
      headers: { Authorization: 'Bearer other-token' },
      tls: { ca: 'CA 2' },
    });
  });

  it.each([
    ['token', 'automountServiceAccountToken'],
    ['ca.crt', 'automountServiceAccountToken'],
  ])('when %s is missing, says path, reason and remedy, and tries again', async (file, remedy) => {
    unmount(file);
    const connection = new InClusterConnection(pod());
    const failure = await connection.access().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(LockRequestError);
    const { message } = failure as LockRequestError;
    for (const part of [join(directory, file), 'ENOENT', remedy]) expect(message).toContain(part);
    mount(file, 'here now');
    await expect(connection.access()).resolves.toBeDefined();
  });

  it('when the token is empty, says so', async () => {
    mount('token', '\n');
    await expect(new InClusterConnection(pod()).access()).rejects.toThrow(/empty/);
  });

  it('when the files cannot be read for a while, goes on with the last ones until a 401', async () => {
    const connection = new InClusterConnection(pod());
    await connection.access();
    unmount('token');
    expect((await connection.access()).headers).toEqual({ Authorization: 'Bearer first-token' });
    await expect(connection.refresh()).rejects.toThrow(/ENOENT/);
    await expect(connection.access()).rejects.toThrow(/ENOENT/);
  });

  it('when it describes its credentials, names the file and not the token', async () => {
    const connection = new InClusterConnection(pod());
    await connection.access();
    expect(connection.describeCredentials()).toContain(join(directory, 'token'));
    expect(connection.describeCredentials()).not.toContain('first-token');
  });
});

describe('a request of a pod, when every thread of the pool is busy', () => {
  it.each<[string, number]>([
    ['on a new connection', 0],
    ['on a kept connection', 1],
  ])('is answered %s, with the token as the file has it', async (_, requestsBefore) => {
    const certificate = selfSignedCertificate();
    const emulator = await ApiEmulator.start({ certificate });
    const env = {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(emulator.port),
    };
    mount('ca.crt', certificate.cert);
    const transport = new KubernetesTransport(new InClusterConnection(pod(env)));
    const path = '/apis/coordination.k8s.io/v1/namespaces/plans/leases/plan';
    const send = () =>
      transport.send(
        { method: 'GET', path },
        { timeoutMs: 2_000, signal: new AbortController().signal },
      );
    for (let i = 0; i < requestsBefore; i++) await send();
    mount('token', 'rotated-token');
    const answer = await withBusyThreadPool(send);
    transport.close();
    await emulator.stop();
    expect(answer).toMatchObject({ kind: 'response', status: 404 });
    expect(emulator.requests.at(-1)?.headers.authorization).toBe('Bearer rotated-token');
  });
});
