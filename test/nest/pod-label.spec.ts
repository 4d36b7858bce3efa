import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { LeaderElectionOptionsError } from '../../lib/index.js';
import { PodEnvironment } from '../../lib/kubernetes/connection/pod-environment.js';
import { leaseLockIn } from '../../lib/locks/kubernetes/lease.lock.js';
import { ApiEmulator } from '../../proof/api-emulator/api-emulator.js';
import { type Certificate, selfSignedCertificate } from '../../proof/api-emulator/certificate.js';
import { eventually } from '../../proof/api-emulator/eventually.js';
import { Elections, ROLE } from './support/elections.js';
import { RecordedLog } from './support/recorded-log.js';

const OWN = 'plan-1';
const OTHER = 'plan-2';
const LABEL = `nestjs-leader-election/${ROLE}`;
const LIMIT_MS = 10_000;

let certificate: Certificate;
let elections: Elections;
let emulator: ApiEmulator;
let directory: string;
let log: RecordedLog;

beforeAll(() => {
  certificate = selfSignedCertificate();
});

beforeEach(async () => {
  elections = new Elections();
  emulator = await ApiEmulator.start({ certificate });
  log = new RecordedLog();
  directory = mkdtempSync(join(tmpdir(), 'service-account-'));
  for (const [file, text] of Object.entries({
    token: 'token',
    'ca.crt': certificate.cert,
    namespace: 'default',
  })) {
    writeFileSync(join(directory, file), text);
  }
});

afterEach(async () => {
  emulator.clearFaults();
  emulator.disconnect();
  await elections.end();
  await emulator.stop();
  rmSync(directory, { recursive: true, force: true });
});

function createPod(name: string, labels: object = {}): void {
  const spec = { containers: [{ name: 'a', image: 'a' }] };
  emulator.pods.create('default', { metadata: { name, labels }, spec }, 'test');
}

const labelsOf = (name: string) =>
  (emulator.pods.get('default', name) as { metadata: { labels?: object } }).metadata.labels ?? {};

const holder = () => emulator.store.get('default', ROLE)?.spec?.holderIdentity;

/** The requests that mark a pod. */
const patches = (name: string) =>
  emulator.requestsOf('patch').filter(({ path }) => path.endsWith(`/pods/${name}`));

function createLease(holderIdentity: string): void {
  const at = '2020-01-01T00:00:00.000000Z';
  const spec = {
    holderIdentity,
    leaseDurationSeconds: 15,
    acquireTime: at,
    renewTime: at,
    leaseTransitions: 1,
  };
  emulator.store.create('default', { metadata: { name: ROLE }, spec } as never, 'test');
}

async function started() {
  const pod = new PodEnvironment(
    {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(emulator.port),
      POD_NAME: OWN,
    },
    directory,
  );
  const lock = leaseLockIn(pod, { kubeConfig: 'in-cluster' });
  const application = await elections.create({
    imports: [elections.module({ lock, identity: `${OWN}_1`, podLabel: true })],
  });
  const errors: string[] = [];
  application.leadership().errors$.subscribe(({ message }) => errors.push(message));
  application.useLogger(log);
  await application.init();
  return { application, leadership: application.leadership(), errors };
}

async function leading() {
  const all = await started();
  await eventually(async () => {
    await elections.clock.settle();
    expect(all.leadership.isLeader()).toBe(true);
  }, LIMIT_MS);
  return all;
}

/** A leader of this name died some time ago, and its lease and its mark are left. */
async function leadingAfter(identity: string) {
  createPod(OWN);
  createPod(identity.split('_')[0]!, { app: 'plan', [LABEL]: 'leader' });
  createLease(identity);
  const all = await started();
  await eventually(async () => {
    await elections.clock.advance(500);
    expect(all.leadership.isLeader()).toBe(true);
  }, LIMIT_MS);
  return all;
}

describe('when the API server never answers to the removal of the label', () => {
  it('releases the lease while that request is still open, and ends after requestTimeoutMs', async () => {
    createPod(OWN);
    const { application, errors } = await leading();
    await eventually(() => expect(labelsOf(OWN)).toEqual({ [LABEL]: 'leader' }), LIMIT_MS);
    const isPatch = ({ verb }: { verb: string }) => verb === 'patch';
    emulator.fail({ fault: { kind: 'hang' }, on: isPatch, times: Infinity });
    let hasEnded = false;
    const closing = application.close().then(() => (hasEnded = true));
    await eventually(async () => {
      await elections.clock.settle();
      expect(holder()).toBe('');
    }, LIMIT_MS);
    // The removal was asked for and has not ended in any way: the release did not wait for it.
    expect(patches(OWN)).toHaveLength(2);
    expect(errors).toEqual([]);
    await eventually(async () => {
      await elections.clock.advance(100);
      expect(hasEnded).toBe(true);
    }, LIMIT_MS);
    await closing;
    expect(patches(OWN)).toHaveLength(2);
  });
});

