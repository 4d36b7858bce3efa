import { AsyncLocalStorage } from 'node:async_hooks';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate } from 'node:timers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type ApiRequest, KubernetesTransport } from '../../lib/kubernetes/kubernetes-transport.js';
import type { ApiAnswer } from '../../lib/kubernetes/object-request.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { type Certificate, selfSignedCertificate } from '../../proof/api-emulator/certificate.js';
import { connectionTo, EmulatedConnection } from '../../proof/api-emulator/emulated-cluster.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { startDeafServer } from '../support/deaf-server.js';
import { microtasks } from '../support/microtasks.js';

const PATH = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
const GET: ApiRequest = { method: 'GET', path: `${PATH}/plan` };
const POST: ApiRequest = {
  method: 'POST',
  path: PATH,
  body: { kind: 'Lease', metadata: { name: 'plan' }, spec: { holderIdentity: 'a' } },
};
const NEVER = new AbortController().signal;
const GENEROUS = { timeoutMs: 10_000, signal: NEVER };

let certificate: Certificate;
let emulator: ApiEmulator;
let connection: EmulatedConnection;
let transport: KubernetesTransport;

beforeAll(() => {
  certificate = selfSignedCertificate();
});

async function start(options: { tls: boolean }): Promise<void> {
  emulator = await ApiEmulator.start(options.tls ? { certificate } : {});
  connection = new EmulatedConnection({
    server: new URL(emulator.url),
    tls: options.tls ? { ca: certificate.cert } : {},
  });
  transport = new KubernetesTransport(connection);
}

beforeEach(() => start({ tls: false }));
afterEach(async () => {
  transport.close();
  await emulator.stop();
});

