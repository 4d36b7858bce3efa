import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ResourceLock } from '../../lib/core/resource-lock.js';
import type { KubeConfigLike } from '../../lib/kubernetes/connection/kubeconfig.loader.js';
import { leaseLock } from '../../lib/locks/kubernetes/lease.lock.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { type Certificate, selfSignedCertificate } from '../../proof/api-emulator/certificate.js';
import { held } from '../locks/lease-records.js';
import { request } from '../locks/lock-request.js';
import { RecordedWatch } from '../locks/recorded-watch.js';

const SECRET = 'planted-5f1c9b2e7a';
/** A token as a cluster issues them. */
const JWT = `eyJhbGciOiJSUzI1NiJ9.${Buffer.from(JSON.stringify({ sub: SECRET })).toString('base64url')}.c2ln`;
const REQUESTER = { leaseName: 'plan', namespace: 'default', identity: 'first' };

let certificate: Certificate;
let stranger: Certificate;
let emulator: ApiEmulator;
let folder: string;
const closing: (() => unknown)[] = [];

beforeAll(() => {
  certificate = selfSignedCertificate();
  stranger = selfSignedCertificate();
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  emulator = await ApiEmulator.start({ certificate });
});

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await emulator.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** All texts that anything can print of a value: also of hidden properties, of causes and of bytes. */
function textsIn(value: unknown, seen = new Set<unknown>()): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (typeof value !== 'object' || value === null) return String(value);
  if (seen.has(value)) return '';
  seen.add(value);
  const names = Object.getOwnPropertyNames(value);
  return names
    .map((name) => `${name}: ${textsIn((value as Record<string, unknown>)[name], seen)}`)
    .join('\n');
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const spellings = (secret: string) => [secret, base64(secret).replace(/=+$/, '').slice(0, -2)];

/** Those of the secrets that the error reveals. */
function revealedIn(error: unknown, secrets: readonly string[]): string[] {
  if (!(error instanceof Error)) return [`no error: ${String(error)}`];
  const texts = textsIn(error);
  return secrets.filter((secret) => texts.includes(secret));
}

interface Shape {
  readonly server?: string;
  readonly user?: object;
  readonly cluster?: object;
}

function written(text: string, name = 'config'): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

function kubeconfig({ server = emulator.url, user = { token: SECRET }, cluster = {} }: Shape = {}) {
  const ca = { 'certificate-authority-data': base64(certificate.cert) };
  return written(
    JSON.stringify({
      clusters: [{ name: 'one', cluster: { server, ...ca, ...cluster } }],
      users: [{ name: 'jane', user }],
      contexts: [{ name: 'one', context: { cluster: 'one', user: 'jane' } }],
      'current-context': 'one',
    }),
  );
}

async function lockWith(kubeConfigFile: string): Promise<ResourceLock> {
  const lock = await leaseLock({ kubeConfigFile })(REQUESTER);
  closing.push(() => lock.close?.());
  return lock;
}

/** What a read, a creation and a watch fail with. */
async function errorsOf(lock: ResourceLock): Promise<unknown[]> {
  const recorded = new RecordedWatch();
  const watch = lock.watch!(recorded, { silenceLimitMs: 60_000 });
  closing.push(() => watch.close());
  const outcomes = [await lock.read(request()), await lock.create(held('first'), request())];
  await recorded.until(({ errors }) => errors.length > 0);
  const errors = outcomes.map((outcome) => ('error' in outcome ? outcome.error : outcome.kind));
  return [...errors, recorded.errors[0]];
}

async function revealedBy(lock: ResourceLock, secrets = spellings(SECRET)): Promise<string[]> {
  return (await errorsOf(lock)).flatMap((error) => revealedIn(error, secrets));
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const status = (code: number, message: string) => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code,
  message,
});

