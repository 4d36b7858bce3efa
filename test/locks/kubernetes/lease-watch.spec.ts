import { afterEach, beforeEach, describe, it, expect } from '@jest/globals';
import type { LockRequestError } from '../../../lib/core/errors.js';
import type { LeaseWatchObserver } from '../../../lib/core/resource-lock.js';
import type { ObservedLease } from '../../../lib/core/lease-record.js';
import { leaseAddress } from '../../../lib/kubernetes/object-request.js';
import { decodeLease } from '../../../lib/locks/kubernetes/lease-record.codec.js';
import { KubernetesLeaseWatch } from '../../../lib/locks/kubernetes/lease-watch.js';
import { ApiEmulator } from '../../../proof/api-emulator/api-emulator.js';
import { connectionTo, EmulatedConnection } from '../../../proof/api-emulator/emulated-cluster.js';
import { eventually } from '../../../proof/api-emulator/eventually.js';
import type { WatchStream } from '../../../proof/api-emulator/watch-streams.js';
import { startDeafServer } from '../../support/deaf-server.js';
import { microtasks } from '../../support/microtasks.js';

const ADDRESS = leaseAddress('default', 'plan');
const QUICK = { intervalMs: 20, refusedIntervalMs: 60_000 };

class RecordingObserver implements LeaseWatchObserver {
  readonly calls: string[] = [];
  readonly leases: (ObservedLease | null)[] = [];
  readonly errors: (LockRequestError | undefined)[] = [];
  onChanged: () => void = () => undefined;

  opened(): void {
    this.calls.push('opened');
  }

  changed(lease: ObservedLease | null, revision: bigint): void {
    this.calls.push(`${lease === null ? 'gone' : lease.record.holderIdentity} ${revision}`);
    this.leases.push(lease);
    this.onChanged();
  }

  holderDied(): void {
    this.calls.push('died');
  }

  interrupted(error?: LockRequestError): void {
    this.calls.push('interrupted');
    this.errors.push(error);
  }
}

let emulator: ApiEmulator;
let connection: EmulatedConnection;
let observer: RecordingObserver;
let watch: KubernetesLeaseWatch | undefined;

beforeEach(async () => {
  emulator = await ApiEmulator.start();
  connection = connectionTo(emulator);
  observer = new RecordingObserver();
});

afterEach(async () => {
  watch?.close();
  watch = undefined;
  await emulator.stop();
});

function startWatch(silenceLimitMs = 60_000, pace = QUICK): KubernetesLeaseWatch {
  watch = new KubernetesLeaseWatch(observer, {
    connection,
    resolveAddress: async () => ADDRESS,
    decode: decodeLease,
    silenceLimitMs,
    pace,
  });
  return watch;
}

function put(holderIdentity: string, name = 'plan'): string {
  const metadata = emulator.store.get('default', name)?.metadata ?? { name };
  const body = { metadata, spec: { holderIdentity } };
  if ('uid' in metadata) emulator.store.update('default', name, body, 'test');
  else emulator.store.create('default', body, 'test');
  return emulator.store.resourceVersion;
}

function count(call: string): number {
  return observer.calls.filter((each) => each === call).length;
}

async function untilOpened(times = 1): Promise<WatchStream> {
  await eventually(() => {
    expect(count('opened')).toBe(times);
    expect(emulator.watches.open.size).toBe(1);
  });
  return [...emulator.watches.open][0] as WatchStream;
}

describe('KubernetesLeaseWatch, when it opens', () => {
  it('leaves the turn to who asks, as an application that starts is ready before', async () => {
    startWatch();
    await microtasks();
    expect(connection.accesses).toBe(0);
    await eventually(() => expect(connection.accesses).toBe(1));
  });

  it('asks for the one Lease, for bookmarks and an end, and for no version', async () => {
    startWatch();
    await untilOpened();
    const query = Object.fromEntries(emulator.requests[0]?.query ?? []);
    expect(query).toEqual({
      watch: 'true',
      fieldSelector: 'metadata.name=plan',
      allowWatchBookmarks: 'true',
      timeoutSeconds: expect.stringMatching(/^[345]\d\d$/),
    });
  });

  it('reports opened although there is no Lease yet, and then every change in order', async () => {
    startWatch();
    await untilOpened();
    const versions = [put('a'), put('b'), put('')];
    emulator.store.delete('default', 'plan');
    await eventually(() =>
      expect(observer.calls).toEqual([
        'opened',
        `a ${versions[0]}`,
        `b ${versions[1]}`,
        ` ${versions[2]}`,
        `gone ${emulator.store.resourceVersion}`,
      ]),
    );
  });

  it('reports the present state first', async () => {
    const version = put('a');
    startWatch();
    await eventually(() => expect(observer.calls).toEqual(['opened', `a ${version}`]));
    expect(observer.leases[0]?.source).toMatchObject({ metadata: { name: 'plan' } });
  });

  it('ignores bookmarks and other objects', async () => {
    startWatch();
    const stream = await untilOpened();
    stream.event('BOOKMARK', { kind: 'Lease', metadata: { resourceVersion: '999' } });
    stream.event('ADDED', {
      kind: 'Lease',
      metadata: { name: 'other', uid: 'u', resourceVersion: '1' },
    });
    const version = put('a');
    await eventually(() => expect(observer.calls).toEqual(['opened', `a ${version}`]));
  });
});

