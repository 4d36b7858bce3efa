import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { CountingRelay } from './counting-relay.js';

let server: Server;
let relay: CountingRelay;

beforeEach(async () => {
  server = createServer((socket) => socket.on('data', () => socket.end('answer')));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  relay = await CountingRelay.start((server.address() as AddressInfo).port);
});

afterEach(async () => {
  await relay.stop();
  server.close();
});

describe('when a client asks through a relay', () => {
  it('counts its connection, and the bytes of both directions', async () => {
    const client = connect({ port: relay.port, host: '127.0.0.1' });
    client.write('ask');
    const [answer] = (await once(client, 'data')) as [Buffer];
    expect(answer.toString()).toBe('answer');
    expect(relay.traffic).toMatchObject({ connections: 1, bytes: 9 });
    client.destroy();
  });

  it('counts a connection that has ended as one that was, and no longer as open', async () => {
    for (let index = 0; index < 2; index += 1) {
      const client = connect({ port: relay.port, host: '127.0.0.1' });
      await once(client, 'connect');
      client.destroy();
    }
    await eventually(() => expect(relay.traffic).toMatchObject({ connections: 2, open: 0 }));
  });
});

describe('when the server ends a connection', () => {
  it('ends it for the client, once it has all that was sent', async () => {
    const client = connect({ port: relay.port, host: '127.0.0.1' });
    client.write('ask');
    let text = '';
    client.on('data', (part: Buffer) => (text += part.toString()));
    await once(client, 'end');
    expect(text).toBe('answer');
  });
});