describe('When the answer of a server repeats the token', () => {
  it.each(
    [401, 403, 404, 409, 413, 422, 429, 500, 503].flatMap((code) => [
      { code, body: status(code, `no: Bearer ${SECRET}`), as: 'a status of the API' },
      { code, body: `<h1>GET / Authorization: Bearer ${SECRET}</h1>`, as: 'a page' },
    ]),
  )('keeps it out of every error about a $code with $as', async ({ code, body }) => {
    emulator.fail({ times: 100, fault: { kind: 'answer', status: code, body } });
    expect(await revealedBy(await lockWith(kubeconfig()))).toEqual([]);
  });

  it.each([
    ['that is no JSON', `Authorization: Bearer ${SECRET}`],
    ['that is another object', { kind: SECRET, apiVersion: 'v1', token: SECRET }],
  ])('keeps it out of every error about an answer %s', async (_, body) => {
    emulator.fail({ times: 100, fault: { kind: 'answer', status: 200, body } });
    expect(await revealedBy(await lockWith(kubeconfig()))).toEqual([]);
  });

  it('keeps it out of the error of a watch that the server ends', async () => {
    const end = { type: 'ERROR', object: status(500, `it was ${SECRET}`) };
    const body = `${JSON.stringify(end)}\n`;
    const headers = { 'Content-Type': 'application/json' };
    const on = ({ method, query }: { method: string; query: URLSearchParams }) =>
      method === 'GET' && query.has('watch');
    emulator.fail({ times: 100, on, fault: { kind: 'answer', status: 200, body, headers } });
    const recorded = new RecordedWatch();
    const lock = await lockWith(kubeconfig());
    const watch = lock.watch!(recorded, { silenceLimitMs: 60_000 });
    closing.push(() => watch.close());
    await recorded.until(({ errors }) => errors.length > 0);
    expect(recorded.errors[0]!.message).toContain('it was <redacted>');
    expect(revealedIn(recorded.errors[0], spellings(SECRET))).toEqual([]);
  });

  it('keeps the password out of an error, and its Base64', async () => {
    const user = { username: 'jane', password: SECRET };
    const body = `jane:${SECRET} was ${base64(`jane:${SECRET}`)}`;
    emulator.fail({ times: 100, fault: { kind: 'answer', status: 500, body } });
    const secrets = [SECRET, base64(`jane:${SECRET}`)];
    expect(await revealedBy(await lockWith(kubeconfig({ user })), secrets)).toEqual([]);
  });

  it('is not HTTP but the bytes of the request, keeps them out of every error', async () => {
    const echo = createTlsServer({ key: certificate.key, cert: certificate.cert }, (socket) => {
      socket.on('error', () => undefined).pipe(socket);
    });
    const port = await listening(echo);
    expect(
      await revealedBy(await lockWith(kubeconfig({ server: `https://127.0.0.1:${port}` }))),
    ).toEqual([]);
  });
});

describe('When a redirect carries credentials in its URL', () => {
  it.each([301, 307, 308])(
    'names nothing but the host for a %i, and sends nothing',
    async (code) => {
      const headers = { Location: `https://jane:${SECRET}@127.0.0.1:1/${SECRET}?token=${SECRET}` };
      emulator.fail({ times: 100, fault: { kind: 'answer', status: code, headers } });
      expect(await revealedBy(await lockWith(kubeconfig()))).toEqual([]);
    },
  );
});

describe('When TLS fails', () => {
  it.each<[string, object]>([
    ['as the CA is another', { 'certificate-authority-data': 'STRANGER' }],
    ['as the name is another', { 'tls-server-name': 'api.example.com' }],
  ])('%s, sends no token and names none', async (_, cluster) => {
    const given = JSON.stringify(cluster).replace('STRANGER', base64(stranger.cert));
    const lock = await lockWith(kubeconfig({ cluster: JSON.parse(given) as object }));
    expect(await revealedBy(lock)).toEqual([]);
    expect(emulator.requests).toEqual([]);
  });

  it('as the private key cannot be read, says nothing of it', async () => {
    const { key } = certificate;
    const user = {
      'client-certificate-data': base64(certificate.cert),
      'client-key-data': base64(key.slice(0, -60)),
    };
    const line = key.split('\n')[1]!;
    expect(
      await revealedBy(await lockWith(kubeconfig({ user })), [line, base64(key).slice(40, 80)]),
    ).toEqual([]);
  });
});