describe('KubernetesLeaseWatch, when the stream is cut into pieces', () => {
  it('puts characters and lines together again', async () => {
    startWatch();
    const stream = await untilOpened();
    const lease = {
      kind: 'Lease',
      metadata: { name: 'plan', uid: 'u', resourceVersion: '7' },
      spec: { holderIdentity: 'pödß-日本' },
    };
    const line = Buffer.from(`${JSON.stringify({ type: 'MODIFIED', object: lease })}\n\n`);
    for (const byte of line) {
      stream.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const twice = `${line.toString()}${line.toString()}`;
    stream.write(twice);
    await eventually(() =>
      expect(observer.calls).toEqual(['opened', ...Array(3).fill('pödß-日本 7')]),
    );
  });
});

describe('KubernetesLeaseWatch, when the stream ends', () => {
  const ENDS: [string, (stream: WatchStream) => void, unknown][] = [
    ['in an orderly way', (stream) => stream.end(), undefined],
    ['by a reset', (stream) => stream.reset(), expect.stringMatching(/ECONNRESET|aborted/)],
    [
      'with a line that is not JSON',
      (stream) => stream.write('<html>\n'),
      expect.stringMatching(/JSON/),
    ],
    [
      'with an object that is no Lease',
      (stream) => stream.event('ADDED', {}),
      expect.stringMatching(/kind/),
    ],
    [
      'with an event of an unknown type',
      (stream) => stream.event('NEWS', {}),
      expect.stringMatching(/NEWS/),
    ],
    [
      'within a line',
      (stream) => {
        stream.write('{"type":');
        stream.end();
      },
      expect.stringMatching(/middle of an event/),
    ],
    [
      'with an ERROR 410',
      (stream) =>
        stream.event('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }),
      expect.stringMatching(/too old \(410\)/),
    ],
    [
      'with an ERROR that says nothing',
      (stream) => stream.event('ERROR', null),
      expect.stringMatching(/no reason/),
    ],
  ];

  it.each(ENDS)('%s, reports it once and opens another', async (_, end, message) => {
    startWatch();
    end(await untilOpened());
    await untilOpened(2);
    expect(observer.calls).toEqual(['opened', 'interrupted', 'opened']);
    expect(observer.errors.map((error) => error?.message)).toEqual([message]);
    put('a');
    await eventually(() => expect(observer.leases).toHaveLength(1));
  });

  it('after it had lived longer than the interval, opens another without the pause of a refusal', async () => {
    startWatch(60_000, { intervalMs: 200, refusedIntervalMs: 600_000 });
    const stream = await untilOpened();
    await new Promise((resolve) => setTimeout(resolve, 250));
    stream.end();
    await untilOpened(2);
    expect(emulator.requests).toHaveLength(2);
  });

  it('again and again right after its start, is not opened more often than the interval allows', async () => {
    emulator.fail({ times: 1_000, fault: { kind: 'answer', status: 200, body: '' } });
    startWatch(60_000, { intervalMs: 100, refusedIntervalMs: 60_000 });
    await eventually(() => expect(emulator.requests.length).toBeGreaterThanOrEqual(5));
    const times = emulator.requests.map(({ at }) => at);
    const first = times[0] ?? 0;
    // Four intervals between the starts; the arrivals may be closer, as the first can come late.
    expect((times[4] ?? 0) - first).toBeGreaterThan(200);
  });
});

describe('KubernetesLeaseWatch, when nothing is heard', () => {
  it('gives the connection up after the silence limit and opens another', async () => {
    startWatch(150);
    await untilOpened();
    emulator.watches.isSilent = true;
    await eventually(() => expect(count('opened')).toBeGreaterThanOrEqual(2));
    expect(observer.errors[0]?.message).toContain('nothing was heard for 150 ms');
  });

  it('but bookmarks, keeps it', async () => {
    startWatch(1_500);
    const stream = await untilOpened();
    for (let i = 0; i < 17; i++) {
      stream.event('BOOKMARK', { kind: 'Lease', metadata: { resourceVersion: '1' } });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(observer.calls).toEqual(['opened']);
  });

  it('not even the headers, gives it up as well', async () => {
    emulator.fail({ fault: { kind: 'hang' } });
    startWatch(150);
    await eventually(() => expect(count('opened')).toBeGreaterThanOrEqual(1));
    expect(observer.calls[0]).toBe('interrupted');
  });
});

describe('KubernetesLeaseWatch, when the server refuses it', () => {
  it('with 403, names the rule to add, once, and asks again slowly', async () => {
    emulator.forbidden.add('watch');
    startWatch();
    await eventually(() => expect(observer.errors).toHaveLength(1));
    expect(observer.errors[0]?.message).toContain('verbs: ["watch"]');
    expect(observer.errors[0]?.message).toContain('resourceNames: ["plan"]');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(emulator.requests).toHaveLength(1);
  });

  it('with 403 again after the slow interval, does not report it again, and recovers', async () => {
    emulator.forbidden.add('watch');
    startWatch(60_000, { intervalMs: 10, refusedIntervalMs: 50 });
    await eventually(() => expect(emulator.requests.length).toBeGreaterThanOrEqual(3));
    expect(observer.calls).toEqual(['interrupted']);
    emulator.forbidden.clear();
    await untilOpened();
  });

  it('with 401, reads the credentials again', async () => {
    emulator.tokens.add('new-token');
    connection.nextToken = 'new-token';
    startWatch();
    await untilOpened();
    expect(connection.refreshes).toBe(1);
  });

  it.each([410, 429, 500, 503])('with %d, tries again', async (status) => {
    emulator.fail({ fault: { kind: 'answer', status, body: 'no' } });
    startWatch();
    await untilOpened();
    expect(observer.errors[0]?.message).toContain(String(status));
  });

  it('with a page that is not JSON, does not take it for a watch', async () => {
    const headers = { 'Content-Type': 'text/html' };
    emulator.fail({ fault: { kind: 'answer', status: 200, body: '<html>', headers } });
    startWatch();
    await untilOpened();
    expect(observer.calls).toEqual(['interrupted', 'opened']);
  });

  it('for a time it names, waits that long', async () => {
    const headers = { 'Retry-After': '3600' };
    emulator.fail({ times: 9, fault: { kind: 'answer', status: 429, body: 'no', headers } });
    startWatch();
    await eventually(() => expect(observer.errors).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(emulator.requests).toHaveLength(1);
  });
});

describe('KubernetesLeaseWatch, when the server is away', () => {
  it('is back after its return, having reported the outage once', async () => {
    startWatch(60_000, { intervalMs: 100, refusedIntervalMs: 60_000 });
    await untilOpened();
    const { port, store } = emulator;
    await emulator.stop();
    await eventually(() => expect(connection.accesses).toBeGreaterThanOrEqual(5));
    emulator = await ApiEmulator.start({ port, store });
    await untilOpened(2);
    // Once for the lost stream, once for the refused connection; not for every attempt.
    expect(count('interrupted')).toBeLessThanOrEqual(2);
  });

  it('and its packets are lost, gives each TCP handshake up after a second', async () => {
    const server = await startDeafServer();
    connection = new EmulatedConnection({ server: new URL(`http://127.0.0.1:${server.port}`) });
    try {
      startWatch();
      await eventually(() => expect(connection.accesses).toBeGreaterThanOrEqual(3));
    } finally {
      server.stop();
    }
    expect(observer.errors[0]?.message).toContain('no TCP connection');
  });

  it('and no credentials can be had, tries again', async () => {
    connection.failure = new Error('no token');
    startWatch();
    await eventually(() => expect(observer.errors[0]?.message).toContain('no token'));
    connection.failure = undefined;
    await untilOpened();
  });
});

describe('KubernetesLeaseWatch, when the observer throws', () => {
  it('reports that as an interruption and goes on with the next stream', async () => {
    startWatch();
    await untilOpened();
    observer.onChanged = () => {
      observer.onChanged = () => undefined;
      throw new Error('fault in the election');
    };
    put('a');
    await untilOpened(2);
    expect(observer.errors[0]?.message).toContain('fault in the election');
    const version = put('b');
    await eventually(() => expect(observer.calls).toContain(`b ${version}`));
  });
});

describe('KubernetesLeaseWatch, when it is closed', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['while it is open', () => untilOpened()],
    ['before it is connected', async () => undefined],
    [
      'before its headers have arrived',
      () => eventually(() => expect(emulator.requests).toHaveLength(1)),
    ],
  ])('%s, calls nobody any more and leaves no connection', async (when, until) => {
    if (when.startsWith('before its')) emulator.fail({ fault: { kind: 'hang' } });
    const closing = startWatch();
    await until();
    closing.close();
    const calls = [...observer.calls];
    put('a');
    await eventually(() => expect(emulator.openConnections).toBe(0));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(observer.calls).toEqual(calls);
    expect(emulator.requests.length).toBeLessThanOrEqual(1);
    closing.close();
  });
});
