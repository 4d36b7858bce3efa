import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../api-emulator/eventually.js';
import { FaultProxy } from './fault-proxy.js';

/** One end of a TCP connection and all that happened to it. */
class End {
  text = '';
  ended = false;
  closed = false;
  error: string | undefined;

  constructor(readonly socket: Socket) {
    socket.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    socket.on('end', () => (this.ended = true));
    socket.on('error', (error: NodeJS.ErrnoException) => (this.error = error.code));
    socket.on('close', () => (this.closed = true));
  }
}

let server: Server;
let accepted: End[];
let clients: End[];
let proxy: FaultProxy;

beforeEach(async () => {
  accepted = [];
  clients = [];
  server = createServer((socket) => accepted.push(new End(socket)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await FaultProxy.start((server.address() as AddressInfo).port);
});

afterEach(async () => {
  await proxy.stop();
  for (const { socket } of [...clients, ...accepted]) socket.destroy();
  if (server.listening) await new Promise((resolve) => server.close(resolve));
});

async function dial(): Promise<End> {
  const socket = connect(proxy.port, '127.0.0.1');
  const client = new End(socket);
  clients.push(client);
  await once(socket, 'connect');
  return client;
}

/** A connection over which each side has heard the other. */
async function connected(): Promise<{ client: End; peer: End }> {
  const before = accepted.length;
  const client = await dial();
  await eventually(() => expect(accepted).toHaveLength(before + 1));
  const peer = accepted[before]!;
  client.socket.write('a');
  peer.socket.write('b');
  await eventually(() => expect(client.text + peer.text).toBe('ba'));
  return { client, peer };
}

/**
 * Time for everything that is on its way on the loopback to arrive. One timer could end before this process has looked
 * at its sockets even once, if the machine is busy; between two of them it does look.
 */
async function aMoment(): Promise<void> {
  for (let look = 0; look < 5; look += 1) await new Promise((resolve) => setTimeout(resolve, 8));
}

describe('when nothing is wrong', () => {
  it('passes bytes and ends both ways', async () => {
    const { client, peer } = await connected();
    client.socket.end('bye');
    await eventually(() => expect(peer).toMatchObject({ text: 'abye', ended: true }));
    await eventually(() => expect(client.closed && peer.closed).toBe(true));
    expect(client.error).toBeUndefined();
    await eventually(() => expect(proxy.openConnections).toBe(0));
  });

  it('passes a reset on as a reset', async () => {
    const { client, peer } = await connected();
    peer.socket.resetAndDestroy();
    await eventually(() => expect(client.error).toBe('ECONNRESET'));
  });

  it('resets the client when there is no server', async () => {
    await new Promise((resolve) => server.close(resolve));
    const client = await dial();
    await eventually(() => expect(client.error).toBe('ECONNRESET'));
  });
});

describe('when a direction is delayed', () => {
  it('delivers no sooner, in order, and leaves the other direction alone', async () => {
    const { client, peer } = await connected();
    proxy.shape('to-server', { kind: 'delay', ms: 150 });
    const sentAt = performance.now();
    client.socket.write('1');
    peer.socket.write('now');
    await eventually(() => expect(client.text).toBe('bnow'));
    client.socket.end('2');
    await eventually(() => expect(peer).toMatchObject({ text: 'a12', ended: true }));
    // Timers count whole milliseconds.
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(149);
  });

  it('delivers at once when it is healed', async () => {
    const { client, peer } = await connected();
    proxy.shape('both', { kind: 'delay', ms: 600_000 });
    client.socket.write('x');
    await aMoment();
    expect(peer.text).toBe('a');
    proxy.heal();
    await eventually(() => expect(peer.text).toBe('ax'));
  });
});

describe('when a direction is throttled', () => {
  it('takes as long as so many bytes need', async () => {
    const { client, peer } = await connected();
    proxy.shape('to-server', { kind: 'throttle', bytesPerSecond: 10_000 });
    const sentAt = performance.now();
    client.socket.write('x'.repeat(1_500));
    await eventually(() => expect(peer.text).toHaveLength(1_501));
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(149);
  });
});

describe('when a direction is a blackhole that keeps', () => {
  it('delivers after the heal, and the other direction passes meanwhile', async () => {
    const { client, peer } = await connected();
    proxy.shape('to-client', { kind: 'blackhole', bytes: 'keep' });
    client.socket.write('request');
    await eventually(() => expect(peer.text).toBe('arequest'));
    peer.socket.write('answer');
    await aMoment();
    expect(client.text).toBe('b');
    proxy.heal();
    await eventually(() => expect(client.text).toBe('banswer'));
  });

  it.each<[string, (client: Socket) => void]>([
    ['reset', (client) => client.resetAndDestroy()],
    ['closed', (client) => client.destroy()],
  ])('delivers the ghost of a client that has %s its connection', async (_how, leave) => {
    const { client, peer } = await connected();
    proxy.shape('both', { kind: 'blackhole', bytes: 'keep' });
    client.socket.write('ghost');
    await aMoment();
    leave(client.socket);
    await eventually(() => expect(client.closed).toBe(true));
    await aMoment();
    expect(peer).toMatchObject({ text: 'a', closed: false });
    proxy.heal();
    await eventually(() => expect(peer.text).toBe('aghost'));
  });

  it('counts the connections whose server had bytes before and is still to get more', async () => {
    const { client } = await connected();
    proxy.shape('to-server', { kind: 'blackhole', bytes: 'keep' });
    const late = await dial();
    late.socket.write('hello');
    await aMoment();
    expect(proxy.heldRequests).toBe(0);
    client.socket.write('request');
    await eventually(() => expect(proxy.heldRequests).toBe(1));
    proxy.heal();
    expect(proxy.heldRequests).toBe(0);
  });

  it('holds on connections that are made meanwhile, too', async () => {
    proxy.shape('both', { kind: 'blackhole', bytes: 'keep' });
    const client = await dial();
    client.socket.write('early');
    await aMoment();
    expect(accepted.map(({ text }) => text).join('')).toBe('');
    proxy.heal();
    await eventually(() => expect(accepted[0]?.text).toBe('early'));
  });
});

describe('when a direction is a blackhole that discards', () => {
  it('delivers neither the lost bytes nor any later ones of that connection', async () => {
    const { client, peer } = await connected();
    proxy.shape('to-server', { kind: 'blackhole', bytes: 'discard' });
    client.socket.write('lost');
    await aMoment();
    proxy.heal();
    client.socket.write('later');
    peer.socket.write('heard');
    await eventually(() => expect(client.text).toBe('bheard'));
    await aMoment();
    expect(peer.text).toBe('a');
    const { peer: next } = await connected();
    expect(next.text).toBe('a');
  });

  it('does no harm to a connection that was silent', async () => {
    const { client, peer } = await connected();
    proxy.shape('both', { kind: 'blackhole', bytes: 'discard' });
    await aMoment();
    proxy.heal();
    client.socket.write('x');
    await eventually(() => expect(peer.text).toBe('ax'));
  });

  it('loses what a delay was holding back', async () => {
    const { client, peer } = await connected();
    proxy.shape('both', { kind: 'delay', ms: 600_000 });
    client.socket.write('x');
    await aMoment();
    proxy.shape('both', { kind: 'blackhole', bytes: 'discard' });
    proxy.heal();
    await aMoment();
    expect(peer.text).toBe('a');
  });
});

describe('when connections are broken', () => {
  it('resets both sides', async () => {
    const { client, peer } = await connected();
    proxy.reset();
    await eventually(() => expect([client.error, peer.error]).toEqual(Array(2).fill('ECONNRESET')));
  });

  it('closes both sides', async () => {
    const { client, peer } = await connected();
    proxy.close();
    await eventually(() => expect([client.closed, peer.closed]).toEqual([true, true]));
    expect([client.error, peer.error]).toEqual([undefined, undefined]);
  });

  it('leaves a client half open that has lost its server', async () => {
    const { client, peer } = await connected();
    proxy.halfOpen('server');
    await eventually(() => expect(peer.error).toBe('ECONNRESET'));
    client.socket.write('anybody there?');
    await aMoment();
    expect(client).toMatchObject({ text: 'b', ended: false, closed: false });
    client.socket.destroy();
    await eventually(() => expect(proxy.openConnections).toBe(0));
  });

  it('leaves a server half open that has lost its client', async () => {
    const { client, peer } = await connected();
    proxy.halfOpen('client');
    await eventually(() => expect(client.error).toBe('ECONNRESET'));
    peer.socket.write('anybody there?');
    await aMoment();
    expect(peer).toMatchObject({ ended: false, closed: false });
  });
});

describe('when it replays', () => {
  it('sends what the client sent once more, and keeps the answer from the client', async () => {
    server.on('connection', (socket: Socket) => socket.on('data', () => socket.write('done')));
    const client = await dial();
    client.socket.write('put');
    await eventually(() => expect(client.text).toBe('done'));
    await proxy.replay();
    expect(accepted.map(({ text }) => text)).toEqual(['put', 'put']);
    expect(client.text).toBe('done');
  });
});

describe('when it refuses', () => {
  it('turns new connections away until it admits them again', async () => {
    await connected();
    await proxy.refuse();
    await expect(dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await proxy.admit();
    await connected();
  });
});

describe('when it stops', () => {
  it('stops though its connections are being closed, reset and ended by their clients at that moment', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { client } = await connected();
      client.socket.end();
      if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      proxy.close();
      proxy.reset();
    }
    await proxy.stop();
    expect(proxy.openConnections).toBe(0);
  });

  it('leaves nothing open', async () => {
    const { client } = await connected();
    await proxy.stop();
    await eventually(() => expect(client.closed).toBe(true));
    expect(proxy.openConnections).toBe(0);
    await expect(dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