describe('when a dead leader has left its label', () => {
  it('removes it', async () => {
    const { errors } = await leadingAfter(`${OTHER}_1`);
    await eventually(() => expect(labelsOf(OTHER)).toEqual({ app: 'plan' }), LIMIT_MS);
    expect(labelsOf(OWN)).toEqual({ [LABEL]: 'leader' });
    expect(errors).toEqual([]);
  });

  it('explains once that it may not, where a policy allows the own pod alone', async () => {
    const message = `pods "${OTHER}" is forbidden: ValidatingAdmissionPolicy 'own-pod' denied request: only its own`;
    const body = { kind: 'Status', status: 'Failure', reason: 'Forbidden', code: 403, message };
    emulator.fail({
      fault: { kind: 'answer', status: 403, body },
      on: ({ verb, path }) => verb === 'patch' && path.endsWith(OTHER),
      times: Infinity,
    });
    const { errors, leadership } = await leadingAfter(`${OTHER}_1`);
    await eventually(() => expect(errors).toHaveLength(1), LIMIT_MS);
    expect(errors[0]).toContain(`patch Pod default/${OTHER}`);
    expect(errors[0]).toContain("Policy 'own-pod' denied");
    expect(errors[0]).toContain('This comes from admission');
    for (let half = 0; half < 40; half += 1) {
      await elections.clock.advance(500);
      await eventually(() => expect(leadership.isLeader()).toBe(true));
    }
    expect(patches(OTHER).length).toBeGreaterThan(2);
    expect(errors).toHaveLength(1);
    expect(leadership.isLeader()).toBe(true);
  });

  it('explains the missing right once for both pods, and removes it when the right is there', async () => {
    emulator.forbidden.add('patch');
    const { errors, leadership } = await leadingAfter(`${OTHER}_1`);
    await eventually(() => expect(errors).not.toEqual([]), LIMIT_MS);
    expect(new Set(errors).size).toBe(1);
    expect(errors[0]).toContain('resources: ["pods"]\n    verbs: ["patch"]');
    expect(errors[0]).toContain('(docs/kubernetes.md has the whole Role)');
    // Renewals succeed all the while, which says nothing about the right that is missing.
    for (let half = 0; half < 40; half += 1) {
      await elections.clock.advance(500);
      await eventually(() => expect(leadership.isLeader()).toBe(true));
    }
    expect(log.texts('error', 'log').filter((text) => text.includes('patch Pod'))).toHaveLength(1);
    expect(patches(OTHER)).toEqual([]);
    expect(leadership.isLeader()).toBe(true);
    emulator.forbidden.delete('patch');
    await eventually(async () => {
      await elections.clock.advance(500);
      expect(labelsOf(OTHER)).toEqual({ app: 'plan' });
    }, LIMIT_MS);
    expect(labelsOf(OWN)).toEqual({ [LABEL]: 'leader' });
  });
});

describe('when this container was killed as the leader, and another pod leads when it is restarted', () => {
  it('removes the label from its own pod', async () => {
    createPod(OWN, { app: 'plan', [LABEL]: 'leader' });
    createPod(OTHER);
    createLease(`${OTHER}_1`);
    const { leadership, errors } = await started();
    await eventually(async () => {
      await elections.clock.settle();
      expect(labelsOf(OWN)).toEqual({ app: 'plan' });
    }, LIMIT_MS);
    expect(leadership.isLeader()).toBe(false);
    expect(errors).toEqual([]);
  });
});

describe('when a role has a name that no label can have', () => {
  it.each(['plans/eu', 'plän', '-plans', 'plans.', 'two words', 'x'.repeat(64)])(
    'stops the start with podLabel, and says why: %s',
    async (role) => {
      const options = { role, leaseName: 'plans' };
      const failed = elections.create({
        imports: [elections.module({ ...options, podLabel: true })],
      });
      await expect(failed).rejects.toThrow(LeaderElectionOptionsError);
      await expect(failed).rejects.toThrow(
        /- role = .*: must be fit for a label where podLabel is true: .* Fix: rename it, or leave podLabel out\./,
      );
      await elections.create({ imports: [elections.module(options)] });
    },
  );
});
