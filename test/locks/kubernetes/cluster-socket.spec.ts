import { createServer as createTlsServer } from 'node:tls';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { connect } from 'node:net';
import { createServer as createHttpServer } from 'node:http';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { openClusterSocket, resetSocket } from '../../../lib/locks/kubernetes/cluster-socket.js';
import { selfSignedCertificate, type Certificate } from '../../support/api-emulator/certificate.js';

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