/** Real time, in turns of the event loop, where the timers are not the machine's. */
async function turns(forMs: number, holds = (): boolean => false): Promise<void> {
  const until = performance.now() + forMs;
  while (!holds() && performance.now() < until) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function statusOf(answer: ApiAnswer): number | string {
  return answer.kind === 'response' ? answer.status : answer.kind;
}

function causeOf(answer: ApiAnswer): string {
  return answer.kind === 'response' ? 'a response' : String(answer.cause);
}

describe('KubernetesTransport, when it sends a request', () => {
  it('says who it is, what it takes and how long the server may work on it', async () => {
    await transport.send(POST, { timeoutMs: 2_500, signal: NEVER });
    const [request] = emulator.requests;
    expect(request?.headers).toMatchObject({
      'user-agent': expect.stringContaining('nestjs-leader-election'),
      accept: 'application/json',
      'content-type': 'application/json',
      authorization: 'Bearer token-of-the-test',
    });
    expect(request?.headers['accept-encoding']).toBeUndefined();
    expect(request?.query.get('fieldManager')).toBe('nestjs-leader-election');
    expect(request?.query.get('timeout')).toMatch(/^2(\.\d+)?s$/);
  });

  it('connects in its own async context and answers in that of the caller', async () => {
    const request = new AsyncLocalStorage<string>();
    const access = connection.access.bind(connection);
    const contexts: unknown[] = [];
    connection.access = () => {
      contexts.push(request.getStore());
      return access();
    };
    await request.run('request 7', async () => {
      await transport.send(GET, GENEROUS);
      contexts.push(request.getStore());
    });
    expect(contexts).toEqual([undefined, 'request 7']);
  });

  it('keeps the path prefix of the server', async () => {
    connection = new EmulatedConnection({ server: new URL(`${emulator.url}/k8s/clusters/c-1/`) });
    transport.close();
    transport = new KubernetesTransport(connection);
    await transport.send(GET, GENEROUS);
    expect(emulator.requests[0]?.path).toBe(`/k8s/clusters/c-1${PATH}/plan`);
  });

  it('does not follow a redirect', async () => {
    const headers = { Location: `${emulator.url}/elsewhere` };
    emulator.fail({ fault: { kind: 'answer', status: 307, headers } });
    expect(statusOf(await transport.send(GET, GENEROUS))).toBe(307);
    expect(emulator.requests).toHaveLength(1);
  });

  it('takes an answer that repeats its token without the token', async () => {
    emulator.fail({ fault: { kind: 'answer', status: 400, body: 'no: token-of-the-test' } });
    expect(await transport.send(GET, GENEROUS)).toMatchObject({ body: 'no: <redacted>' });
  });

  it('does not take an answer without end', async () => {
    const body = 'x'.repeat(5 * 1024 * 1024);
    emulator.fail({ fault: { kind: 'answer', status: 200, body } });
    const answer = await transport.send(GET, GENEROUS);
    expect(causeOf(answer)).toContain('larger than');
  });
});

describe.each([{ tls: false }, { tls: true }])('KubernetesTransport, with %j', ({ tls }) => {
  beforeEach(async () => {
    transport.close();
    await emulator.stop();
    await start({ tls });
  });

  it('when requests follow one another, uses one connection for all of them', async () => {
    await transport.send(POST, GENEROUS);
    for (let i = 0; i < 50; i++) expect(statusOf(await transport.send(GET, GENEROUS))).toBe(200);
    expect(emulator.requests).toHaveLength(51);
    expect(emulator.connections).toBe(1);
  });

  it('when it is closed, leaves no connection behind', async () => {
    await transport.send(GET, GENEROUS);
    expect(emulator.openConnections).toBe(1);
    transport.close();
    await eventually(() => expect(emulator.openConnections).toBe(0));
  });

  it('when its connection is idle, does not keep the process alive, and when it is in use, does', async () => {
    const holding = () =>
      process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length;
    const before = holding();
    await transport.send(GET, GENEROUS);
    // The emulator's end of the connection is in this process as well.
    await eventually(() => expect(holding() - before).toBe(1));
    emulator.fail({ fault: { kind: 'delay', ms: 200 } });
    const sending = transport.send(GET, GENEROUS);
    await eventually(() => expect(holding() - before).toBe(2));
    await sending;
  });

  it.each(['hang', 'hang-in-body'] as const)(
    'when the server does this: %s, ends within the timeout, body included',
    async (kind) => {
      emulator.fail({ fault: { kind } });
      const answer = await transport.send(POST, { timeoutMs: 500, signal: NEVER });
      expect(answer.kind).toBe('unanswered');
      expect(causeOf(answer)).toContain('no answer within 500 ms');
    },
  );

  it.each(['hang', 'hang-in-body'] as const)(
    'when it is aborted while the server does this: %s, ends at once',
    async (kind) => {
      emulator.fail({ fault: { kind } });
      const abort = new AbortController();
      const sending = transport.send(POST, { timeoutMs: 60_000, signal: abort.signal });
      await eventually(() => expect(emulator.requests).toHaveLength(1));
      abort.abort();
      expect((await sending).kind).toBe('unanswered');
    },
  );

  it('when a read on a kept connection runs out of time, is not repeated', async () => {
    await transport.send(GET, GENEROUS);
    emulator.fail({ fault: { kind: 'hang' } });
    const answer = await transport.send(GET, { timeoutMs: 500, signal: NEVER });
    expect(answer.kind).toBe('unanswered');
    expect(emulator.requests).toHaveLength(2);
  });

  it('when a request was given up, the next one gets a new connection', async () => {
    emulator.fail({ fault: { kind: 'hang' } });
    await transport.send(GET, { timeoutMs: 500, signal: NEVER });
    expect(statusOf(await transport.send(GET, GENEROUS))).toBe(404);
    expect(emulator.connections).toBe(2);
  });
});

describe('KubernetesTransport, when it is told that a request is about to follow', () => {
  beforeEach(async () => {
    transport.close();
    await emulator.stop();
    await start({ tls: true });
  });

  it('opens a connection and sends nothing, and the request goes out on it', async () => {
    transport.connect();
    await eventually(() => expect(emulator.connections).toBe(1));
    expect(emulator.requests).toEqual([]);
    expect(statusOf(await transport.send(POST, GENEROUS))).toBe(201);
    expect(emulator.connections).toBe(1);
  });

  it('lets a request that comes while it connects have that connection', async () => {
    transport.connect();
    expect(statusOf(await transport.send(POST, GENEROUS))).toBe(201);
    expect(emulator.connections).toBe(1);
  });

  it('opens one connection, however often it is told', async () => {
    transport.connect();
    transport.connect();
    await eventually(() => expect(emulator.connections).toBe(1));
    transport.connect();
    await transport.send(GET, GENEROUS);
    // A server in the same process may answer before Node.js has heard that the request was written, and keeps it until then.
    await turns(20);
    transport.connect();
    await transport.send(GET, GENEROUS);
    expect(emulator.connections).toBe(1);
  });

  it('does not let it keep the process alive', async () => {
    const holding = () =>
      process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length;
    // Those of the test before this one are gone.
    await turns(100);
    const before = holding();
    transport.connect();
    // The emulator's end of the connection is in this process as well.
    await eventually(() => {
      expect(emulator.connections).toBe(1);
      expect(holding() - before).toBe(1);
    });
  });

  it('closes it if no request follows', async () => {
    jest.useFakeTimers({ doNotFake: ['performance', 'setImmediate', 'nextTick'] });
    try {
      transport.connect();
      await turns(5_000, () => emulator.openConnections === 1);
      jest.advanceTimersByTime(9_999);
      await turns(50);
      expect(emulator.openConnections).toBe(1);
      jest.advanceTimersByTime(1);
      await turns(5_000, () => emulator.openConnections === 0);
      expect(emulator.openConnections).toBe(0);
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
    expect(statusOf(await transport.send(GET, GENEROUS))).toBe(404);
    expect(emulator.connections).toBe(2);
  });

  it('closes it at the end, also if it is still being made', async () => {
    transport.connect();
    await eventually(() => expect(emulator.openConnections).toBe(1));
    transport.close();
    await eventually(() => expect(emulator.openConnections).toBe(0));
    transport = new KubernetesTransport(connection);
    transport.connect();
    await Promise.resolve();
    transport.close();
    transport.connect();
    await delay(50);
    expect(emulator.openConnections).toBe(0);
  });

  it('closes it where the request goes to another server, and does not use it', async () => {
    const other = await ApiEmulator.start({ certificate });
    try {
      transport.connect();
      await eventually(() => expect(emulator.openConnections).toBe(1));
      const access = await connection.access();
      connection.access = async () => ({ ...access, server: new URL(other.url) });
      expect(statusOf(await transport.send(POST, GENEROUS))).toBe(201);
      expect(other.requests).toHaveLength(1);
      await eventually(() => expect(emulator.openConnections).toBe(0));
      expect(emulator.requests).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it('opens another one for the request if the server has closed it', async () => {
    transport.connect();
    await eventually(() => expect(emulator.connections).toBe(1));
    emulator.disconnect();
    await eventually(() => expect(emulator.openConnections).toBe(0));
    expect(statusOf(await transport.send(POST, GENEROUS))).toBe(201);
    expect(emulator.connections).toBe(2);
  });

  it('leaves it to the request to say why there is no connection', async () => {
    await emulator.stop();
    transport.connect();
    await delay(50);
    const answer = await transport.send(POST, GENEROUS);
    expect(answer.kind).toBe('not-sent');
    expect(causeOf(answer)).toContain('ECONNREFUSED');
  });

  it('ends a request in time that waits for a connection that is not answered', async () => {
    const deaf = await startDeafServer();
    connection = new EmulatedConnection({
      server: new URL(`https://127.0.0.1:${deaf.port}`),
      tls: { ca: certificate.cert },
    });
    transport.close();
    transport = new KubernetesTransport(connection);
    transport.connect();
    await delay(50);
    const answer = await transport.send(POST, { timeoutMs: 300, signal: NEVER });
    expect(answer.kind).toBe('not-sent');
    deaf.stop();
  });
});

describe('KubernetesTransport, when it sends its first request', () => {
  it('leaves the turn to who asks, as an application that starts is ready before, and waits no more after that', async () => {
    const first = transport.send(GET, GENEROUS);
    await microtasks();
    expect(connection.accesses).toBe(0);
    await first;
    expect(connection.accesses).toBe(1);
    const second = transport.send(GET, GENEROUS);
    await microtasks();
    expect(connection.accesses).toBe(2);
    await second;
    expect(connection.accesses).toBe(2);
  });

  it('sends none that is given up before', async () => {
    const abort = new AbortController();
    const answer = transport.send(GET, { timeoutMs: 1_000, signal: abort.signal });
    abort.abort();
    expect((await answer).kind).toBe('not-sent');
    expect(emulator.connections).toBe(0);
  });
});

describe('KubernetesTransport, when a request is given up', () => {
  it.each([{ tls: false }, { tls: true }])('resets the connection, with %j', async ({ tls }) => {
    const ends: string[] = [];
    const relay = await startRelay(
      () => emulator.port,
      (how) => ends.push(how),
    );
    transport.close();
    await emulator.stop();
    await start({ tls });
    const server = new URL(`${tls ? 'https' : 'http'}://127.0.0.1:${relay.port}`);
    connection = new EmulatedConnection({ server, tls: tls ? { ca: certificate.cert } : {} });
    transport = new KubernetesTransport(connection);
    emulator.fail({ fault: { kind: 'hang' } });
    await transport.send(POST, { timeoutMs: 500, signal: NEVER });
    await eventually(() => expect(ends).toEqual(['ECONNRESET']));
    await relay.close();
  });

  it('that has not been sent, knows that it was not', async () => {
    const abort = new AbortController();
    abort.abort();
    const answer = await transport.send(POST, { timeoutMs: 1_000, signal: abort.signal });
    expect(answer.kind).toBe('not-sent');
    expect(emulator.requests).toHaveLength(0);
  });
});

describe('KubernetesTransport, when there is no answer', () => {
  it('because nothing listens, knows that nothing was sent', async () => {
    await emulator.stop();
    const answer = await transport.send(POST, GENEROUS);
    expect(answer.kind).toBe('not-sent');
    expect(causeOf(answer)).toContain('ECONNREFUSED');
  });

  it('because handshakes are lost, gives the connection up long before its timeout and knows that nothing was sent', async () => {
    const server = await startDeafServer();
    const url = new URL(`http://127.0.0.1:${server.port}`);
    transport = new KubernetesTransport(new EmulatedConnection({ server: url }));
    try {
      const answer = await transport.send(POST, { timeoutMs: 3_600_000, signal: NEVER });
      expect(answer.kind).toBe('not-sent');
      expect(causeOf(answer)).toContain('no TCP connection');
    } finally {
      server.stop();
    }
  });

  it('because the name does not resolve, knows that nothing was sent', async () => {
    transport = new KubernetesTransport(
      new EmulatedConnection({ server: new URL('http://api.invalid:1') }),
    );
    expect((await transport.send(POST, GENEROUS)).kind).toBe('not-sent');
  });

  it('because the certificate is not trusted, knows that nothing was sent', async () => {
    transport.close();
    await emulator.stop();
    await start({ tls: true });
    transport = new KubernetesTransport(connectionTo(emulator));
    const answer = await transport.send(POST, GENEROUS);
    expect(answer.kind).toBe('not-sent');
    expect(emulator.requests).toHaveLength(0);
  });

  it('because the credentials cannot be had, knows that nothing was sent, and asks again next time', async () => {
    connection.failure = new Error('no token');
    expect(await transport.send(POST, GENEROUS)).toMatchObject({ kind: 'not-sent' });
    connection.failure = undefined;
    expect(statusOf(await transport.send(POST, GENEROUS))).toBe(201);
  });

  it('because the credentials never come, ends within the timeout', async () => {
    connection.access = () => new Promise(() => undefined);
    const answer = await transport.send(POST, { timeoutMs: 100, signal: NEVER });
    expect(answer.kind).toBe('not-sent');
  });

  it('because a token cannot be a header, says so and does not throw', async () => {
    connection.token = 'a\nb';
    expect(await transport.send(POST, GENEROUS)).toMatchObject({ kind: 'not-sent' });
  });

  it.each(['reset', 'close', 'reset-in-body'] as const)(
    'because of a %s on a new connection, does not know, and does not send again',
    async (kind) => {
      emulator.fail({ fault: { kind }, applies: true });
      expect((await transport.send(POST, GENEROUS)).kind).toBe('unanswered');
      expect(emulator.requests).toHaveLength(1);
    },
  );
});

describe('KubernetesTransport, when the server closes a kept connection as the request goes out', () => {
  beforeEach(async () => {
    await transport.send(GET, GENEROUS);
    emulator.fail({ fault: { kind: 'close' } });
  });

  it('sends a read once more, on a new connection', async () => {
    expect(statusOf(await transport.send(GET, GENEROUS))).toBe(404);
    expect(emulator.requests).toHaveLength(3);
    expect(emulator.connections).toBe(2);
  });

  it('does not send a write again', async () => {
    expect((await transport.send(POST, GENEROUS)).kind).toBe('unanswered');
    expect(emulator.requestsOf('create')).toHaveLength(1);
  });

  it('sends a write once more that says of itself that it may be repeated', async () => {
    await transport.send({ ...POST, isRepeatable: true }, GENEROUS);
    expect(emulator.requestsOf('create')).toHaveLength(2);
  });

  it('sends a read no third time', async () => {
    emulator.fail({ fault: { kind: 'close' } });
    expect((await transport.send(GET, GENEROUS)).kind).toBe('unanswered');
    expect(emulator.requests).toHaveLength(3);
  });
});

describe('KubernetesTransport, when the server answers 401', () => {
  beforeEach(() => {
    emulator.tokens.add('new-token');
  });

  it('reads the credentials again and sends once more', async () => {
    connection.nextToken = 'new-token';
    expect(statusOf(await transport.send(POST, GENEROUS))).toBe(201);
    expect(connection.refreshes).toBe(1);
  });

  it('again, leaves it at that', async () => {
    expect(statusOf(await transport.send(POST, GENEROUS))).toBe(401);
    expect(emulator.requests).toHaveLength(2);
  });

  it('and then nothing, ends within the one timeout', async () => {
    emulator.fail({ fault: { kind: 'answer', status: 401 } });
    emulator.fail({ fault: { kind: 'hang' } });
    const answer = await transport.send(POST, { timeoutMs: 1_000, signal: NEVER });
    expect(causeOf(answer)).toContain('no answer within 1000 ms');
    expect(emulator.requests).toHaveLength(2);
  });
});

describe('KubernetesTransport, when the CA is replaced', () => {
  it('makes a new connection that trusts the new one, and keeps none of the old', async () => {
    transport.close();
    await emulator.stop();
    await start({ tls: true });
    let ca = certificate.cert;
    const server = new URL(emulator.url);
    transport = new KubernetesTransport({
      access: async () => ({ server, headers: {}, tls: { ca } }),
      refresh: async () => undefined,
      describeCredentials: () => 'none',
    });
    await transport.send(GET, GENEROUS);
    ca = `${certificate.cert}\n${selfSignedCertificate().cert}`;
    expect(statusOf(await transport.send(GET, GENEROUS))).toBe(404);
    expect(emulator.connections).toBe(2);
    await eventually(() => expect(emulator.openConnections).toBe(1));
  });
});

interface Relay {
  readonly port: number;
  close(): Promise<void>;
}

/** Passes bytes on and tells how the client ended its connection. */
async function startRelay(to: () => number, ended: (how: string) => void): Promise<Relay> {
  const sockets: Socket[] = [];
  const server: Server = createServer((client) => {
    const upstream = connect(to(), '127.0.0.1');
    sockets.push(client, upstream);
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => client.write(chunk));
    client.once('end', () => ended('FIN'));
    client.once('error', (error: NodeJS.ErrnoException) => ended(error.code ?? 'error'));
    upstream.on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
