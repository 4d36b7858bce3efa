/**
 * Preloaded into a replica (`--import`): tells, in the form of its other events, at which instants its requests for the lease
 * leave and are answered, and when bytes of its watch arrive. Node.js publishes that on channels of its own, so the library is
 * the one that a user runs, and knows nothing of it.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { monotonicMs } from '../../proof/fleet/monotonic-clock.js';

/** What it tells. `connected`: a connection to any server was begun. */
export type TracedStage = 'signalled' | 'connected' | 'sent' | 'answered' | 'heard';

/**
 * The connection of a standby for requests is closed so long after its last answer, instead of the 90 s after which
 * kube-apiserver does so: a standby asks for nothing, so it has none when it acquires.
 */
const CLOSED_AFTER_MS = Number(process.env['CLOSED_AFTER_MS']);

function tell(stage: TracedStage): void {
  const { user, system } = process.cpuUsage();
  const traced = { at: monotonicMs(), event: 'traced', stage, cpuMs: (user + system) / 1_000 };
  writeSync(1, `${JSON.stringify(traced)}\n`);
}

function isWatch({ path }: ClientRequest): boolean {
  return path.includes('watch=true');
}

function isOfLease({ path }: ClientRequest): boolean {
  return path.includes('/leases');
}

// Once: an application that has closed ends by this very signal, which must then find no listener.
process.once('SIGTERM', () => tell('signalled'));

subscribe('net.client.socket', () => tell('connected'));

subscribe('http.client.request.start', (message) => {
  const { request } = message as { request: ClientRequest };
  if (!isOfLease(request)) return;
  if (request.method === 'PUT') tell('sent');
  if (isWatch(request)) request.socket?.on('data', () => tell('heard'));
});

subscribe('http.client.response.finish', (message) => {
  const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
  if (!isOfLease(request) || isWatch(request)) return;
  if (request.method === 'PUT') tell('answered');
  // Another leads, and this one asks for nothing more.
  const isOfStandby = request.method === 'GET' || response.statusCode === 409;
  if (isOfStandby && CLOSED_AFTER_MS > 0) {
    const { socket } = request;
    response.once('end', () => setTimeout(() => socket?.destroy(), CLOSED_AFTER_MS).unref());
  }
});
