import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, it, expect } from '@jest/globals';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeconfigConnection } from '../../../lib/locks/kubernetes/kubeconfig.connection.js';
import {
  loadKubeConfig,
  MissingClientNodeError,
  type KubeConfigLike,
  type KubeConfigSource,
} from '../../../lib/locks/kubernetes/kubeconfig.loader.js';
import { KubernetesTransport } from '../../../lib/locks/kubernetes/kubernetes-transport.js';
import { ApiEmulator } from '../../support/api-emulator/api-emulator.js';
import { selfSignedCertificate, type Certificate } from '../../support/api-emulator/certificate.js';

const GET = {
  method: 'GET',
  path: '/apis/coordination.k8s.io/v1/namespaces/default/leases/plan',
} as const;

let serving: Certificate;
let client: Certificate;
let directory: string;
let file: string;

beforeAll(() => {
  serving = selfSignedCertificate();
  client = selfSignedCertificate();
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
  file = join(directory, 'config');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const base64 = (text: string) => Buffer.from(text).toString('base64');

interface Shape {
  readonly server?: string;
  readonly user?: object;
  readonly cluster?: object;
  readonly namespace?: string;
  readonly current?: string;
}

function kubeconfig({ server = 'https://one.example', user = {}, cluster = {}, ...rest }: Shape) {
  const { namespace, current = 'one' } = rest;
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'one', cluster: { server, ...cluster } },
      { name: 'two', cluster: { server: 'https://two.example' } },
    ],
    users: [{ name: 'jane', user }],
    contexts: [
      { name: 'one', context: { cluster: 'one', user: 'jane', ...(namespace && { namespace }) } },
      { name: 'two', context: { cluster: 'two', user: 'jane', namespace: 'second' } },
    ],
    'current-context': current,
  });
}

function fromFile(shape: Shape, context?: string): KubeconfigConnection {
  writeFileSync(file, kubeconfig(shape));
  return new KubeconfigConnection({ kind: 'file', file }, context);
}

function instanceOf(shape: Shape): KubeConfig {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(kubeconfig(shape));
  return kubeConfig;
}

describe('KubeconfigConnection, when it reads a file', () => {
  it('takes server, token and namespace of the current context', async () => {
    const connection = fromFile({ user: { token: 'secret' }, namespace: 'plans' });
    expect(await connection.access()).toMatchObject({
      server: new URL('https://one.example'),
      headers: { Authorization: 'Bearer secret' },
    });
    expect(await connection.namespace()).toBe('plans');
  });

  it('takes those of the context that is asked for', async () => {
    const connection = fromFile({}, 'two');
    expect((await connection.access()).server.host).toBe('two.example');
    expect(await connection.namespace()).toBe('second');
  });

  it('and the context names no namespace, guesses none', async () => {
    expect(await fromFile({}).namespace()).toBeUndefined();
  });

  it.each<[string, Shape, string | undefined]>([
    ['the asked context', {}, 'three'],
    ['the current context', { current: 'gone' }, undefined],
    ['a current context', { current: '' }, undefined],
  ])('and it does not have %s, lists those it has', async (_, shape, context) => {
    await expect(fromFile(shape, context).access()).rejects.toThrow(/Its contexts are: one, two\./);
  });

  it('that is not there, says which, and finds it once it is', async () => {
    const connection = new KubeconfigConnection({ kind: 'file', file }, undefined);
    await expect(connection.access()).rejects.toThrow(file);
    writeFileSync(file, kubeconfig({}));
    expect((await connection.access()).server.host).toBe('one.example');
  });

  it('that is not a kubeconfig, says so', async () => {
    writeFileSync(file, '{"a"');
    const connection = new KubeconfigConnection({ kind: 'file', file }, undefined);
    await expect(connection.access()).rejects.toThrow(/cannot be read/);
  });

  it.each<[string, Shape, object]>([
    [
      'user and password',
      { user: { username: 'jane', password: 'pw' } },
      { headers: { Authorization: `Basic ${base64('jane:pw')}` } },
    ],
    [
      'impersonation',
      { user: { token: 't', as: 'admin' } },
      { headers: { 'Impersonate-User': 'admin' } },
    ],
    [
      'a CA and a server name',
      { cluster: { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'api' } },
      { tls: { ca: Buffer.from('CA'), servername: 'api' } },
    ],
    [
      'unchecked certificates',
      { cluster: { 'insecure-skip-tls-verify': true } },
      { tls: { rejectUnauthorized: false } },
    ],
    [
      'a proxy',
      { cluster: { 'proxy-url': 'http://proxy:3128' } },
      { proxyUrl: 'http://proxy:3128' },
    ],
  ])('with %s, hands it on', async (_, shape, expected) => {
    expect(await fromFile(shape).access()).toMatchObject(expected);
  });

  it('with an http server that is not declared insecure, explains what client-node wants', async () => {
    await expect(fromFile({ server: 'http://localhost:8080' }).access()).rejects.toThrow(
      /insecure-skip-tls-verify/,
    );
  });

  it('reads it again after a 401', async () => {
    const connection = fromFile({ user: { token: 'old' } });
    await connection.access();
    writeFileSync(file, kubeconfig({ user: { token: 'new' } }));
    expect((await connection.access()).headers).toEqual({ Authorization: 'Bearer old' });
    await connection.refresh();
    expect((await connection.access()).headers).toEqual({ Authorization: 'Bearer new' });
  });

  it('describes the user and the file and not the token', async () => {
    const connection = fromFile({ user: { token: 'secret' } });
    await connection.access();
    const text = connection.describeCredentials();
    for (const part of ['"jane"', '"one"', file]) expect(text).toContain(part);
    expect(text).not.toContain('secret');
  });
});

