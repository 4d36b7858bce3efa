import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ApiObject, ApiResponse } from './api-client.js';
import { ControlPlane, FIRST_START_LIMIT_MS } from './control-plane.js';
import { Lifeline } from './lifeline.js';

const NAMESPACE = 'facts';
const LEASES = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
const SPEC = {
  holderIdentity: 'a',
  leaseDurationSeconds: 15,
  leaseTransitions: 0,
  renewTime: '2026-01-02T03:04:05.000006Z',
};

let controlPlane: ControlPlane;
let leases = 0;

beforeAll(async () => {
  controlPlane = await ControlPlane.start();
  await controlPlane.createNamespace(NAMESPACE);
}, FIRST_START_LIMIT_MS);

afterAll(() => controlPlane?.stop());

function create(): Promise<ApiResponse> {
  const metadata = { name: `lease-${++leases}` };
  return controlPlane.request('POST', LEASES, { metadata, spec: SPEC });
}

function pathOf(lease: ApiObject): string {
  return `${LEASES}/${lease.metadata?.name}`;
}

async function existing(): Promise<ApiObject> {
  return (await create()).body;
}

describe('the control plane', () => {
  it('serves localhost under the certificate authority of caFile', async () => {
    const url = controlPlane.url.replace('127.0.0.1', 'localhost');
    const request = get(`${url}/readyz`, { ca: readFileSync(controlPlane.caFile), agent: false });
    const [response] = await once(request, 'response');
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  it('lets a service account do what its Role says, and nothing else', async () => {
    const rights = (...verbs: string[]) => [
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs },
    ];
    await controlPlane.createServiceAccount(NAMESPACE, 'candidate');
    const token = await controlPlane.createToken(NAMESPACE, 'candidate');
    const list = async () =>
      (await controlPlane.request('GET', LEASES, undefined, { token })).status;

    expect(await list()).toBe(403);
    await controlPlane.applyRole(NAMESPACE, 'candidate', rights('get', 'list'));
    expect(await list()).toBe(200);
    await controlPlane.applyRole(NAMESPACE, 'candidate', rights('get'));
    expect(await list()).toBe(403);
    expect((await controlPlane.request('GET', LEASES, undefined, { token: 'x' })).status).toBe(401);
  });

  it('deletes only what meets the preconditions of the DELETE', async () => {
    const lease = await existing();
    const another = { preconditions: { uid: '00000000-0000-4000-8000-000000000000' } };
    expect((await controlPlane.request('DELETE', pathOf(lease), another)).status).toBe(409);
    const itself = { preconditions: { uid: lease.metadata?.uid } };
    expect((await controlPlane.request('DELETE', pathOf(lease), itself)).status).toBe(200);
  });

  it('writes each request to the audit log once, a watch when it starts', async () => {
    const lease = await existing();
    const name = lease.metadata?.name as string;
    await controlPlane.request('DELETE', pathOf(lease));
    const watch = get(`${controlPlane.url}${LEASES}?watch=1&fieldSelector=metadata.name=${name}`, {
      ca: readFileSync(controlPlane.caFile),
      headers: { authorization: `Bearer ${controlPlane.adminToken}`, 'user-agent': 'auditor' },
      agent: false,
    });
    const [response] = await once(watch, 'response');
    response.destroy();

    const requests = async () =>
      (await controlPlane.auditLog()).filter((entry) => entry.name === name);
    while ((await requests()).length < 3) await delay(10);
    const entries = await requests();
    expect(entries).toMatchObject([
      { user: 'admin', verb: 'create', resource: 'leases', namespace: NAMESPACE, code: 201 },
      { verb: 'delete', code: 200 },
      { verb: 'watch', code: 200, userAgent: 'auditor' },
    ]);
    expect(entries[0]?.stageTimestamp).toMatch(/\.\d{6}Z$/);
  });

  it('comes back after a kill with the same address, certificate, tokens and data', async () => {
    const lease = await existing();
    const { url } = controlPlane;
    await controlPlane.killApiServer();
    await expect(controlPlane.request('GET', pathOf(lease))).rejects.toThrow('ECONNREFUSED');
    await controlPlane.startApiServer();
    expect(controlPlane.url).toBe(url);
    expect(await controlPlane.request('GET', pathOf(lease))).toEqual({ status: 200, body: lease });
  });

  it('answers no write while etcd is stopped, and performs it when etcd goes on', async () => {
    controlPlane.stopEtcd();
    const answer = create();
    const first = await Promise.race([answer, delay(1000, 'no answer')]);
    controlPlane.contEtcd();
    expect(first).toBe('no answer');
    expect((await answer).status).toBe(201);
  });

  it('keeps its data over the death of etcd', async () => {
    const lease = await existing();
    await controlPlane.killEtcd();
    await controlPlane.startEtcd();
    await controlPlane.waitUntilReady();
    expect(await controlPlane.request('GET', pathOf(lease))).toEqual({ status: 200, body: lease });
  });

  it('names the server and quotes its log when it cannot start', async () => {
    const start = ControlPlane.start({ apiServerArguments: ['--no-such-flag'] });
    await expect(start).rejects.toThrow(/kube-apiserver ended.*\n.*unknown flag: --no-such-flag/);
  });

  it('ends its servers and removes its directory when the process that holds it ends', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lifeline-'));
    const server = spawn('sleep', ['600']);
    const lifeline = new Lifeline(directory);
    lifeline.add(server.pid as number);
    // For the other side of the pipe this is the same end of file as the death of this process.
    const [[, signal]] = await Promise.all([once(server, 'exit'), lifeline.release()]);
    expect(signal).toBe('SIGKILL');
    expect(existsSync(directory)).toBe(false);
  });
});
