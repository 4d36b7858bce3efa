import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ControlRoomServer } from '../../sample-app/src/control-room/control-room-server.js';
import type { FleetAction, FleetView } from '../../sample-app/src/control-room/fleet-view.js';

const VIEW: FleetView = {
  now: 0,
  lock: 'file',
  leaseDurationMs: 5_000,
  canAdd: true,
  replicas: [],
  leader: null,
  leaderlessSince: null,
  counts: null,
  ticks: [],
  terms: [],
  events: [],
};

let server: ControlRoomServer;
let asked: FleetAction[];
let change: () => void;

beforeEach(async () => {
  asked = [];
  server = await ControlRoomServer.start({
    view: () => VIEW,
    listen: (changed) => {
      change = changed;
      return () => true;
    },
    act: (action) => {
      asked.push(action);
      return Promise.resolve(action.action === 'add' ? 'There are 6 replicas already.' : undefined);
    },
  });
});

afterEach(() => server.stop());

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function ask({ method = 'GET', path = '/', headers = {}, body }: Asked) {
  const sent = request(`${server.url}${path}`, { method, headers });
  const answered = new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve).once('error', reject);
  });
  sent.end(body);
  const response = await answered;
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

const own = () => ({
  origin: server.url,
  'content-type': 'application/json',
  'x-control-room': '1',
});
const KILL = '{"action":"kill","replica":"replica-1"}';

describe('when the page is asked for', () => {
  it('comes with a policy that allows nothing but what is in it', async () => {
    const { status, headers } = await ask({});
    expect(status).toBe(200);
    expect(headers['content-security-policy']).toMatch(
      /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
  });

  it.each([
    ['by another name, as after DNS rebinding', { host: 'evil.example:4600' }],
    ['by a name that only begins like this machine', { host: '127.0.0.1.evil.example' }],
    ['by a page of another origin', { origin: 'https://evil.example' }],
    ['by a page of another port', { origin: 'http://127.0.0.1:1' }],
    ['by a page without an origin', { origin: 'null' }],
  ])('is refused %s', async (_, headers) => {
    for (const path of ['/', '/stream', '/actions']) {
      expect((await ask({ path, headers })).status).toBe(403);
    }
  });

  it('is found under localhost as well', async () => {
    const host = `localhost:${new URL(server.url).port}`;
    expect((await ask({ headers: { host, origin: `http://${host}` } })).status).toBe(200);
  });

  it('listens on no address that others reach', () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });
});

describe('when an action is asked for', () => {
  const act = (rest: Asked) => ask({ method: 'POST', path: '/actions', ...rest });

  it('is carried out for the page itself', async () => {
    expect((await act({ headers: own(), body: KILL })).status).toBe(200);
    expect(asked).toEqual([{ action: 'kill', replica: 'replica-1' }]);
  });

  it.each([
    ['without an origin', { origin: undefined }],
    ['as a form could send it', { 'content-type': 'text/plain' }],
    ['without the header that only a page of this origin can send', { 'x-control-room': '0' }],
  ])('is refused %s', async (_, changed) => {
    const headers = Object.fromEntries(
      Object.entries({ ...own(), ...changed }).filter(([, value]) => value !== undefined),
    ) as Record<string, string>;
    expect((await act({ headers, body: KILL })).status).toBe(403);
    expect(asked).toEqual([]);
  });

  it.each([
    '',
    '{',
    '[]',
    '{"action":"reboot","replica":"replica-1"}',
    '{"action":"kill"}',
    ' '.repeat(2_000),
  ])('is refused if it is none: %j', async (body) => {
    expect((await act({ headers: own(), body })).status).toBe(400);
    expect(asked).toEqual([]);
  });

  it('says why it is not possible', async () => {
    const { status, body } = await act({ headers: own(), body: '{"action":"add"}' });
    expect([status, JSON.parse(body)]).toEqual([
      409,
      { isDone: false, message: 'There are 6 replicas already.' },
    ]);
  });

  it.each(['GET', 'PUT'])('is not possible by %s', async (method) => {
    expect((await act({ method, headers: own() })).status).toBe(405);
  });
});

describe('when the page listens', () => {
  it('hears the whole at once, and again after a change', async () => {
    const response = await fetch(`${server.url}/stream`);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const whole = `event: view\ndata: ${JSON.stringify(VIEW)}\n\n`;
    expect((await reader.read()).value).toBe(`${whole}event: ready\ndata: {}\n\n`);
    change();
    expect((await reader.read()).value).toBe(whole);
    await reader.cancel();
  });
});
