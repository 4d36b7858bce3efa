import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import { ControlPlane, FIRST_START_LIMIT_MS } from '../control-plane/control-plane.js';
import { describeAccessApi } from './access-api.contract.js';
import { ApiCaller } from './api-caller.js';
import { describeConfigMapApi } from './config-map-api.contract.js';
import { describeLeaseApi } from './lease-api.contract.js';
import { describePodApi } from './pod-api.contract.js';
import { describeRestoreApi } from './restore-api.contract.js';
import { describeWatchApi } from './watch-api.contract.js';

const NAME = 'a real API server';

let controlPlane: ControlPlane;

beforeAll(async () => {
  controlPlane = await ControlPlane.start();
}, FIRST_START_LIMIT_MS);

afterAll(() => controlPlane?.stop());

const caller = () =>
  new ApiCaller({
    url: controlPlane.url,
    ca: readFileSync(controlPlane.caFile, 'utf8'),
    token: controlPlane.adminToken,
  });

describeLeaseApi(NAME, () => caller().send);
describeConfigMapApi(NAME, caller);
describePodApi(NAME, caller);
describeWatchApi(NAME, caller);
describeAccessApi(NAME, caller, async (account, rules) => {
  await controlPlane.createServiceAccount('default', account);
  await controlPlane.applyRole('default', account, rules);
  return controlPlane.createToken('default', account);
});
describeRestoreApi(NAME, caller, async () => {
  const data = join(controlPlane.directory, 'etcd');
  const backup = join(controlPlane.directory, 'etcd-backup');
  await withoutServers(() => cpSync(data, backup, { recursive: true }));
  return () =>
    withoutServers(() => {
      rmSync(data, { recursive: true });
      cpSync(backup, data, { recursive: true });
    });
});

async function withoutServers(act: () => void): Promise<void> {
  await controlPlane.killApiServer();
  await controlPlane.killEtcd();
  act();
  await controlPlane.startEtcd();
  await controlPlane.startApiServer();
}
