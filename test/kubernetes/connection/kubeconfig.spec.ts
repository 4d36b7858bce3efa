import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { KubeConfig } from '@kubernetes/client-node';
import { ClientNodeConnection } from '../../../lib/kubernetes/connection/client-node.connection.js';
import { CredentialProgram } from '../../../lib/kubernetes/connection/credential-program.js';
import { KubeconfigConnection } from '../../../lib/kubernetes/connection/kubeconfig.connection.js';
import {
  type ClientNode,
  ClientNodeUnavailableError,
  type KubeConfigLike,
  loadClientNode,
} from '../../../lib/kubernetes/connection/kubeconfig.loader.js';
import { KubernetesTransport } from '../../../lib/kubernetes/kubernetes-transport.js';
import { ApiEmulator } from '../../../proof/api-emulator/api-emulator.js';
import {
  type Certificate,
  selfSignedCertificate,
} from '../../../proof/api-emulator/certificate.js';
import { eventually } from '../../../proof/api-emulator/eventually.js';
import { withBusyThreadPool } from '../../support/busy-thread-pool.js';

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

const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });
const basic = (text: string) => ({ headers: { Authorization: `Basic ${base64(text)}` } });
const exec = (command: string) => ({
  apiVersion: 'client.authentication.k8s.io/v1',
  command,
  interactiveMode: 'Never',
});
const OIDC = { name: 'oidc', config: {} };

interface Shape {
  readonly server?: string;
  readonly user?: object;
  readonly cluster?: object;
  readonly namespace?: string;
  readonly current?: string;
}

