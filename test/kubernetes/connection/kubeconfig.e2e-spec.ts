import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { KubeconfigConnection } from '../../../lib/kubernetes/connection/kubeconfig.connection.js';
import { KubernetesTransport } from '../../../lib/kubernetes/kubernetes-transport.js';
import { selfSignedCertificate } from '../../../proof/api-emulator/certificate.js';
import { findBinary } from '../../../proof/control-plane/binaries.js';
import { CertificateAuthority } from '../../../proof/control-plane/certificate-authority.js';
import { FIRST_START_LIMIT_MS } from '../../../proof/control-plane/control-plane.js';
import { type Asked, RecordingServer } from '../../support/recording-server.js';

/**
 * Each field of a kubeconfig, given to kubectl and to this library: both ask the same server, which writes down what it
 * was asked. docs/kubeconfig.md has the table in words.
 */

const PATH = '/apis/coordination.k8s.io/v1/namespaces/default/leases/plan';

const root = new CertificateAuthority();
const intermediate = new CertificateAuthority(root);
const serving = intermediate.issueServingCertificate(['127.0.0.1', 'api.test']);
const chain = { cert: serving.certificate + intermediate.certificate, key: serving.key };
const client = selfSignedCertificate();
const base64 = (text: string) => Buffer.from(text).toString('base64');

const directory = mkdtempSync(join(tmpdir(), 'kubectl-'));
let kubectl: string;
let server: RecordingServer;
let folders = 0;

beforeAll(async () => {
  kubectl = await findBinary('kubectl');
  server = await RecordingServer.start(chain);
}, FIRST_START_LIMIT_MS);