describe('KubeconfigConnection, when an exec plug-in gives the token', () => {
  const run = (script: string) => {
    const program = join(directory, 'plug-in');
    writeFileSync(program, `#!/bin/sh\n${script}\n`);
    chmodSync(program, 0o755);
    return { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: program } };
  };

  it('uses it, and asks once for requests that wait together', async () => {
    const log = join(directory, 'log');
    const credential = JSON.stringify({ status: { token: 'from-plug-in' } });
    const connection = fromFile({ user: run(`echo run >> ${log}\necho '${credential}'`) });
    const [one, other] = await Promise.all([connection.access(), connection.access()]);
    expect(one.headers).toEqual({ Authorization: 'Bearer from-plug-in' });
    expect(other).toBe(one);
  });

  it('and fails, says what it said', async () => {
    const connection = fromFile({ user: run('echo "log in first" >&2; exit 1') });
    await expect(connection.access()).rejects.toThrow(/log in first/);
  });

  it('and hangs, the request ends in its time', async () => {
    const connection = fromFile({ user: run('sleep 0.5') });
    const transport = new KubernetesTransport(connection);
    const signal = new AbortController().signal;
    expect(await transport.send(GET, { timeoutMs: 100, signal })).toMatchObject({
      kind: 'not-sent',
    });
    transport.close();
  });
});

describe('KubeconfigConnection, when the application passes its KubeConfig', () => {
  it('takes another context without changing it', async () => {
    const kubeConfig = instanceOf({ user: { token: 't' } });
    const connection = new KubeconfigConnection({ kind: 'instance', kubeConfig }, 'two');
    expect((await connection.access()).server.host).toBe('two.example');
    expect(kubeConfig.getCurrentContext()).toBe('one');
  });

  it('fits the shape that is asked for', () => {
    const shape: KubeConfigLike = instanceOf({});
    expect(shape.getCurrentContext()).toBe('one');
  });
});

describe('KubeconfigConnection, when the server wants a client certificate', () => {
  it('shows the one of the kubeconfig', async () => {
    const emulator = await ApiEmulator.start({ certificate: serving, clientCa: client.cert });
    const user = {
      'client-certificate-data': base64(client.cert),
      'client-key-data': base64(client.key),
    };
    const cluster = { 'certificate-authority-data': base64(serving.cert) };
    const transport = new KubernetesTransport(fromFile({ server: emulator.url, user, cluster }));
    const signal = new AbortController().signal;
    expect(await transport.send(GET, { timeoutMs: 10_000, signal })).toMatchObject({ status: 404 });
    transport.close();
    await emulator.stop();
  });
});

describe('loadKubeConfig', () => {
  const source: KubeConfigSource = { kind: 'file', file: 'somewhere' };

  it('when client-node is not installed, names it and how to install it', async () => {
    const missing = () =>
      Promise.reject(new Error("Cannot find package '@kubernetes/client-node'"));
    const loading = loadKubeConfig(source, missing);
    await expect(loading).rejects.toBeInstanceOf(MissingClientNodeError);
    await expect(loading).rejects.toThrow(/npm install @kubernetes\/client-node/);
  });

  it('when an instance is given, does not import client-node', async () => {
    const kubeConfig = instanceOf({});
    const never = () => Promise.reject(new Error('imported'));
    await expect(loadKubeConfig({ kind: 'instance', kubeConfig }, never)).resolves.toBe(kubeConfig);
  });

  it('when the default is asked for, follows KUBECONFIG', async () => {
    writeFileSync(file, kubeconfig({}));
    const before = process.env['KUBECONFIG'];
    process.env['KUBECONFIG'] = file;
    try {
      const loaded = await loadKubeConfig({ kind: 'default' });
      expect(loaded.getCurrentCluster()).toMatchObject({ server: 'https://one.example' });
    } finally {
      if (before === undefined) delete process.env['KUBECONFIG'];
      else process.env['KUBECONFIG'] = before;
    }
  });
});