function kubeconfig({ server = 'https://one.example', ...rest }: Shape) {
  const { user = { token: 't' }, cluster = {}, namespace, current = 'one' } = rest;
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

  const CA = '-----BEGIN CERTIFICATE-----\nCA\n-----END CERTIFICATE-----\n';

  it.each<[string, Shape, object]>([
    [
      'user and password',
      { user: { username: 'jane', password: 'pw' } },
      { headers: { Authorization: `Basic ${base64('jane:pw')}` } },
    ],
    [
      'impersonation',
      {
        user: {
          token: 't',
          as: 'admin',
          'as-uid': '7',
          'as-groups': ['a', 'b'],
          'as-user-extra': { 'acme.com/Über': ['x', 'y'], 'a\tb': ['z'] },
        },
      },
      {
        headers: {
          'Impersonate-Extra-a%09b': ['z'],
          Authorization: 'Bearer t',
          'Impersonate-User': 'admin',
          'Impersonate-Uid': '7',
          'Impersonate-Group': ['a', 'b'],
          'Impersonate-Extra-acme.com%2F%C3%9Cber': ['x', 'y'],
        },
      },
    ],
    [
      'a CA and a server name',
      { cluster: { 'certificate-authority-data': base64(CA), 'tls-server-name': 'api' } },
      { tls: { ca: Buffer.from(CA), servername: 'api' } },
    ],
    [
      'a CA in lines',
      { cluster: { 'certificate-authority-data': base64(CA).replace(/(.{20})/g, '$1\n') } },
      { tls: { ca: Buffer.from(CA) } },
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
    [
      'an http server, and keeps the token to itself',
      { server: 'http://localhost:8001', user: { token: 't', as: 'admin' } },
      {
        server: new URL('http://localhost:8001'),
        headers: { 'Impersonate-User': 'admin' },
        tls: {},
      },
    ],
    ['a token beside a program', { user: { token: 't', exec: exec('/nowhere') } }, bearer('t')],
    ['a user beside a program', { user: { username: 'j', exec: exec('/nowhere') } }, basic('j:')],
    [
      'a certificate beside a program',
      {
        user: {
          'client-certificate-data': base64('C'),
          'client-key-data': base64('K'),
          exec: exec('/nowhere'),
        },
      },
      { headers: {}, tls: { cert: Buffer.from('C'), key: Buffer.from('K') } },
    ],
    ['a token beside a login', { user: { token: 't', 'auth-provider': OIDC } }, bearer('t')],
    ['what kubectl does not know', { user: { token: 't', 'token-file': '/nowhere' } }, bearer('t')],
  ])('with %s, hands it on', async (_, shape, expected) => {
    expect(await fromFile(shape).access()).toMatchObject(expected);
  });

  it.each<[string, Shape, RegExp]>([
    [
      'a server without a scheme',
      { server: 'localhost:6443' },
      /"localhost:6443" must begin with https:/,
    ],
    ['a server of another scheme', { server: 'ftp://x' }, /must begin with https:/],
    ['no server', { server: '' }, /names no server/],
    ['a server that is no URL', { server: 'https://a b' }, /is not a URL/],
    ['a password in the server', { server: 'https://a:b@x' }, /belong in the user entry/],
    ['only a password in the server', { server: 'https://:b@x' }, /belong in the user entry/],
    ['a fragment in the server', { server: 'https://x/#a' }, /no query and no fragment/],
    ['a query in the server', { server: 'https://x/?a' }, /no query/],
    [
      'a socks5 proxy',
      { cluster: { 'proxy-url': 'socks5://x:1' } },
      /proxy-url must begin with http:/,
    ],
    [
      'a proxy without a scheme',
      { cluster: { 'proxy-url': 'x:1' } },
      /proxy-url must begin with http:/,
    ],
    [
      'a CA and unchecked certificates',
      { cluster: { 'certificate-authority-data': base64(CA), 'insecure-skip-tls-verify': true } },
      /insecure-skip-tls-verify cannot be combined with/,
    ],
    [
      'a CA that is none',
      { cluster: { 'certificate-authority-data': base64('CA') } },
      /no certificate in PEM/,
    ],
    [
      'data that are not base64',
      { cluster: { 'certificate-authority-data': '%%' } },
      /must be base64/,
    ],
    [
      'a CA twice',
      { cluster: { 'certificate-authority-data': base64(CA), 'certificate-authority': 'x' } },
      /certificate-authority cannot be combined with certificate-authority-data/,
    ],
    [
      'a CA file that is not there',
      { cluster: { 'certificate-authority': 'gone' } },
      /certificate-authority cannot be read/,
    ],
    [
      'a flag that is text',
      { cluster: { 'insecure-skip-tls-verify': 'yes' } },
      /must be true or false/,
    ],
    ['a token that is a number', { user: { token: 7 } }, /token must be text/],
    [
      'token and user',
      { user: { token: 't', username: 'u' } },
      /token cannot be combined with username/,
    ],
    [
      'token and password',
      { user: { token: 't', password: 'p' } },
      /token cannot be combined with username/,
    ],
    [
      'token file and user',
      { user: { tokenFile: 'token', username: 'u' } },
      /tokenFile cannot be combined with username/,
    ],
    ['a token file that is not there', { user: { tokenFile: 'gone' } }, /tokenFile cannot be read/],
    ['an empty token file', { user: { tokenFile: 'empty' } }, /tokenFile is empty/],
    [
      'a certificate without a key',
      { user: { 'client-certificate-data': base64('C') } },
      /needs a client-key/,
    ],
    [
      'no credentials',
      { user: {} },
      /there are no credentials \(kubectl would ask for a user name and a password\)/,
    ],
    ['a password without a user', { user: { password: 'pw' } }, /there are no credentials/],
    ['a key without a certificate', { user: { 'client-key-data': base64('K') } }, /no credentials/],
    ['groups without a user', { user: { 'as-groups': ['a'] } }, /need a user to act as/],
    ['a uid without a user', { user: { 'as-uid': '1' } }, /need a user to act as/],
    ['extras without a user', { user: { 'as-user-extra': { a: ['b'] } } }, /need a user to act as/],
    [
      'groups that are no list',
      { user: { as: 'x', 'as-groups': 'a' } },
      /as-groups must be a list/,
    ],
    [
      'program and login',
      { user: { exec: exec('x'), 'auth-provider': OIDC } },
      /exec cannot be combined with auth-provider/,
    ],
    [
      'a login nobody knows',
      { user: { 'auth-provider': { name: 'gcp' } } },
      /"gcp", which kubectl no longer supports/,
    ],
    ['a program without a name', { user: { exec: exec('') } }, /command is missing/],
    [
      'a program of an old version',
      { user: { exec: { ...exec('x'), apiVersion: 'v1alpha1' } } },
      /apiVersion must be/,
    ],
    [
      'a program that wants a terminal',
      { user: { exec: { ...exec('x'), interactiveMode: 'Always' } } },
      /no terminal/,
    ],
    [
      'a program of no mode',
      { user: { exec: { ...exec('x'), interactiveMode: '' } } },
      /must be Never/,
    ],
  ])('with %s, refuses it and says where', async (_, shape, text) => {
    writeFileSync(join(directory, 'token'), 't');
    writeFileSync(join(directory, 'empty'), ' \n');
    const failure = await fromFile(shape)
      .access()
      .catch((error: unknown) => error);
    expect(String(failure)).toMatch(text);
    expect(String(failure)).toContain(file);
  });

  it.each([
    ['of another kind', { kind: 'Pod', apiVersion: 'v1' }, /not a kubeconfig but a Pod of v1/],
    ['that is a list', [], /is not a kubeconfig/],
    [
      'with two clusters of a name',
      {
        clusters: [
          { name: 'a', cluster: {} },
          { name: 'a', cluster: {} },
        ],
      },
      /clusters has two entries named "a"/,
    ],
  ])('%s, refuses it', async (_, content, text) => {
    writeFileSync(file, JSON.stringify(content));
    const connection = new KubeconfigConnection({ kind: 'file', file }, 'any');
    await expect(connection.access()).rejects.toThrow(text);
  });

  it.each<[string, object, RegExp]>([
    ['cluster', { cluster: 'gone', user: 'jane' }, /"gone" is not among the clusters/],
    ['user', { cluster: 'one', user: 'gone' }, /"gone" is not among the users/],
  ])('whose context names a %s that is not in it, says so', async (_, context, text) => {
    const content = JSON.parse(kubeconfig({})) as object;
    writeFileSync(file, JSON.stringify({ ...content, contexts: [{ name: 'c', context }] }));
    const connection = new KubeconfigConnection({ kind: 'file', file }, 'c');
    await expect(connection.access()).rejects.toThrow(text);
  });

  it('whose context names no user, has no credentials', async () => {
    const content = JSON.parse(kubeconfig({ user: { token: 't' } })) as object;
    const contexts = [{ name: 'c', context: { cluster: 'one' } }];
    writeFileSync(file, JSON.stringify({ ...content, contexts }));
    const connection = new KubeconfigConnection({ kind: 'file', file }, 'c');
    await expect(connection.access()).rejects.toThrow(/context "c": there are no credentials/);
  });

  it('that names files, finds them from its own folder and reads them for every request', async () => {
    const write = (text: string) => {
      for (const name of ['ca', 'cert', 'key', 'token']) {
        writeFileSync(join(directory, name), name === 'ca' ? CA + text : text);
      }
    };
    write('1');
    const connection = fromFile({
      cluster: { 'certificate-authority': './ca' },
      user: { 'client-certificate': 'cert', 'client-key': 'key', tokenFile: 'token', token: 'old' },
    });
    for (const text of ['1', '2']) {
      write(text);
      const { tls, headers } = await connection.access();
      expect(headers).toEqual({ Authorization: `Bearer ${text}` });
      expect(`${tls.ca?.toString()} ${tls.cert?.toString()} ${tls.key?.toString()}`).toBe(
        `${CA}${text} ${text} ${text}`,
      );
    }
    rmSync(join(directory, 'token'));
    expect((await connection.access()).headers).toEqual({ Authorization: 'Bearer old' });
  });

  it('with an http server, has no use for a CA', async () => {
    const cluster = { 'certificate-authority-data': base64(CA) };
    const server = 'http://localhost:8001';
    expect(await fromFile({ server, cluster }).access()).toEqual({
      server: new URL(server),
      headers: {},
      tls: {},
    });
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
    for (const part of ['"jane"', file]) expect(text).toContain(part);
    expect(text).not.toContain('secret');
  });

  it('and every thread of the pool is busy, gives its credentials all the same', async () => {
    writeFileSync(join(directory, 'token'), 'now');
    const connection = fromFile({ user: { tokenFile: 'token' } });
    await connection.access();
    const access = await withBusyThreadPool(() => connection.access());
    expect(access).toMatchObject(bearer('now'));
  });
});

