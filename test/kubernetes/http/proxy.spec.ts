import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../proof/api-emulator/eventually.js';
import { describeTransportFailure } from '../../../lib/kubernetes/answer-messages.js';
import { ProxyFailure, proxyFor } from '../../../lib/kubernetes/http/proxy.js';
import type { ClusterAccess } from '../../../lib/kubernetes/http/socket-basics.js';
import { KubernetesTransport } from '../../../lib/kubernetes/kubernetes-transport.js';
import { ApiEmulator } from '../../../proof/api-emulator/api-emulator.js';
import {
  type Certificate,
  selfSignedCertificate,
} from '../../../proof/api-emulator/certificate.js';
import { EmulatedConnection } from '../../../proof/api-emulator/emulated-cluster.js';

function access(server: string, proxyUrl?: string): ClusterAccess {
  return { server: new URL(server), headers: {}, tls: {}, ...(proxyUrl && { proxyUrl }) };
}

describe('proxyFor', () => {
  const API = 'https://api.example.com:6443';
  const PROXY = { HTTPS_PROXY: 'http://proxy:3128' };
  const SET = 'http://proxy:3128';

  it.each<[string, string, Record<string, string>, string | undefined]>([
    ['nothing is set', API, {}, undefined],
    ['HTTPS_PROXY is set', API, PROXY, SET],
    ['https_proxy is set', API, { https_proxy: SET }, SET],
    ['it is set without a scheme', API, { HTTPS_PROXY: 'proxy:3128' }, SET],
    ['only HTTP_PROXY is set', API, { HTTP_PROXY: SET }, undefined],
    ['HTTP_PROXY is set for an http server', 'http://api.example.com', { HTTP_PROXY: SET }, SET],
    ['NO_PROXY is *', API, { ...PROXY, NO_PROXY: '*' }, undefined],
    ['NO_PROXY names the host', API, { ...PROXY, NO_PROXY: 'x, API.example.com' }, undefined],
    ['no_proxy names the host', API, { ...PROXY, no_proxy: 'api.example.com' }, undefined],
    ['NO_PROXY names the domain', API, { ...PROXY, NO_PROXY: 'example.com' }, undefined],
    ['NO_PROXY names .domain', API, { ...PROXY, NO_PROXY: '.example.com' }, undefined],
    ['NO_PROXY names *.domain', API, { ...PROXY, NO_PROXY: '*.example.com' }, undefined],
    ['NO_PROXY names part of a label', API, { ...PROXY, NO_PROXY: 'ample.com' }, SET],
    ['NO_PROXY names this port', API, { ...PROXY, NO_PROXY: 'api.example.com:6443' }, undefined],
    ['NO_PROXY names another port', API, { ...PROXY, NO_PROXY: 'api.example.com:443' }, SET],
    [
      'NO_PROXY has the network',
      'https://10.96.0.1',
      { ...PROXY, NO_PROXY: '10.96.0.0/12' },
      undefined,
    ],
    [
      'NO_PROXY has another network',
      'https://10.0.0.1',
      { ...PROXY, NO_PROXY: '10.96.0.0/12' },
      SET,
    ],
    ['NO_PROXY has nonsense', 'https://10.0.0.1', { ...PROXY, NO_PROXY: '10.0.0.0/99,/,:,[' }, SET],
    ['NO_PROXY has the address', 'https://[fd00::1]', { ...PROXY, NO_PROXY: 'fd00::1' }, undefined],
    [
      'NO_PROXY has the v6 network',
      'https://[fd00::1]',
      { ...PROXY, NO_PROXY: 'fd00::/8' },
      undefined,
    ],
    ['the server is this machine', 'https://localhost:6443', PROXY, undefined],
    ['the server is a loopback address', 'https://127.0.0.5', PROXY, undefined],
  ])('when %s, is right', (_, server, env, expected) => {
    expect(proxyFor(access(server), env)?.href.replace(/\/$/, '')).toBe(expected);
  });

  it('when the kubeconfig names one, that one is used', () => {
    const env = { ...PROXY, NO_PROXY: '*' };
    expect(proxyFor(access(API, 'http://other:1'), env)?.host).toBe('other:1');
  });
});

