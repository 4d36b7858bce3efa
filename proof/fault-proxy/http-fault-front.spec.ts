import { once } from 'node:events';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CertificateAuthority } from '../control-plane/certificate-authority.js';
import { HttpFaultFront } from './http-fault-front.js';

describe('a load balancer with faults', () => {
  const authority = new CertificateAuthority();
  const { certificate: cert, key } = authority.issueServingCertificate(['127.0.0.1']);
  const ca = authority.certificate;
  let server: Server;
  let front: HttpFaultFront;
  let received: string[];

  beforeEach(async () => {
    received = [];
    server = createServer({ cert, key }, (incoming, response) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (part: string) => (text += part));
      incoming.on('end', () => {
        received.push(`${incoming.method} ${incoming.url} ${text}`);
        response.writeHead(201, { 'x-served': 'yes' }).end(`served ${text}`);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    front = await HttpFaultFront.start({ cert, key, ca }, () => port);
  });
  afterEach(async () => {
    await front.stop();
    const closed = once(server, 'close');
    server.close().closeAllConnections();
    await closed;
  });

  const put = () =>
    new Promise<{ status?: number | undefined; retryAfter?: string | undefined; text: string }>(
      (resolve, reject) => {
        const options = { host: '127.0.0.1', port: front.port, ca, method: 'PUT', path: '/lease' };
        const sent = request({ ...options, agent: false }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part));
          const { statusCode: status, headers } = response;
          response.on('end', () => resolve({ status, retryAfter: headers['retry-after'], text }));
        });
        sent.on('error', reject).end('body');
      },
    );

  it('passes requests and answers whole while it has none', async () => {
    expect(await put()).toEqual({ status: 201, retryAfter: undefined, text: 'served body' });
    expect(received).toEqual(['PUT /lease body']);
  });

  it('answers in place of the server, which hears nothing', async () => {
    front.answer({ status: 429, reachesServer: false, retryAfterSeconds: 7 });
    expect(await put()).toMatchObject({ status: 429, retryAfter: '7' });
    expect(received).toEqual([]);
  });

  it('answers in place of a server that has done what was asked', async () => {
    front.answer({ status: 503, reachesServer: true });
    expect(await put()).toMatchObject({ status: 503, retryAfter: undefined });
    expect(received).toEqual(['PUT /lease body']);
  });

  it('says that it has no server when that is gone', async () => {
    server.closeAllConnections();
    const closed = once(server, 'close');
    server.close();
    await closed;
    expect(await put()).toMatchObject({ status: 502 });
  });
});