describe('KubeconfigConnection, when KUBECONFIG names several files', () => {
  let before: string | undefined;
  beforeEach(() => {
    before = process.env['KUBECONFIG'];
  });
  afterEach(() => {
    if (before === undefined) delete process.env['KUBECONFIG'];
    else process.env['KUBECONFIG'] = before;
  });

  const write = (name: string, content: object | string) => {
    const path = join(directory, name, 'config');
    mkdirSync(join(directory, name));
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };
  const cluster = (name: string, server: string) => ({ name, cluster: { server } });
  const context = (name: string) => ({ name, context: { cluster: name, user: name } });
  const read = (...files: string[]) => {
    process.env['KUBECONFIG'] = files.join(':');
    return new KubeconfigConnection({ kind: 'default' }, undefined);
  };

  it('takes the current context of the first that names one', async () => {
    const first = write('1', { clusters: [cluster('a', 'https://a')] });
    const second = write('2', {
      users: [{ name: 'a', user: { token: 't' } }],
      'current-context': 'a',
    });
    const third = write('3', { contexts: [context('a')], 'current-context': 'b' });
    expect(await read(first, second, third).access()).toMatchObject({
      server: new URL('https://a'),
      ...bearer('t'),
    });
  });

  it('takes the whole of the first definition of a name, with the paths of its file', async () => {
    const first = write('1', {
      clusters: [cluster('a', 'https://first')],
      users: [{ name: 'a', user: { tokenFile: 'token' } }],
    });
    writeFileSync(join(directory, '1', 'token'), 'of the first');
    const second = write('2', {
      clusters: [{ name: 'a', cluster: { server: 'https://second', 'tls-server-name': 'x' } }],
      users: [{ name: 'a', user: { username: 'u' } }],
      contexts: [context('a')],
      'current-context': 'a',
    });
    expect(await read(first, second).access()).toEqual({
      server: new URL('https://first'),
      ...bearer('of the first'),
      tls: {},
    });
  });

  it('skips those that are missing or empty', async () => {
    const there = write('1', kubeconfig({}));
    const empty = write('2', '');
    const connection = read('', join(directory, 'gone'), empty, there, there);
    expect((await connection.access()).server.host).toBe('one.example');
  });

  it('of which one is not readable, says which', async () => {
    const there = write('1', kubeconfig({}));
    const broken = write('2', '{"a"');
    await expect(read(there, broken).access()).rejects.toThrow(broken);
  });

  it('of which none is there, says so and does not guess a server', async () => {
    const connection = read(join(directory, 'a'), join(directory, 'b'));
    await expect(connection.access()).rejects.toThrow(/none of them exists/);
  });
});

