import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ClusterTls } from '../../../lib/kubernetes/http/socket-basics.js';
import {
  openClusterSocket,
  readableKey,
  resetSocket,
} from '../../../lib/kubernetes/http/socket.js';
import {
  type Certificate,
  selfSignedCertificate,
} from '../../../proof/api-emulator/certificate.js';
import { eventually } from '../../../proof/api-emulator/eventually.js';
import { CertificateAuthority } from '../../../proof/control-plane/certificate-authority.js';

let certificate: Certificate;
const servers: Server[] = [];

beforeAll(() => {
  certificate = selfSignedCertificate();
});

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const tlsServer = (): Server =>
  createTlsServer(certificate, (socket) => socket.on('error', () => {}));
const plainServer = (): Server => createServer((socket) => socket.on('error', () => {}));
const proxyServer = (): Server =>
  createHttpServer().on(
    'connect',
    (request: { url: string }, client: import('node:net').Socket) => {
      const upstream = connect(Number(request.url.split(':')[1]), '127.0.0.1', () =>
        client.write('HTTP/1.1 200 OK\r\n\r\n'),
      );
      upstream.pipe(client).pipe(upstream);
      for (const socket of [upstream, client]) socket.on('error', () => {});
    },
  );

describe('when a connection fails while no request uses it', () => {
  it.each<[string, boolean, boolean]>([
    ['over TCP', false, false],
    ['over TLS', true, false],
    ['over TLS through a proxy', true, true],
  ])('does not end the process: %s', async (_name, tls, tunnelled) => {
    const port = await listening(tls ? tlsServer() : plainServer());
    const proxy = tunnelled
      ? new URL(`http://127.0.0.1:${await listening(proxyServer())}`)
      : undefined;
    const socket = await openClusterSocket(
      {
        server: new URL(`${tls ? 'https' : 'http'}://localhost:${port}`),
        headers: {},
        tls: tls ? { ca: certificate.cert } : {},
      },
      { proxy, signal: new AbortController().signal },
    );
    // What an emitter without a listener does with an error is to throw it.
    expect(() => socket.emit('error', new Error('write ECONNRESET'))).not.toThrow();
    resetSocket(socket);
    expect(() => socket.emit('error', new Error('write EPIPE'))).not.toThrow();
  });
});

function open(port: number, tls: ClusterTls, proxy?: URL) {
  return openClusterSocket(
    { server: new URL(`https://127.0.0.1:${port}`), headers: {}, tls },
    { proxy, signal: new AbortController().signal },
  );
}

describe('when TLS cannot be set up', () => {
  it('because the client key cannot be read, says so and makes no connection', async () => {
    let connections = 0;
    const server = tlsServer().on('connection', () => connections++);
    const { cert } = certificate;
    const key = '-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n';
    const opening = open(await listening(server), { ca: cert, cert, key });
    await expect(opening).rejects.toThrow(/^TLS cannot use the configured CA, client certificate/);
    expect(connections).toBe(0);
  });

  it.each<[string, boolean]>([
    ['', false],
    [' through a proxy', true],
  ])('because it throws on the open connection%s, closes that one', async (_, tunnelled) => {
    const accepted: import('node:net').Socket[] = [];
    const server = plainServer().on('connection', (socket) => accepted.push(socket));
    const port = await listening(server);
    const proxy = tunnelled
      ? new URL(`http://127.0.0.1:${await listening(proxyServer())}`)
      : undefined;
    const servername = { length: 5 } as unknown as string;
    await expect(open(port, { servername }, proxy)).rejects.toThrow(/"name" argument|servername/);
    const [socket] = accepted.length > 0 ? accepted : await once(server, 'connection');
    if (!socket.destroyed) await once(socket.resume(), 'close');
    expect(socket.destroyed).toBe(true);
  });
});

describe('when the server shows a certificate', () => {
  const root = new CertificateAuthority();
  const intermediate = new CertificateAuthority(root);
  const serving = intermediate.issueServingCertificate(['127.0.0.1']);
  const server = (chain: string): Server =>
    createTlsServer({ cert: chain, key: serving.key }, (socket) => socket.on('error', () => {}));
  const whole = serving.certificate + intermediate.certificate;

  it.each<[string, string, string]>([
    ['the root', root.certificate, whole],
    ['nothing but the intermediate', intermediate.certificate, whole],
    [
      'the intermediate, which the server does not send',
      intermediate.certificate,
      serving.certificate,
    ],
  ])('and the CA bundle holds %s, trusts it', async (_, ca, chain) => {
    const socket = await open(await listening(server(chain)), { ca });
    expect(socket).toMatchObject({ authorized: true });
    socket.destroy();
  });

  it('of another authority, does not trust it', async () => {
    const ca = new CertificateAuthority().certificate;
    await expect(open(await listening(server(whole)), { ca })).rejects.toThrow(/certificate/);
  });

  it('for an address that is expected by name, trusts it', async () => {
    const { certificate: cert, key } = root.issueServingCertificate(['10.96.0.1', 'kubernetes']);
    const named = createTlsServer({ cert, key }, (socket) => socket.on('error', () => {}));
    const asked: unknown[] = [];
    named.on('secureConnection', (socket: TLSSocket) => asked.push(socket.servername));
    const port = await listening(named);
    const ca = root.certificate;
    for (const servername of ['10.96.0.1', 'kubernetes']) {
      (await open(port, { ca, servername })).destroy();
    }
    await expect(open(port, { ca })).rejects.toThrow(/127\.0\.0\.1/);
    // An address is no name to ask a server by.
    await eventually(() => expect(asked.slice(0, 2)).toEqual([false, 'kubernetes']));
  });
});

describe('readableKey()', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const labelled = (pem: string | Buffer, label: string) =>
    pem.toString().replaceAll(/(?<=BEGIN |END )[A-Z ]*PRIVATE KEY/g, label);

  it.each([
    ['PKCS#1', rsa, rsa.export({ type: 'pkcs1', format: 'pem' })],
    ['PKCS#8', rsa, rsa.export({ type: 'pkcs8', format: 'pem' })],
    ['PKCS#8 of EC', ec, ec.export({ type: 'pkcs8', format: 'pem' })],
    ['SEC1', ec, ec.export({ type: 'sec1', format: 'pem' })],
  ])('when the key is %s, reads it under every label', (_, key, pem) => {
    for (const label of ['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY']) {
      const read = createPrivateKey(readableKey(labelled(pem, label)));
      expect(read.equals(key)).toBe(true);
    }
  });

  it.each(['', 'no key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----'])(
    'when it is none (%j), leaves it to TLS to say so',
    (text) => {
      expect(readableKey(text)).toBe(text);
    },
  );
});