afterAll(() => {
  server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

afterEach(() => {
  server.asked.length = 0;
});

/** What came of a request: what the server was asked, or nothing if it was never asked. */
type Came = Asked | 'nothing sent';

function came(): Came {
  return server.asked.splice(0)[0] ?? 'nothing sent';
}

async function byKubectl(kubeconfig: string): Promise<Came> {
  await new Promise<void>((resolve) => {
    const child = execFile(
      kubectl,
      ['get', '--raw', PATH, '--request-timeout=5s'],
      { env: { PATH: process.env['PATH'], HOME: directory, KUBECONFIG: kubeconfig } },
      () => resolve(),
    );
    child.stdin?.end();
  });
  return came();
}

/** In a process of its own KUBECONFIG would be set; here it is set for the time of the request. */
async function byUs(kubeconfig: string): Promise<Came> {
  const before = process.env['KUBECONFIG'];
  process.env['KUBECONFIG'] = kubeconfig;
  const transport = new KubernetesTransport(
    new KubeconfigConnection({ kind: 'default' }, undefined),
  );
  try {
    const signal = new AbortController().signal;
    await transport.send({ method: 'GET', path: PATH }, { timeoutMs: 5_000, signal });
  } finally {
    transport.close();
    if (before === undefined) delete process.env['KUBECONFIG'];
    else process.env['KUBECONFIG'] = before;
  }
  return came();
}

interface Content {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
  readonly rest?: object;
  readonly files?: Readonly<Record<string, string>>;
}

const CA = { 'certificate-authority-data': base64(root.certificate) };

function write({ cluster = CA, user = {}, context = {}, rest = {}, files = {} }: Content): string {
  const folder = join(directory, String(++folders));
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text);
    if (text.startsWith('#!')) chmodSync(join(folder, name), 0o755);
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: `https://127.0.0.1:${server.port}`, ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', ...context } }],
    'current-context': 'x',
    ...rest,
  };
  const file = join(folder, 'config');
  writeFileSync(file, JSON.stringify(config));
  return file;
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const TOKEN = { token: 'secret-token' };
const CERT = {
  'client-certificate-data': base64(client.cert),
  'client-key-data': base64(client.key),
};
const API = 'client.authentication.k8s.io';

/** The credential is what the program was given: its arguments, a variable and the object in its environment. */
const ECHO = (version: string) => `#!/bin/sh
token=$(printf '%s' "$*|$GREETING|$KUBERNETES_EXEC_INFO" | base64 | tr -d '\\n')
printf '{"kind":"ExecCredential","apiVersion":"${API}/${version}","status":{"token":"%s"}}' "$token"
`;
const given = (status: object) =>
  `#!/bin/sh\ncat <<'END'\n${JSON.stringify({ kind: 'ExecCredential', apiVersion: `${API}/v1`, status })}\nEND\n`;
const exec = (fields: object = {}) => ({
  exec: { apiVersion: `${API}/v1`, command: './program', interactiveMode: 'Never', ...fields },
});
const withProgram = (user: object, program = ECHO('v1'), cluster: object = CA): Content => ({
  user,
  cluster,
  files: { program },
});

const idToken = [
  '{"alg":"none"}',
  JSON.stringify({ exp: Math.floor(Date.now() / 1_000) + 3_600 }),
  's',
]
  .map((part) => Buffer.from(part).toString('base64url'))
  .join('.');
const oidc = (config: object) => ({
  'auth-provider': {
    name: 'oidc',
    config: { 'client-id': 'c', 'idp-issuer-url': 'https://127.0.0.1:1', ...config },
  },
});

describe('a kubeconfig that kubectl can use', () => {
  it.each<[string, () => Content]>([
    ['server', () => ({ user: TOKEN })],
    [
      'server with a path',
      () => ({
        user: TOKEN,
        cluster: { ...CA, server: `https://127.0.0.1:${server.port}/k8s/c/` },
      }),
    ],
    [
      'server of http, and a token',
      () => ({
        user: { ...TOKEN, as: 'a', 'as-groups': ['g'] },
        cluster: { server: `http://127.0.0.1:${server.port}` },
      }),
    ],
    ['tls-server-name', () => ({ user: TOKEN, cluster: { ...CA, 'tls-server-name': 'api.test' } })],
    [
      'insecure-skip-tls-verify',
      () => ({ user: TOKEN, cluster: { 'insecure-skip-tls-verify': true } }),
    ],
    [
      'certificate-authority',
      () => ({
        user: TOKEN,
        cluster: { 'certificate-authority': 'ca' },
        files: { ca: root.certificate },
      }),
    ],
    [
      'certificate-authority of the intermediate alone',
      () => ({
        user: TOKEN,
        cluster: { 'certificate-authority': './ca' },
        files: { ca: intermediate.certificate },
      }),
    ],
    ['proxy-url', () => ({ user: TOKEN, cluster: { ...CA, 'proxy-url': server.proxyUrl } })],
    [
      'disable-compression',
      () => ({ user: TOKEN, cluster: { ...CA, 'disable-compression': true } }),
    ],
    [
      'cluster extensions',
      () => ({ user: TOKEN, cluster: { ...CA, extensions: [{ name: 'e', extension: { a: 1 } }] } }),
    ],
    ['tokenFile', () => ({ user: { tokenFile: 'token' }, files: { token: 'of-the-file\n' } })],
    [
      'tokenFile beside token',
      () => ({ user: { ...TOKEN, tokenFile: 'token' }, files: { token: 'of-the-file' } }),
    ],
    ['tokenFile that is missing beside token', () => ({ user: { ...TOKEN, tokenFile: 'token' } })],
    ['username and password', () => ({ user: { username: 'jane', password: 'pw' } })],
    ['username', () => ({ user: { username: 'jane' } })],
    ['client-certificate-data', () => ({ user: CERT })],
    [
      'client-certificate',
      () => ({ user: { 'client-certificate': 'cert', 'client-key': 'key' }, files: { ...client } }),
    ],
    ['client-certificate beside token', () => ({ user: { ...CERT, ...TOKEN } })],
    ['as', () => ({ user: { ...TOKEN, as: 'admin' } })],
    [
      'as with uid, groups and extra',
      () => ({
        user: {
          ...TOKEN,
          as: 'admin',
          'as-uid': '7',
          'as-groups': ['a', 'b'],
          'as-user-extra': { 'acme.com/Über': ['x', 'y'], z: ['1'] },
        },
      }),
    ],
    ['auth-provider oidc with a valid token', () => ({ user: oidc({ 'id-token': idToken }) })],
    ['auth-provider beside token', () => ({ user: { ...TOKEN, ...oidc({}) } })],
    [
      'exec',
      () => withProgram(exec({ args: ['a', 'b c'], env: [{ name: 'GREETING', value: 'hi' }] })),
    ],
    [
      'exec of v1beta1 without a mode',
      () =>
        withProgram(exec({ apiVersion: `${API}/v1beta1`, interactiveMode: '' }), ECHO('v1beta1')),
    ],
    ['exec IfAvailable', () => withProgram(exec({ interactiveMode: 'IfAvailable' }))],
    [
      'exec with provideClusterInfo',
      () =>
        withProgram(exec({ provideClusterInfo: true }), ECHO('v1'), {
          ...CA,
          'tls-server-name': 'api.test',
          'proxy-url': server.proxyUrl,
          'disable-compression': true,
          extensions: [{ name: 'client.authentication.k8s.io/exec', extension: { region: 'x' } }],
        }),
    ],
    [
      'exec that gives a certificate',
      () =>
        withProgram(
          exec(),
          given({ clientCertificateData: client.cert, clientKeyData: client.key }),
        ),
    ],
    ['exec beside token', () => withProgram({ ...exec(), ...TOKEN })],
    ['exec beside username', () => withProgram({ ...exec(), username: 'jane' })],
    ['exec beside client-certificate', () => withProgram({ ...exec(), ...CERT })],
    [
      'namespace and extensions of the context',
      () => ({ user: TOKEN, context: { namespace: 'n', extensions: [] } }),
    ],
    [
      'preferences and extensions',
      () => ({ user: TOKEN, rest: { preferences: { colors: true }, extensions: [] } }),
    ],
    [
      'what it does not know',
      () => ({ user: { 'token-file': '/nowhere', ...TOKEN }, rest: { more: 1 } }),
    ],
    [
      'apiVersion and kind absent',
      () => ({ user: TOKEN, rest: { apiVersion: undefined, kind: undefined } }),
    ],
  ])('asks the server the same with us: %s', async (_, content) => {
    const file = write(content());
    const kubectls = await byKubectl(file);
    expect(kubectls).not.toBe('nothing sent');
    expect(await byUs(file)).toEqual(kubectls);
  });

  it('asks the same with a PKCS#1 key under another label', async () => {
    const key = rsa
      .export({ type: 'pkcs1', format: 'pem' })
      .toString()
      .replaceAll('RSA PRIVATE KEY', 'PRIVATE KEY');
    const keyFile = join(directory, 'rsa.pem');
    writeFileSync(keyFile, rsa.export({ type: 'pkcs8', format: 'pem' }));
    const cert = await new Promise<string>((resolve, reject) =>
      execFile(
        'openssl',
        ['req', '-x509', '-key', keyFile, '-subj', '/CN=jane', '-days', '2'],
        (error, stdout) => (error ? reject(error) : resolve(stdout)),
      ),
    );
    const user = { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) };
    const file = write({ user });
    const kubectls = await byKubectl(file);
    expect(kubectls).toMatchObject({ clientCertificate: expect.stringMatching(/:/) });
    expect(await byUs(file)).toEqual(kubectls);
  });
});