describe('KubeconfigConnection, when a program gives the credentials', () => {
  const log = () => readFileSync(join(directory, 'log'), 'utf8');
  const program = (script: string) => {
    const path = join(directory, 'plug-in');
    writeFileSync(path, `#!/bin/sh\necho run >> ${join(directory, 'log')}\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const answer = (status: object, apiVersion = 'client.authentication.k8s.io/v1') =>
    `echo '${JSON.stringify({ kind: 'ExecCredential', apiVersion, status })}'`;
  const run = (script: string, fields: object = {}) => ({
    exec: { ...exec(program(script)), ...fields },
  });
  const runs = () => log().trim().split('\n').length;

  it('asks it once for requests that wait together, and again after a 401', async () => {
    const connection = fromFile({ user: run(answer({ token: 'from-plug-in' })) });
    const both = await Promise.all([connection.access(), connection.access()]);
    for (const access of both) expect(access).toMatchObject(bearer('from-plug-in'));
    await connection.access();
    expect(runs()).toBe(1);
    await connection.refresh();
    await connection.access();
    expect(runs()).toBe(2);
  });

  it('gives it its arguments, its environment and what kubectl tells it', async () => {
    const script = `echo "$*|$GREETING|$HOME|$KUBERNETES_EXEC_INFO" >> ${join(directory, 'log')}`;
    const user = run(`${script}\n${answer({ token: 't' })}`, {
      args: ['a', 'b'],
      env: [{ name: 'GREETING', value: 'hello' }],
      provideClusterInfo: true,
    });
    const extensions = [{ name: 'client.authentication.k8s.io/exec', extension: { region: 'x' } }];
    await fromFile({ user, cluster: { extensions, 'tls-server-name': 'api' } }).access();
    const [args, greeting, home, info] = log().split('\n')[1]!.split('|');
    expect([args, greeting]).toEqual(['a b', 'hello']);
    expect(home).toBe(process.env['HOME']);
    expect(JSON.parse(info!)).toEqual({
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      spec: {
        interactive: false,
        cluster: {
          server: 'https://one.example',
          'tls-server-name': 'api',
          config: { region: 'x' },
        },
      },
    });
  });

  it('takes a certificate from it', async () => {
    const user = run(answer({ clientCertificateData: 'C', clientKeyData: 'K' }));
    expect(await fromFile({ user }).access()).toMatchObject({ tls: { cert: 'C', key: 'K' } });
  });

  it('is found beside the kubeconfig, and nothing runs for an http server', async () => {
    program(answer({ token: 't' }));
    const user = { exec: exec('./plug-in') };
    await fromFile({ user, server: 'http://localhost:1' }).access();
    expect(existsSync(join(directory, 'log'))).toBe(false);
    expect(await fromFile({ user }).access()).toMatchObject(bearer('t'));
  });

  it('asks again once they have expired', async () => {
    const past = new Date(Date.now() - 1_000).toISOString();
    const connection = fromFile({ user: run(answer({ token: 't', expirationTimestamp: past })) });
    await connection.access();
    await connection.access();
    expect(runs()).toBe(2);
  });

  const START = Date.UTC(2026, 0, 1);
  /** Tells the time up to which each of its answers is valid, one after the other. */
  const tokens = (...livesMs: number[]) => {
    const times = livesMs.map((ms) => new Date(START + ms).toISOString());
    const lines = times.map((expirationTimestamp, index) =>
      answer({ token: `t${index + 1}`, expirationTimestamp }),
    );
    const cases = lines.map((line, index) => `${index + 1}) ${line};;`);
    return program(`case $(wc -l < ${join(directory, 'log')}) in ${cases.join('\n')}\nesac`);
  };
  const clocked = (command: string) => {
    const clock = { now: START };
    const { apiVersion } = exec('');
    const config = { command, apiVersion, args: [], env: {}, installHint: '' };
    return { clock, asked: new CredentialProgram(config, 15_000, () => clock.now) };
  };

  it.each<[string, number, number, number]>([
    ['of a long life', 3_600_000, 3_539_999, 3_540_000],
    ['of a short one', 40_000, 29_999, 30_000],
  ])('renews those %s ahead, and goes on with them meanwhile', async (_, lifeMs, early, due) => {
    const { clock, asked } = clocked(tokens(lifeMs, 2 * lifeMs));
    expect(await asked.credentials()).toEqual({ token: 't1' });
    clock.now = START + early;
    expect(await asked.credentials()).toEqual({ token: 't1' });
    expect(runs()).toBe(1);
    clock.now = START + due;
    expect(await asked.credentials()).toEqual({ token: 't1' });
    await eventually(async () => expect(await asked.credentials()).toEqual({ token: 't2' }));
    expect(runs()).toBe(2);
  });

  it('that gives the same ones up to their end, is asked ahead of it once', async () => {
    const { clock, asked } = clocked(tokens(40_000, 40_000, 40_000, 80_000));
    await asked.credentials();
    clock.now = START + 35_000;
    await asked.credentials();
    await eventually(async () => expect(await asked.credentials()).toEqual({ token: 't2' }));
    for (let i = 0; i < 5; i++) await asked.credentials();
    expect(runs()).toBe(2);
  });

  it('that fails ahead of the end, is asked again at the end', async () => {
    const { clock, asked } = clocked(tokens(40_000));
    await asked.credentials();
    clock.now = START + 35_000;
    await asked.credentials();
    await eventually(() => expect(runs()).toBe(2));
    expect(await asked.credentials()).toEqual({ token: 't1' });
    clock.now = START + 40_001;
    await expect(asked.credentials()).rejects.toThrow(/did not write a JSON object/);
  });

  it('that has answered, leaves no timer', async () => {
    const timers = () =>
      process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
    const command = program(answer({ token: 't' }));
    const before = timers();
    await Promise.all(Array.from({ length: 20 }, () => clocked(command).asked.credentials()));
    // Those of others come and go meanwhile.
    expect(timers() - before).toBeLessThan(10);
  });

  it.each<[string, string, RegExp]>([
    ['fails', 'echo "log in first" >&2; exit 3', /exit code 3\. log in first/],
    ['says nothing', '', /did not write a JSON object/],
    ['says nonsense', 'echo hello', /did not write a JSON object/],
    ['gives nothing', answer({}), /no token and no certificate/],
    ['gives half', answer({ clientKeyData: 'K' }), /without the other/],
    [
      'gives an odd time',
      answer({ token: 't', expirationTimestamp: 'soon' }),
      /is not a time: soon/,
    ],
    ['answers for another version', answer({ token: 't' }, 'x/v2'), /gave ExecCredential of x\/v2/],
    ['says too much', `head -c 2000000 /dev/zero | tr '\\0' x`, /more than a credential/],
  ])('that %s, names it and says so', async (_, script, text) => {
    const opening = fromFile({ user: run(script) }).access();
    await expect(opening).rejects.toThrow(text);
    await expect(opening).rejects.toThrow(join(directory, 'plug-in'));
  });

  it('that is not there, gives the hint of the kubeconfig', async () => {
    const user = { exec: { ...exec('no-such-program'), installHint: 'brew install it' } };
    await expect(fromFile({ user }).access()).rejects.toThrow(/ENOENT.*brew install it/);
  });

  it('that hangs, kills it and its children, names it, and starts it again for the next request', async () => {
    const child = join(directory, 'child');
    const first = `[ -e ${child} ] || { sleep 600 & echo $! > ${child}; wait; }`;
    writeFileSync(file, kubeconfig({ user: run(`${first}\n${answer({ token: 't' })}`) }));
    const connection = new KubeconfigConnection(
      { kind: 'file', file },
      undefined,
      undefined,
      3_000,
    );
    await expect(connection.access()).rejects.toThrow(
      /exec: .*plug-in\) gave no credentials within 3000 ms, and it was killed/,
    );
    const pid = Number(readFileSync(child, 'utf8'));
    await eventually(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'));
    expect(await connection.access()).toMatchObject(bearer('t'));
  });

  it('that hangs, lets the request end in its own time, and dies with the lock', async () => {
    const pidFile = join(directory, 'pid');
    const transport = new KubernetesTransport(
      fromFile({ user: run(`echo $$ > ${pidFile}; sleep 600`) }),
    );
    const signal = new AbortController().signal;
    expect(await transport.send(GET, { timeoutMs: 200, signal })).toMatchObject({
      kind: 'not-sent',
    });
    await eventually(() => expect(readFileSync(pidFile, 'utf8')).not.toBe(''));
    transport.close();
    const pid = Number(readFileSync(pidFile, 'utf8'));
    await eventually(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'));
  });
});

describe('KubeconfigConnection, when the user logs in by OIDC', () => {
  const idToken = (exp: number) =>
    ['{"alg":"none"}', JSON.stringify({ exp }), 's']
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.');
  const login = (config: object) => ({ 'auth-provider': { name: 'oidc', config } });
  const now = () => Math.floor(Date.now() / 1_000);

  it('sends an id-token that is valid', async () => {
    const token = idToken(now() + 600);
    const connection = fromFile({ user: login({ 'id-token': token }) });
    expect(await connection.access()).toMatchObject(bearer(token));
  });

  it.each([
    ['has expired', { 'id-token': idToken(1_000) }],
    ['is missing', {}],
  ])('whose id-token %s and cannot be renewed, says so and sends nothing', async (_, config) => {
    const connection = fromFile({ user: login(config) });
    await expect(connection.access()).rejects.toThrow(/id-token is missing or has expired/);
  });
});

describe('KubeconfigConnection, when client-node renews the token of an OIDC login', () => {
  /** In place of client-node: what it is asked, and when it answers. */
  class Renewal implements ClientNode {
    asked = 0;
    made = 0;
    answers = Promise.resolve();
    readonly loadYaml = (text: string) => JSON.parse(text) as unknown;
    readonly KubeConfig: ClientNode['KubeConfig'];

    constructor() {
      // oxlint-disable-next-line typescript/no-this-alias
      const renewal = this;
      this.KubeConfig = class {
        loadFromOptions = () => void renewal.made++;
        applyToHTTPSOptions = async (options: { headers?: object }) => {
          renewal.asked++;
          await renewal.answers;
          options.headers = { Authorization: `Bearer ${renewal.asked}` };
        };
      } as unknown as ClientNode['KubeConfig'];
    }
  }

  const login = (renewal: Renewal, limitMs?: number) => {
    writeFileSync(file, kubeconfig({ user: { 'auth-provider': OIDC } }));
    const load = () => Promise.resolve(renewal);
    return new KubeconfigConnection({ kind: 'file', file }, undefined, load, limitMs);
  };

  it('keeps what it has come to, also when the file is read again and is the same', async () => {
    const renewal = new Renewal();
    const connection = login(renewal);
    await connection.access();
    await connection.refresh();
    expect(await connection.access()).toMatchObject(bearer('2'));
    expect(renewal.made).toBe(1);
    writeFileSync(
      file,
      kubeconfig({ user: { 'auth-provider': { name: 'oidc', config: { 'client-id': 'b' } } } }),
    );
    await connection.refresh();
    await connection.access();
    expect(renewal.made).toBe(2);
  });

  it('asks once for requests that wait together', async () => {
    const renewal = new Renewal();
    const connection = login(renewal);
    await connection.access();
    await Promise.all([connection.access(), connection.access()]);
    expect(renewal.asked).toBe(2);
  });

  it('and hangs once, says so in time, and asks again', async () => {
    const renewal = new Renewal();
    renewal.answers = new Promise(() => undefined);
    const connection = login(renewal, 100);
    await expect(connection.access()).rejects.toThrow(/OIDC login .* gave no answer in time/);
    renewal.answers = Promise.resolve();
    expect(await connection.access()).toMatchObject(bearer('2'));
  });

  it('leaves no timer', async () => {
    const timers = () =>
      process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
    const connection = login(new Renewal());
    const before = timers();
    for (let i = 0; i < 20; i++) await connection.access();
    expect(timers() - before).toBeLessThan(10);
  });
});

describe('ClientNodeConnection, when the application passes its KubeConfig', () => {
  it('takes another context without changing it', async () => {
    const kubeConfig = instanceOf({ user: { token: 't' } });
    const connection = new ClientNodeConnection(kubeConfig, 'two');
    expect((await connection.access()).server.host).toBe('two.example');
    expect(await connection.namespace()).toBe('second');
    expect(kubeConfig.getCurrentContext()).toBe('one');
  });

  it('fits the shape that is asked for', () => {
    const shape: KubeConfigLike = instanceOf({});
    expect(shape.getCurrentContext()).toBe('one');
  });

  it.each<[string, Shape, object]>([
    ['a token', { user: { token: 't' } }, bearer('t')],
    ['a user', { user: { username: 'j', password: 'p' } }, basic('j:p')],
    ['a token beside a program', { user: { token: 't', exec: exec('/nowhere') } }, bearer('t')],
    [
      'TLS',
      { user: {}, cluster: { 'tls-server-name': 'api', 'insecure-skip-tls-verify': true } },
      { tls: { servername: 'api', rejectUnauthorized: false } },
    ],
    [
      'an http server, and keeps the token to itself',
      { server: 'http://localhost:8001', user: { token: 't', as: 'admin' } },
      { headers: { 'Impersonate-User': 'admin' }, tls: {} },
    ],
  ])('with %s, hands it on', async (_, shape, expected) => {
    const { headers } = expected as { headers?: object };
    const access = await new ClientNodeConnection(instanceOf(shape), undefined).access();
    expect(access).toMatchObject(expected);
    expect(access.headers).toEqual(headers ?? {});
  });

  it.each<[string, Shape, RegExp]>([
    ['a server without a scheme', { server: 'localhost:6443' }, /must begin with https:/],
    [
      'a provider that blocks',
      { user: { 'auth-provider': { name: 'gcp' } } },
      /"gcp" is not supported/,
    ],
  ])('with %s, refuses it', async (_, shape, text) => {
    const connection = new ClientNodeConnection(instanceOf(shape), undefined);
    await expect(connection.access()).rejects.toThrow(text);
  });

  it('whose program hangs, kills it, names it, and starts it again', async () => {
    const path = join(directory, 'plug-in');
    const given = {
      kind: 'ExecCredential',
      apiVersion: exec('').apiVersion,
      status: { token: 't' },
    };
    writeFileSync(
      path,
      `#!/bin/sh\n[ -e ${path}.1 ] || { touch ${path}.1; sleep 600; }\necho '${JSON.stringify(given)}'\n`,
    );
    chmodSync(path, 0o755);
    const connection = new ClientNodeConnection(
      instanceOf({ user: { exec: exec(path) } }),
      undefined,
      3_000,
    );
    await expect(connection.access()).rejects.toThrow(/exec: .*plug-in\).* was killed/);
    expect(await connection.access()).toMatchObject(bearer('t'));
    rmSync(path);
    expect(await connection.access()).toMatchObject(bearer('t'));
    await connection.refresh();
    await expect(connection.access()).rejects.toThrow(/ENOENT/);
  });

  it('whose authenticator hangs once, says so, and asks it again', async () => {
    const kubeConfig = instanceOf({ user: { 'auth-provider': { name: 'mine' } } });
    let asked = 0;
    kubeConfig.addAuthenticator({
      isAuthProvider: () => true,
      applyAuthentication: async (_, options) => {
        if (++asked === 1) await new Promise(() => undefined);
        options.headers = { Authorization: 'Bearer mine' };
      },
    });
    const connection = new ClientNodeConnection(kubeConfig, undefined, 1_000);
    await expect(connection.access()).rejects.toThrow(/nothing came within 1000 ms/);
    expect(await connection.access()).toMatchObject(bearer('mine'));
  });

  it('that has no such context, lists those it has', async () => {
    const connection = new ClientNodeConnection(instanceOf({}), 'three');
    await expect(connection.access()).rejects.toThrow(/Its contexts are: one, two\./);
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
    const answer = await transport.send(GET, { timeoutMs: 10_000, signal });
    transport.close();
    await emulator.stop();
    expect(answer).toMatchObject({ status: 404 });
  });
});