describe('When the URL of a proxy holds a password', () => {
  const encoded = base64(`jane:${SECRET}`);
  const proxied = (port: number, user = 'jane') => ({
    server: 'https://api.example.com',
    cluster: { 'proxy-url': `http://${user}:${SECRET}@127.0.0.1:${port}` },
  });

  it.each<[string, (request: string) => string]>([
    ['refuses', () => 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'],
    ['repeats the request in a refusal', (text) => `HTTP/1.1 403 ${encoded}\r\n\r\n${text}`],
    ['answers with the request itself', (text) => text],
    ['answers with something that is not HTTP', () => `${encoded} ${SECRET}\r\n\r\n`],
  ])('keeps it out of every error of one that %s', async (_, answer) => {
    const proxy = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (data) => socket.end(answer(data.toString('latin1'))));
    });
    const lock = await lockWith(kubeconfig(proxied(await listening(proxy))));
    expect(await revealedBy(lock, [SECRET, encoded])).toEqual([]);
  });

  it.each(['jane', '%zz'])(
    'keeps it out of the error that nothing listens (user %s)',
    async (user) => {
      expect(
        await revealedBy(await lockWith(kubeconfig(proxied(1, user))), [SECRET, encoded]),
      ).toEqual([]);
    },
  );

  it('keeps it out of the error that the URL is none', async () => {
    const cluster = { 'proxy-url': `http://jane:${SECRET}@ho st:99999` };
    expect(await revealedBy(await lockWith(kubeconfig({ cluster })), [SECRET])).toEqual([]);
  });
});

describe('When a kubeconfig cannot be used', () => {
  const errorOf = async (file: string): Promise<unknown> => {
    const made = await lockWith(file).catch((error: unknown) => error);
    if (made instanceof Error) return made;
    const outcome = await (made as ResourceLock).read(request());
    return 'error' in outcome ? outcome.error : outcome.kind;
  };

  it.each<[string, string]>([
    ['a missing bracket', `users:\n- user: {token: ${SECRET}\n  a: b: c`],
    ['a token that is taken for an alias', `users:\n- user:\n    token: *${SECRET}`],
    ['a token that is taken for a tag', `users:\n- user:\n    token: !${SECRET} x`],
    ['a token that is taken for a tag of a handle', `users:\n- user:\n    token: !a!${SECRET} x`],
    ['an escape in a token', `users:\n- user:\n    token: "${SECRET}\\y"`],
    ['a tab after a token', `users:\n\t- user:\n    token: ${SECRET}`],
  ])('as YAML has %s, names the line and quotes nothing', async (_, text) => {
    const error = await errorOf(written(text));
    expect((error as Error).message).toMatch(/is not YAML at line \d, column \d+/);
    expect(revealedIn(error, spellings(SECRET))).toEqual([]);
  });

  it.each<[string, Shape]>([
    ['a user in a URL without a scheme', { server: `jane:${SECRET}@127.0.0.1:6443` }],
    ['a password in a URL', { server: `https://jane:${SECRET}@127.0.0.1:6443` }],
    ['a password in what is no URL', { server: `https://jane:${SECRET}@127.0.0.1:port` }],
    ['a password with a slash', { server: `jane:/${SECRET}@127.0.0.1` }],
    ['a token in the query', { server: `https://127.0.0.1?token=${SECRET}` }],
    ['a token in the fragment', { server: `https://127.0.0.1#${SECRET}` }],
    ['a token with a line end in it', { user: { token: `${SECRET}\n${SECRET}` } }],
    ['a token that is a list', { user: { token: [SECRET] } }],
    ['a token beside a password', { user: { token: SECRET, username: 'a', password: SECRET } }],
    ['a password that is a number', { user: { username: 'a', password: { SECRET } } }],
    ['a key that is not Base64', { user: { 'client-key-data': `${SECRET}%` } }],
    [
      'a provider that is not supported',
      { user: { 'auth-provider': { name: 'gcp', config: { 'access-token': SECRET } } } },
    ],
  ])('as it has %s, says so without it', async (_, shape) => {
    expect(revealedIn(await errorOf(kubeconfig(shape)), spellings(SECRET))).toEqual([]);
  });

  it.each<[string, object, RegExp]>([
    ['a token', { tokenFile: JWT }, /tokenFile must be a path, .* write it into token\./],
    [
      'a key',
      {
        'client-certificate-data': base64('cert'),
        'client-key': base64('-----BEGIN PRIVATE KEY-----\nplanted'),
      },
      /client-key must be a path, .* write it into client-key-data\./,
    ],
  ])(
    'as %s is where its path belongs, says where it belongs, without it',
    async (_, user, says) => {
      const error = await errorOf(kubeconfig({ user }));
      expect((error as Error).message).toMatch(says);
      expect(
        revealedIn(error, [JWT.slice(20, 40), base64('KEY-----\nplanted').slice(4, 12)]),
      ).toEqual([]);
    },
  );

  it.each<[string, (file: string) => void]>([
    ['a folder', (file) => mkdirSync(file)],
    ['empty', (file) => writeFileSync(file, ' ')],
    ['not a token', (file) => writeFileSync(file, `a ${SECRET}\n${SECRET}\u0001`)],
    ['missing', () => undefined],
  ])('as the token file is %s, says so and no token', async (_, make) => {
    const tokenFile = join(folder, 'token');
    make(tokenFile);
    expect(
      revealedIn(await errorOf(kubeconfig({ user: { tokenFile } })), spellings(SECRET)),
    ).toEqual([]);
  });
});