describe('a kubeconfig that kubectl refuses', () => {
  it.each<[string, () => Content]>([
    ['no credentials', () => ({})],
    ['password', () => ({ user: { password: 'pw' } })],
    ['client-key alone', () => ({ user: { 'client-key-data': base64(client.key) } })],
    ['user of the context absent', () => ({ user: TOKEN, context: { user: '' } })],
    ['no server', () => ({ cluster: { server: '' } })],
    [
      'a certificate of another CA',
      () => ({
        cluster: { 'certificate-authority-data': base64(new CertificateAuthority().certificate) },
      }),
    ],
    [
      'a name that is not in the certificate',
      () => ({ cluster: { ...CA, 'tls-server-name': 'other.test' } }),
    ],
    [
      'certificate-authority and -data',
      () => ({
        cluster: { ...CA, 'certificate-authority': 'ca' },
        files: { ca: root.certificate },
      }),
    ],
    [
      'certificate-authority with insecure-skip-tls-verify',
      () => ({ cluster: { ...CA, 'insecure-skip-tls-verify': true } }),
    ],
    [
      'certificate-authority that is no PEM',
      () => ({ cluster: { 'certificate-authority-data': base64('CA') } }),
    ],
    [
      'certificate-authority that is missing',
      () => ({ cluster: { 'certificate-authority': 'gone' } }),
    ],
    ['data that are not base64', () => ({ cluster: { 'certificate-authority-data': '%%' } })],
    ['proxy-url without a scheme', () => ({ cluster: { ...CA, 'proxy-url': '127.0.0.1:1' } })],
    ['a flag that is text', () => ({ cluster: { ...CA, 'insecure-skip-tls-verify': 'yes' } })],
    ['a token that is a number', () => ({ user: { token: 7 } })],
    ['token and username', () => ({ user: { ...TOKEN, username: 'jane' } })],
    ['token and password', () => ({ user: { ...TOKEN, password: 'pw' } })],
    [
      'tokenFile and username',
      () => ({ user: { tokenFile: 'token', username: 'jane' }, files: { token: 't' } }),
    ],
    ['tokenFile that is missing', () => ({ user: { tokenFile: 'gone' } })],
    ['tokenFile that is empty', () => ({ user: { tokenFile: 'token' }, files: { token: '' } })],
    [
      'client-certificate without a key',
      () => ({ user: { 'client-certificate-data': base64(client.cert) } }),
    ],
    [
      'client-certificate and -data',
      () => ({ user: { ...CERT, 'client-certificate': 'cert' }, files: { ...client } }),
    ],
    ['as-groups without as', () => ({ user: { ...TOKEN, 'as-groups': ['a'] } })],
    ['as-uid without as', () => ({ user: { ...TOKEN, 'as-uid': '1' } })],
    ['as-user-extra without as', () => ({ user: { ...TOKEN, 'as-user-extra': { a: ['b'] } } })],
    ['auth-provider gcp', () => ({ user: { 'auth-provider': { name: 'gcp' } } })],
    ['auth-provider oidc without a token', () => ({ user: oidc({}) })],
    ['exec and auth-provider', () => withProgram({ ...exec(), ...oidc({ 'id-token': idToken }) })],
    ['exec without a command', () => withProgram(exec({ command: '' }))],
    ['exec of an unknown apiVersion', () => withProgram(exec({ apiVersion: `${API}/v1alpha1` }))],
    ['exec of v1 without a mode', () => withProgram(exec({ interactiveMode: '' }))],
    ['exec that wants a terminal', () => withProgram(exec({ interactiveMode: 'Always' }))],
    ['exec with a variable of no name', () => withProgram(exec({ env: [{ value: 'a' }] }))],
    ['exec that is missing', () => ({ user: exec() })],
    ['exec that fails', () => withProgram(exec(), '#!/bin/sh\nexit 1\n')],
    ['exec that gives nothing', () => withProgram(exec(), given({}))],
    ['exec that gives half', () => withProgram(exec(), given({ clientKeyData: 'k' }))],
    ['exec that answers for another version', () => withProgram(exec(), ECHO('v1beta1'))],
    ['a context of a cluster that is not there', () => ({ context: { cluster: 'gone' } })],
    ['a context of a user that is not there', () => ({ context: { user: 'gone' } })],
    ['a current context that is not there', () => ({ rest: { 'current-context': 'gone' } })],
    [
      'two users of a name',
      () => ({
        rest: {
          users: [
            { name: 'u', user: {} },
            { name: 'u', user: {} },
          ],
        },
      }),
    ],
    ['another kind', () => ({ rest: { kind: 'Pod' } })],
  ])('is refused here as well: %s', async (_, content) => {
    const file = write(content());
    expect(await byKubectl(file)).toBe('nothing sent');
    expect(await byUs(file)).toBe('nothing sent');
  });
});