describe('loadClientNode()', () => {
  const failing = (code: string, message: string) => () =>
    Promise.reject(Object.assign(new Error(message), { code }));

  it.each([
    ['ERR_MODULE_NOT_FOUND', "Cannot find package '@kubernetes/client-node' imported from /a.js"],
    ['MODULE_NOT_FOUND', "Cannot find module '@kubernetes/client-node'"],
  ])('when it is not installed (%s), says so and how to install it', async (code, message) => {
    const loading = loadClientNode(failing(code, message));
    await expect(loading).rejects.toMatchObject({
      message: expect.stringContaining('which is not installed'),
      fix: expect.stringMatching(/^npm install @kubernetes\/client-node/),
    });
    await expect(loading).rejects.toBeInstanceOf(ClientNodeUnavailableError);
  });

  it.each([
    ['ERR_MODULE_NOT_FOUND', "Cannot find package 'undici' imported from /client-node/a.js"],
    ['', "Cannot read properties of undefined (reading 'bind')"],
  ])(
    'when it is installed and does not load, does not say "install it": %s',
    async (code, message) => {
      const loading = loadClientNode(failing(code, message));
      await expect(loading).rejects.toMatchObject({
        message: expect.stringMatching(
          new RegExp(
            `the installed version.* does not load on Node ${process.versions.node} \\(Cannot`,
          ),
        ),
        fix: expect.not.stringMatching(/^npm install/),
      });
    },
  );

  it('when it is something else, says so', async () => {
    await expect(loadClientNode(() => Promise.resolve({}))).rejects.toThrow(
      /exports no KubeConfig/,
    );
  });
});