describe('When a program that gives credentials fails', () => {
  const answered = (credential: object) =>
    JSON.stringify({
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      status: credential,
    });
  const program = (script: string, rest: object = {}) => {
    const command = written(`#!/bin/sh\n${script}\n`, 'program');
    chmodSync(command, 0o700);
    return exec(command, rest);
  };
  const exec = (command: string, rest: object = {}) => ({
    exec: {
      command,
      apiVersion: 'client.authentication.k8s.io/v1',
      interactiveMode: 'Never',
      ...rest,
    },
  });
  const args = [`--client-secret=${SECRET}`, '--token', SECRET];
  const env = [{ name: 'CLIENT_SECRET', value: SECRET }];

  it.each<[string, () => object]>([
    [
      'cannot be started, and has it in its arguments',
      () => exec('no-such-program', { args, env }),
    ],
    [
      'prints it on stderr',
      () => program(`echo '${answered({ token: SECRET })}'; echo ${SECRET} >&2; exit 1`),
    ],
    ['prints its arguments', () => program('echo "$@" >&2; exit 1', { args })],
    ['prints its environment', () => program('env >&2; exit 1', { env })],
    ['prints a header', () => program(`echo "Authorization: Bearer ${SECRET}" >&2; exit 1`)],
    [
      'prints an answer on stderr',
      () => program(`echo '${answered({ token: SECRET })}' >&2; exit 1`),
    ],
    ['prints no JSON', () => program(`echo 'token ${SECRET}'`)],
    [
      'prints a token that no header can carry',
      () => program(`printf '${answered({ token: `${SECRET}\u0001` })}'`),
    ],
    [
      'prints a token and a key without a certificate',
      () => program(`echo '${answered({ token: SECRET, clientKeyData: SECRET })}'`),
    ],
  ])('as it %s, keeps the secret out of the error', async (_, user) => {
    expect(await revealedBy(await lockWith(kubeconfig({ user: user() })))).toEqual([]);
  });

  it.each<[string, (jwt: string) => string]>([
    ['on stderr', (jwt) => `echo "got ${jwt}" >&2; exit 1`],
    [
      'on stderr before 450 other characters',
      (jwt) => `echo "${jwt} ${'x'.repeat(450)}" >&2; exit 1`,
    ],
    ['as the kind', (jwt) => `echo '{"kind": "${jwt}"}'`],
    ['as its expiry', (jwt) => `echo '${answered({ token: jwt, expirationTimestamp: jwt })}'`],
  ])(
    'as it prints a JSON Web Token %s, keeps every part of it out of the error',
    async (_, script) => {
      const lock = await lockWith(kubeconfig({ user: program(script(JWT)) }));
      expect(await revealedBy(lock, [JWT.slice(0, 18), JWT.slice(24, 40), JWT.slice(-12)])).toEqual(
        [],
      );
    },
  );
});

describe('When the KubeConfig of the application fails to give credentials', () => {
  it('keeps those that it holds out of the error, whatever its own error holds', async () => {
    const user = {
      token: SECRET,
      authProvider: { name: 'oidc', config: { 'client-secret': SECRET } },
    };
    const kubeConfig: KubeConfigLike = {
      getCurrentContext: () => 'one',
      setCurrentContext: () => undefined,
      getContexts: () => [{ name: 'one' }],
      getContextObject: () => ({ namespace: 'default', user: 'jane' }),
      getCurrentCluster: () => ({ server: emulator.url }),
      getCurrentUser: () => user,
      applyToHTTPSOptions: () =>
        Promise.reject(
          Object.assign(new Error(`refused: ${SECRET}`), { response: { body: SECRET } }),
        ),
    };
    const lock = await leaseLock({ kubeConfig: kubeConfig as never })(REQUESTER);
    closing.push(() => lock.close?.());
    expect(await revealedBy(lock)).toEqual([]);
  });
});