describe('KubernetesTransport, when a proxy is configured', () => {
  let certificate: Certificate;
  let emulator: ApiEmulator;
  let proxy: Server;
  let asked: { target: string; authorization: string | undefined }[];
  let refusal: string | undefined;
  let transport: KubernetesTransport;
  const sockets: Socket[] = [];

  beforeAll(() => {
    certificate = selfSignedCertificate();
  });

  beforeEach(async () => {
    asked = [];
    refusal = undefined;
    emulator = await ApiEmulator.start({ certificate });
    proxy = createServer();
    proxy.on('connect', (request: IncomingMessage, client: Socket) => {
      sockets.push(client);
      const authorization = request.headers['proxy-authorization'];
      asked.push({ target: request.url ?? '', authorization });
      if (refusal !== undefined) {
        client.end(`HTTP/1.1 ${refusal}\r\n\r\n`);
        return;
      }
      const upstream = connect(emulator.port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        client.pipe(upstream).pipe(client);
      });
      sockets.push(upstream);
      for (const socket of [client, upstream]) socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    transport = new KubernetesTransport(
      new EmulatedConnection({
        server: new URL('https://localhost:6443'),
        tls: { ca: certificate.cert },
        proxyUrl: `http://me:p%40ss@127.0.0.1:${port}`,
      }),
    );
  });

  afterEach(async () => {
    transport.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    await new Promise((resolve) => proxy.close(resolve));
    await emulator.stop();
  });

  const send = (timeoutMs = 10_000) =>
    transport.send(
      { method: 'GET', path: '/apis/coordination.k8s.io/v1/namespaces/default/leases/plan' },
      { timeoutMs, signal: new AbortController().signal },
    );

  it('goes through one tunnel to the server, and checks the certificate of the server', async () => {
    expect(await send()).toMatchObject({ status: 404 });
    expect(await send()).toMatchObject({ status: 404 });
    const authorization = `Basic ${Buffer.from('me:p@ss').toString('base64')}`;
    expect(asked).toEqual([{ target: 'localhost:6443', authorization }]);
  });

  it('that refuses, names it and its answer, and knows that nothing was sent', async () => {
    refusal = '407 Proxy Authentication Required';
    const answer = await send();
    expect(answer.kind).toBe('not-sent');
    const message = answer.kind === 'not-sent' ? String(answer.cause) : '';
    expect(message).toMatch(
      /proxy http:\/\/127\.0\.0\.1:\d+ answered 407 to CONNECT localhost:6443/,
    );
    expect(message).not.toContain('p@ss');
  });

  it('and the request is given up, resets the connection to the proxy', async () => {
    let ended: string | undefined;
    proxy.on('connect', (_: IncomingMessage, client: Socket) =>
      client.once('error', (error: NodeJS.ErrnoException) => (ended = error.code)),
    );
    emulator.fail({ fault: { kind: 'hang' } });
    expect((await send(500)).kind).toBe('unanswered');
    await eventually(() => expect(ended).toBe('ECONNRESET'));
  });
});

describe('when the proxy is what fails', () => {
  it('because nothing listens there, does not ask whether the API server is up', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const failure = new ProxyFailure('proxy http://p: connect ECONNREFUSED', 'proxy-url', cause);
    expect(describeTransportFailure(failure)).toBe(
      'proxy http://p: connect ECONNREFUSED. The proxy is the one of proxy-url.',
    );
  });

  const refused = 'http://127.0.0.1:1';
  const failing = async (proxyUrl: string | undefined, env: Record<string, string> = {}) => {
    const server = new URL('https://api.example:6443');
    const before = { ...process.env };
    Object.assign(process.env, env);
    const transport = new KubernetesTransport(
      new EmulatedConnection({ server, ...(proxyUrl !== undefined && { proxyUrl }) }),
    );
    try {
      const answer = await transport.send(
        { method: 'GET', path: '/' },
        { timeoutMs: 5_000, signal: new AbortController().signal },
      );
      return answer.kind === 'not-sent' ? describeTransportFailure(answer.cause) : answer.kind;
    } finally {
      transport.close();
      for (const name of Object.keys(env)) delete process.env[name];
      Object.assign(process.env, before);
    }
  };

  it.each<[string, string | undefined, Record<string, string>, RegExp]>([
    [
      'is down and of the kubeconfig',
      refused,
      {},
      /ECONNREFUSED.*is the one of proxy-url in the kubeconfig\.$/,
    ],
    [
      'is down and of the environment',
      undefined,
      { HTTPS_PROXY: refused },
      /ECONNREFUSED.*is the one of HTTPS_PROXY in the environment\.$/,
    ],
    [
      'speaks socks5 and is of the kubeconfig',
      'socks5://127.0.0.1:1',
      {},
      /or remove it from the cluster entry/,
    ],
    [
      'speaks socks5 and is of the environment',
      undefined,
      { HTTPS_PROXY: 'socks5://127.0.0.1:1' },
      /or exempt the API server in NO_PROXY/,
    ],
  ])(
    'because it %s, says what helps and nothing of the API server',
    async (_, proxyUrl, env, text) => {
      const message = await failing(proxyUrl, env);
      expect(message).toMatch(text);
      expect(message).not.toContain('is the API server up');
    },
  );
});