describe('a kubeconfig that is refused here, and not by kubectl', () => {
  it.each<[string, () => Content, object | string]>([
    [
      'server without a scheme, for which kubectl takes http and keeps the token to itself',
      () => ({ user: TOKEN, cluster: { ...CA, server: `127.0.0.1:${server.port}` } }),
      { scheme: 'http', identity: {} },
    ],
    [
      'credentials in the server, which kubectl sends in place of the token',
      () => ({
        user: TOKEN,
        cluster: { ...CA, server: `https://jane:pw@127.0.0.1:${server.port}` },
      }),
      { identity: { authorization: [`Basic ${base64('jane:pw')}`] } },
    ],
  ])('sends nothing: %s', async (_, content, kubectls) => {
    const file = write(content());
    expect(await byKubectl(file)).toMatchObject(kubectls as object);
    expect(await byUs(file)).toBe('nothing sent');
  });
});

describe('several files in KUBECONFIG', () => {
  const token = (name: string) => ({ user: { token: name } });
  const other = {
    'current-context': 'y',
    contexts: [{ name: 'y', context: { cluster: 'c', user: 'u' } }],
  };

  it.each<[string, () => string[]]>([
    [
      'the first current context and the first user count',
      () => [write(token('first')), write({ ...token('second'), rest: other })],
    ],
    [
      'a file without a current context leaves it to the next',
      () => [
        write({ ...token('first'), rest: { 'current-context': '' } }),
        write({ ...token('second'), rest: other }),
      ],
    ],
    ['a file that is missing is skipped', () => [join(directory, 'gone'), write(token('second'))]],
    ['an empty name is skipped', () => ['', write(token('second'))]],
    [
      'a file named twice is read once',
      () => {
        const file = write(token('first'));
        return [file, file];
      },
    ],
    [
      'relative paths start from their own file',
      () => [
        write({ user: { tokenFile: 'token' }, files: { token: 'own' } }),
        write({ files: { token: 'other' } }),
      ],
    ],
  ])('ask the same: %s', async (_, files) => {
    const list = files().join(':');
    const kubectls = await byKubectl(list);
    expect(kubectls).not.toBe('nothing sent');
    expect(await byUs(list)).toEqual(kubectls);
  });

  it('of which one cannot be read, are refused by both', async () => {
    const broken = join(directory, 'broken');
    writeFileSync(broken, '{"a"');
    const list = `${write(token('first'))}:${broken}`;
    expect(await byKubectl(list)).toBe('nothing sent');
    expect(await byUs(list)).toBe('nothing sent');
  });
});

describe('when NODE_TLS_REJECT_UNAUTHORIZED is 0', () => {
  it('does not show the token to a server of another authority', async () => {
    const foreign = base64(new CertificateAuthority().certificate);
    const cluster = { 'certificate-authority-data': foreign };
    const kubeConfigFile = write({ user: TOKEN, cluster });
    const script = `
      import { leaseLock } from ${JSON.stringify(new URL('../../../dist/index.js', import.meta.url).href)};
      const requester = { leaseName: 'plan', namespace: 'default', identity: 'a' };
      const lock = await leaseLock({ kubeConfigFile: ${JSON.stringify(kubeConfigFile)} })(requester);
      const { error } = await lock.read({ timeoutMs: 5000, signal: new AbortController().signal });
      console.log(error.message);
      await lock.close();
    `;
    const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0' };
    const said = await new Promise<string>((resolve) => {
      const options = ['--input-type=module', '-e', script];
      execFile(process.execPath, options, { env }, (_, stdout) => resolve(stdout));
    });
    expect(said).toContain('not signed by a CA that is trusted here');
    expect(came()).toBe('nothing sent');
  });
});
